/*
 * Threads: slices of 10 ms in turn, deadlines of sleepers, and one timer for both. There are a few dozen: they
 * are looked for in one list.
 *
 * A thread that an event has woken waits for less than those that only compute: it goes before them, and the running
 * one gives way after a millisecond. One that was preempted has its turn after a slice's length at the latest.
 *
 * A thread is ready (in the run queue), running (`current`), blocked, or dead (on `zombies` until the next
 * thread has left its stack). The processor idles on the stack of whoever blocked last.
 */
#include "xen.h"

/*
 * Nanoseconds; the slice is short while a thread waits that an event has woken. An interrupt may cost its tenth at most:
 * where it costs more, all slices are as much longer.
 */
enum { SLICE = 10000000, SHORT_SLICE = 1000000, SHORTEST_TIMER = 1000, MAX_THREAD_ID = 0x3fffff };
static u64 stretch = 1;

/* What the XSAVE area holds: x87, SSE, AVX, and AVX-512 if all its three parts are there. */
enum { XSTATE_BASE = 7, XSTATE_AVX512 = 0xe0, XSAVE_HEADER = 512 };

static struct thread boot_thread = {.state = THREAD_DEAD, .name = "boot"};
struct thread *current = &boot_thread, *threads;
bool reschedule;
u64 extended_state_size, extended_state_parts;

static struct run_queue { struct thread *head, *tail; } woken, preempted; /* the ready threads */
static struct thread *zombies;
static u32 thread_count;
static i32 last_id;
static u64 slice_end, exited_time;
static u64 timer_at = FOREVER; /* when the timer will fire */

void thread_init(void) {
	if (xen_guest) stretch += xen_exit_cost() * 10 / SHORT_SLICE;
	extended_state_parts = cpuid(13, 0).eax & (XSTATE_BASE | XSTATE_AVX512);
	if ((extended_state_parts & XSTATE_AVX512) != XSTATE_AVX512) extended_state_parts &= XSTATE_BASE;
	write_xcr0(extended_state_parts);
	extended_state_size = cpuid(13, 0).ebx;
	ASSERT(extended_state_size > XSAVE_HEADER && extended_state_size <= PAGE);
}

void extended_state_save(void *to) { asm volatile("xsave64 (%0)" ::"r"(to), "a"(~0u), "d"(~0u) : "memory"); }

void extended_state_load(const void *from) { asm volatile("xrstor64 (%0)" ::"r"(from), "a"(~0u), "d"(~0u) : "memory"); }

void extended_state_reset(void *area) {
	memset(area, 0, extended_state_size);
	*(u16 *)area = 0x37f;                 /* x87: all exceptions masked, as after finit */
	*(u32 *)((char *)area + 24) = 0x1f80; /* MXCSR likewise */
}

static u64 stack_top(const struct thread *thread) { return thread->kernel_stack + KERNEL_STACK_PAGES * PAGE; }

struct trap_frame *thread_frame(struct thread *thread) { return (struct trap_frame *)stack_top(thread) - 1; }

struct thread *thread_find(i32 id) {
	struct thread *thread = threads;
	while (thread && thread->id != id) thread = thread->next;
	return thread;
}

static void thread_free(struct thread *thread) {
	if (thread->kernel_stack) kernel_stack_free((void *)thread->kernel_stack, KERNEL_STACK_PAGES);
	kfree(thread->extended_state, extended_state_size);
	kfree(thread, sizeof *thread);
}

static void bury_zombies(void) {
	while (zombies) {
		struct thread *thread = zombies;
		zombies = thread->run_next;
		thread_free(thread);
	}
}

struct thread *thread_new(void) {
	bury_zombies();
	struct thread *thread = thread_count < MAX_THREADS ? kmalloc(sizeof *thread) : NULL;
	if (!thread) return NULL;
	thread->kernel_stack = (u64)kernel_stack_alloc(KERNEL_STACK_PAGES);
	thread->extended_state = kmalloc(extended_state_size);
	if (!thread->kernel_stack || !thread->extended_state) {
		thread_free(thread);
		return NULL;
	}
	ASSERT((u64)thread->extended_state % 64 == 0);
	extended_state_reset(thread->extended_state);
	/* The first switch to it pops six registers, returns to trap_return, and that pops the frame above. */
	u64 *stack = memset(thread_frame(thread), 0, sizeof(struct trap_frame));
	*--stack = (u64)trap_return;
	thread->kernel_sp = (u64)(stack - 6);
	do last_id = last_id == MAX_THREAD_ID ? 1 : last_id + 1;
	while (thread_find(last_id));
	thread->id = last_id;
	thread->state = THREAD_BLOCKED;
	thread->deadline = FOREVER;
	thread->alternate_stack.flags = SS_DISABLE;
	thread->next = threads;
	threads = thread;
	thread_count++;
	return thread;
}

/* An interrupt too early costs less than setting the timer again: only ever bring it forward. */
static void arm_timer(void) {
	bool limited = (woken.head || preempted.head) && current->state == THREAD_RUNNING;
	u64 at = limited ? slice_end : FOREVER, time = now();
	for (struct thread *thread = threads; thread; thread = thread->next) at = MIN(at, thread->deadline);
	if (at >= timer_at) return;
	timer_at = at;
	apic_timer(at > time + SHORTEST_TIMER ? at - time : SHORTEST_TIMER);
}

static void run_push(struct run_queue *queue, struct thread *thread) {
	thread->state = THREAD_READY;
	thread->run_next = NULL;
	*(queue->head ? &queue->tail->run_next : &queue->head) = thread;
	queue->tail = thread;
}

/* NULL when no thread is ready. */
static struct thread *run_pop(u64 time) {
	bool overdue = preempted.head && time - preempted.head->switched_at >= SLICE * stretch;
	struct run_queue *queue = woken.head && !overdue ? &woken : &preempted;
	struct thread *thread = queue->head;
	if (thread) queue->head = thread->run_next;
	return thread;
}

void thread_wake(struct thread *thread) {
	if (thread->state != THREAD_BLOCKED) return;
	thread->deadline = FOREVER;
	thread->channel = NULL;
	run_push(&woken, thread);
	slice_end = MIN(slice_end, current->switched_at + SHORT_SLICE * stretch);
	arm_timer();
}

void wake(const void *channel) {
	for (struct thread *thread = threads; thread; thread = thread->next)
		if (thread->state == THREAD_BLOCKED && thread->channel == channel) thread_wake(thread);
}

void timer_tick(void) {
	u64 time = now();
	timer_at = FOREVER;
	for (struct thread *thread = threads; thread; thread = thread->next) {
		if (thread->deadline > time) continue;
		thread->timed_out = true;
		thread_wake(thread);
	}
	if ((woken.head || preempted.head) && time >= slice_end) reschedule = true;
	arm_timer();
}

static void switch_to(struct thread *next) {
	struct thread *old = current;
	if (old->state != THREAD_DEAD) extended_state_save(old->extended_state);
	current = next;
	processor_set_kernel_stack(stack_top(next));
	write_msr(MSR_FS_BASE, next->fs_base);
	extended_state_load(next->extended_state);
	switch_context(&old->kernel_sp, next->kernel_sp);
	/* Here `old` runs again, if it does at all. */
	bury_zombies();
}

/* Gives way to the next ready thread. `current` goes on later if it is still running or somebody wakes it. */
void schedule(void) {
	struct thread *next;
	u64 time = now();
	reschedule = false;
	current->run_time += time - current->switched_at;
	current->switched_at = time;
	if (current->state == THREAD_RUNNING) run_push(&preempted, current);
	while (!(next = run_pop(time))) {
		arm_timer();
		wait_for_interrupt();
		time = now();
	}
	next->state = THREAD_RUNNING;
	next->switched_at = time;
	slice_end = time + (woken.head ? SHORT_SLICE : SLICE) * stretch;
	reschedule = false;
	arm_timer();
	if (next != current) switch_to(next);
}

bool block_on(const void *channel, u64 deadline) {
	current->timed_out = false;
	current->interrupted = signal_is_pending();
	if (current->interrupted) return false;
	if (deadline != FOREVER && deadline <= now()) return true;
	current->channel = channel;
	current->deadline = deadline;
	current->state = THREAD_BLOCKED;
	schedule();
	return current->timed_out;
}

void thread_exit(void) {
	struct thread **link = &threads;
	futex_thread_exit();
	while (*link != current) link = &(*link)->next;
	*link = current->next;
	thread_count--;
	exited_time += current->run_time + now() - current->switched_at;
	current->state = THREAD_DEAD;
	current->run_next = zombies;
	zombies = current;
	schedule();
	panic("thread %d runs after its end", current->id);
}

u64 process_time(void) {
	u64 total = exited_time + now() - current->switched_at;
	for (struct thread *thread = threads; thread; thread = thread->next) total += thread->run_time;
	return total;
}
