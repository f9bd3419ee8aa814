/*
 * Futexes: threads that wait for a word of memory, in one queue, oldest first. The queue holds waiting threads
 * only (at most MAX_THREADS), so it is walked. There is one address space: the word's address is its name.
 *
 * A waiter's `futex` becomes 0 when it is woken, which tells a wake-up from a timeout or a signal that came in
 * the same moment.
 */
#include "kernel.h"
#include "calls.h"

#define MAX_ROBUST_ENTRIES 2048 /* of a list that the program wrote, perhaps as a circle */

static struct thread *waiters;

static i64 check_word(u64 address) {
	if (address & 3) return -EINVAL;
	return user_range(address, 4) ? 0 : -EFAULT;
}

static void waiter_add(u64 address, u32 bits) {
	struct thread **link = &waiters;
	while (*link) link = &(*link)->futex_next;
	*link = current;
	current->futex_next = NULL;
	current->futex = address;
	current->futex_bits = bits;
}

static void waiter_remove(struct thread *thread) {
	struct thread **link = &waiters;
	while (*link != thread) link = &(*link)->futex_next;
	*link = thread->futex_next;
	thread->futex = 0;
}

static u32 wake_bits(u64 address, u32 count, u32 bits) {
	u32 woken = 0;
	for (struct thread *thread = waiters, *next; thread && woken < count; thread = next) {
		next = thread->futex_next;
		if (thread->futex != address || !(thread->futex_bits & bits)) continue;
		waiter_remove(thread);
		thread_wake(thread);
		woken++;
	}
	return woken;
}

void futex_wake(u64 address, u32 count) { wake_bits(address, count, ~0u); }

static i64 wait(u64 address, u32 expected, u32 bits, u64 deadline, bool relative) {
	u32 value;
	bool timed_out;
	if (get_user(value, address)) return -EFAULT;
	if (value != expected) return -EAGAIN;
	waiter_add(address, bits);
	timed_out = block_on(NULL, deadline);
	if (!current->futex) return 0;
	waiter_remove(current);
	if (timed_out) return -ETIMEDOUT;
	/* Started again, a relative timeout would start again as well. */
	return relative && deadline != FOREVER ? -EINTR : -ERESTART;
}

static i64 wait_call(const u64 *a) {
	u32 command = a[1] & 127, bits = command == FUTEX_WAIT ? ~0u : (u32)a[5];
	bool relative = command == FUTEX_WAIT;
	u64 deadline = FOREVER, time;
	i64 error;
	if (!bits) return -EINVAL;
	if (a[3]) {
		error = timespec_from_user(&time, a[3]);
		if (error) return error;
		if (relative)
			deadline = deadline_after(time);
		else
			deadline = deadline_at(time, a[1] & FUTEX_CLOCK_REALTIME);
	}
	return wait(a[0], a[2], bits, deadline, relative);
}

/* FUTEX_CMP_REQUEUE: wakes `count` waiters and lets up to `limit` others wait for another word. */
static i64 requeue(const u64 *a, bool compare) {
	u32 value, count = a[2], limit = a[3], moved = 0, woken;
	i64 error = check_word(a[4]);
	if (error) return error;
	if ((i32)count < 0 || (i32)limit < 0) return -EINVAL;
	if (compare && get_user(value, a[0])) return -EFAULT;
	if (compare && value != (u32)a[5]) return -EAGAIN;
	woken = wake_bits(a[0], count, ~0u);
	for (struct thread *thread = waiters; thread && moved < limit; thread = thread->futex_next)
		if (thread->futex == a[0]) {
			thread->futex = a[4];
			moved++;
		}
	return woken + moved;
}

static i32 sign_extend12(u32 value) { return (i32)(value << 20) >> 20; }

static bool wake_op_apply(u32 operation, u32 old, u32 operand, u32 *result) {
	switch (operation) {
	case 0: *result = operand; return true;
	case 1: *result = old + operand; return true;
	case 2: *result = old | operand; return true;
	case 3: *result = old & ~operand; return true;
	case 4: *result = old ^ operand; return true;
	default: return false;
	}
}

static bool wake_op_compare(u32 comparison, i32 old, i32 operand, bool *result) {
	switch (comparison) {
	case 0: *result = old == operand; return true;
	case 1: *result = old != operand; return true;
	case 2: *result = old < operand; return true;
	case 3: *result = old <= operand; return true;
	case 4: *result = old > operand; return true;
	case 5: *result = old >= operand; return true;
	default: return false;
	}
}

/* Changes the second word, wakes waiters of the first, and of the second if its old value compares. */
static i64 wake_op(const u64 *a) {
	u32 code = a[5], old, new;
	i32 operand = sign_extend12(code >> 12 & 0xfff);
	bool also;
	i64 woken, error = check_word(a[4]);
	if (error) return error;
	if (code >> 31) operand = (i32)(1u << (operand & 31));
	if (get_user(old, a[4])) return -EFAULT;
	if (!wake_op_apply(code >> 28 & 7, old, operand, &new)) return -ENOSYS;
	if (!wake_op_compare(code >> 24 & 15, (i32)old, sign_extend12(code & 0xfff), &also)) return -ENOSYS;
	if (put_user(new, a[4])) return -EFAULT;
	woken = wake_bits(a[0], a[2], ~0u);
	return also ? woken + wake_bits(a[4], a[3], ~0u) : woken;
}

i64 sys_futex(const u64 *a) {
	i64 error = check_word(a[0]);
	if (error) return error;
	switch (a[1] & 127) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET: return wait_call(a);
	case FUTEX_WAKE: return wake_bits(a[0], a[2], ~0u);
	case FUTEX_WAKE_BITSET: return (u32)a[5] ? (i64)wake_bits(a[0], a[2], a[5]) : -EINVAL;
	case FUTEX_REQUEUE: return requeue(a, false);
	case FUTEX_CMP_REQUEUE: return requeue(a, true);
	case FUTEX_WAKE_OP: return wake_op(a);
	default: return -ENOSYS;
	}
}

/* One lock that its owner still holds as it ends: mark it, so that the next owner learns of it. */
static void robust_release(u64 address) {
	u32 value;
	if (check_word(address) || get_user(value, address)) return;
	if ((value & FUTEX_TID_MASK) != (u32)current->id) return;
	if (put_user((value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, address)) return;
	if (value & FUTEX_WAITERS) futex_wake(address, 1);
}

static void robust_walk(u64 head) {
	struct {
		u64 next, offset, pending;
	} list;
	u64 entry, next;
	if (get_user(list, head)) return;
	entry = list.next & ~1UL; /* bit 0 marks priority inheritance, which is not offered */
	for (u32 n = 0; entry != head && n < MAX_ROBUST_ENTRIES; n++) {
		bool last = get_user(next, entry) != 0;

		if (entry != (list.pending & ~1UL)) robust_release(entry + list.offset);
		if (last) return;
		entry = next & ~1UL;
	}
	if (list.pending) robust_release((list.pending & ~1UL) + list.offset);
}

void futex_thread_exit(void) {
	if (current->robust_list) robust_walk(current->robust_list);
	if (current->clear_tid && !check_word(current->clear_tid)) {
		if (put_user((u32)0, current->clear_tid) == 0) futex_wake(current->clear_tid, 1);
	}
}

i64 sys_set_robust_list(const u64 *a) {
	if (a[1] != 24) return -EINVAL;
	current->robust_list = a[0];
	return 0;
}

i64 sys_get_robust_list(const u64 *a) {
	struct thread *thread = a[0] ? thread_find(a[0]) : current;
	if (!thread) return -ESRCH;
	if (put_user(thread->robust_list, a[1]) || put_user(24UL, a[2])) return -EFAULT;
	return 0;
}
