/*
 * Futexes: threads that wait for a word of memory; who has waited longest is woken first. There are a few dozen
 * threads, so their list is walked. There is one address space: the word's address is its name.
 *
 * A waiter's `futex` becomes 0 when it is woken, which tells a wake-up from a timeout or a signal that came in
 * the same moment. Waiters are not told apart by bits, nor moved to other words: no C library of today asks for that.
 */
#include "kernel.h"

/* Who has waited longest: it left the processor first. */
static struct thread *first_waiter(u64 address) {
	struct thread *first = NULL;
	for (struct thread *thread = threads; thread; thread = thread->next)
		if (thread->futex == address && (!first || thread->switched_at < first->switched_at)) first = thread;
	return first;
}

static i64 wake_waiters(u64 address, u32 count) {
	struct thread *thread;
	u32 woken = 0;
	for (; woken < count && (thread = first_waiter(address)); woken++) {
		thread->futex = 0;
		thread_wake(thread);
	}
	return woken;
}

static i64 wait(const u64 *a, bool relative) {
	u64 deadline = FOREVER, time;
	i64 error = a[3] ? timespec_from_user(&time, a[3]) : 0;
	u32 value;
	if (error) return error;
	if (a[3]) deadline = relative ? deadline_after(time) : deadline_at(time, a[1] & FUTEX_CLOCK_REALTIME);
	if (get_user(value, a[0])) return -EFAULT;
	if (value != (u32)a[2]) return -EAGAIN;
	current->futex = a[0];
	bool timed_out = block_on(NULL, deadline);
	if (!current->futex) return 0;
	current->futex = 0;
	if (timed_out) return -ETIMEDOUT;
	/* Started again, a relative timeout would start again as well. */
	return relative && deadline != FOREVER ? -EINTR : -ERESTART;
}

i64 sys_futex(const u64 *a) {
	u32 command = a[1] & ~(u32)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	if (a[0] & 3) return -EINVAL;
	if (!user_range(a[0], 4)) return -EFAULT;
	if (command == FUTEX_WAIT) return wait(a, true);
	if (command == FUTEX_WAKE) return wake_waiters(a[0], a[2]);
	return command == FUTEX_WAIT_BITSET && (u32)a[5] == FUTEX_ALL_BITS ? wait(a, false) : -ENOSYS;
}

void futex_thread_exit(void) {
	u64 word = current->clear_tid;
	if (word && word % 4 == 0 && put_user((u32)0, word) == 0) wake_waiters(word, 1);
}
