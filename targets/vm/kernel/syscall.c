/*
 * System calls: the table made of calls.h, the way in, and the counts and traces for `kernel.trace=`:
 * 1 prints at exit how often each call was made, 2 prints every call as it returns.
 */
#include "kernel.h"
#include "calls.h"

struct system_call {
	const char *name;
	i64 (*handler)(const u64 *a);
	i64 answer; /* without a handler */
};

#define HANDLED(number, call)          [number] = {#call, sys_##call, 0},
#define ANSWERED(number, call, result) [number] = {#call, NULL, result},
static const struct system_call table[SYSTEM_CALL_COUNT] = {SYSTEM_CALLS(HANDLED, ANSWERED)};

#define MAX_UNKNOWN 64 /* numbers that are named on the console; what comes after is answered in silence */

static int trace_level;
static u32 counts[SYSTEM_CALL_COUNT];
static u64 unknown[MAX_UNKNOWN];
static u32 unknown_count;

void trace_init(void) {
	char value[4];
	if (bootinfo_option("kernel.trace", value, sizeof value))
		trace_level = value[0] >= '0' && value[0] <= '2' ? value[0] - '0' : 0;
}

void trace_counts(void) {
	if (!trace_level) return;
	for (u32 number = 0; number < SYSTEM_CALL_COUNT; number++)
		if (counts[number]) print("[kernel] %8u %s\n", counts[number], table[number].name);
}

static void name_unknown(u64 number) {
	for (u32 i = 0; i < unknown_count; i++)
		if (unknown[i] == number) return;
	if (unknown_count == MAX_UNKNOWN) return;
	unknown[unknown_count++] = number;
	print("[kernel] unknown system call %lu, answered with ENOSYS\n", number);
}

static void trace_call(const char *name, const u64 *a, i64 result) {
	print("[kernel] %d %s(%lx, %lx, %lx, %lx, %lx, %lx) = %ld\n", current->id, name, a[0], a[1], a[2], a[3], a[4],
	      a[5], result);
}

static i64 call(u64 number, const u64 *a) {
	const struct system_call *entry = &table[number];
	i64 result;
	if (number >= SYSTEM_CALL_COUNT || !entry->name) {
		name_unknown(number);
		return -ENOSYS;
	}
	counts[number]++;
	if (trace_level > 1 && !entry->handler) trace_call(entry->name, a, entry->answer);
	if (!entry->handler) return entry->answer;
	result = entry->handler(a);
	if (trace_level > 1) trace_call(entry->name, a, result);
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
