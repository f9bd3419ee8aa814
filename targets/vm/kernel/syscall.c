/*
 * System calls: the table made of calls.h, the way in, and the counts and traces for `kernel.trace=`:
 * 1 prints at exit how often each call was made, 2 prints every call as it returns.
 */
#include "kernel.h"

struct system_call {
	const char *name;
	i64 (*handler)(const u64 *a);
	i64 answer; /* without a handler */
};

#define HANDLED(number, call)          [number] = {#call, sys_##call, 0},
#define ANSWERED(number, call, result) [number] = {#call, NULL, result},
/* The last stands for all numbers that are beyond the table. */
static const struct system_call table[SYSTEM_CALL_COUNT + 1] = {SYSTEM_CALLS(HANDLED, ANSWERED)};
static u32 counts[SYSTEM_CALL_COUNT + 1];
static int trace_level;

void trace_init(void) {
	char value[4];
	if (bootinfo_option("kernel.trace", value, sizeof value) && value[0] >= '0' && value[0] <= '2')
		trace_level = value[0] - '0';
}

void trace_counts(void) {
	for (u32 number = 0; trace_level && number < SYSTEM_CALL_COUNT; number++)
		if (counts[number] && table[number].name)
			print("[kernel] %8u %s\n", counts[number], table[number].name);
}

static i64 call(u64 number, const u64 *a) {
	u32 index = MIN(number, SYSTEM_CALL_COUNT);
	const struct system_call *entry = &table[index];
	bool first = counts[index]++ == 0;
	if (!entry->name && first) print("[kernel] unknown system call %lu, answered with ENOSYS\n", number);
	if (!entry->name) return -ENOSYS;
	i64 result = entry->handler ? entry->handler(a) : entry->answer;
	if (trace_level > 1)
		print("[kernel] %d %s(%lx, %lx, %lx, %lx, %lx, %lx) = %ld\n", current->id, entry->name, a[0], a[1],
		      a[2], a[3], a[4], a[5], result);
	return result;
}

void syscall_dispatch(struct trap_frame *frame) {
	u64 a[6] = {frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9};
	u64 number = frame->rax;
	current->last_call = number;
	frame->rax = call(number, a);
	if (reschedule) schedule();
	signal_after_call(frame, number);
}
