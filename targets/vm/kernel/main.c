/* The order in which the machine comes up, and the faults that a test can ask for. */
#include "xen.h"

extern u64 __stack_chk_guard;

/* Less than this, after the kernel and the image took theirs, and Node fails in ways that explain nothing. */
#define LEAST_FREE_MEMORY (12 * MIB)

static volatile u8 data_page[16] = {0xc3}; /* ret */
static volatile u64 zero;

static u64 overflow_stack(u64 depth) {
	volatile u64 room[64];
	room[depth % LENGTH(room)] = depth;
	return depth == ~0UL ? 0 : overflow_stack(depth + 1) + room[0];
}

static u64 __attribute__((noinline)) overrun_frame(u64 n) {
	volatile u64 room[4];
	for (u64 i = 0; i < n; i++) room[i] = i;
	return room[0];
}

/* kernel.fault=KIND: each must end in one clear line and EXIT_PANIC. */
static void __attribute__((noinline)) inject_fault(const char *kind) {
	print("[kernel] fault on request: %s\n", kind);
	if (strcmp(kind, "panic") == 0) panic("requested on the command line");
	if (strcmp(kind, "page") == 0) zero += *(volatile u64 *)(zero + 16);
	if (strcmp(kind, "stack") == 0) zero += overflow_stack(0);
	if (strcmp(kind, "canary") == 0) zero += overrun_frame(8 + zero);
	if (strcmp(kind, "wx") == 0) *(volatile u8 *)kernel_start = 0;
	if (strcmp(kind, "nx") == 0) ((void (*)(void))(u64)data_page)();
	if (strcmp(kind, "divide") == 0) zero = strlen(kind) / zero; /* 1 / zero would be a comparison */
	if (strcmp(kind, "assert") == 0) ASSERT(zero == 1);
	panic("kernel.fault=%s is unknown; there are panic page stack canary wx nx divide assert", kind);
}

/* On a stack with a guard page. The functions that set the guard's value cannot be checked by it. */
static void __attribute__((noreturn, no_stack_protector)) start(void) {
	char option[32];
	if (pages_free * PAGE < LEAST_FREE_MEMORY)
		fail(EXIT_OUT_OF_MEMORY,
		     "[kernel] out of memory: of %lu MiB RAM the image leaves %lu, and %lu are the least (QEMU: -m, "
		     "Xen: memory=)",
		     pages_total * PAGE / MIB, pages_free * PAGE / MIB, LEAST_FREE_MEMORY / MIB);
	clock_init();
	apic_init();
	random_init();
	__stack_chk_guard = random_u64() & ~0xffUL; /* a zero byte stops strings */
	image_init();
	thread_init();
	file_init();
	area_init();
	trace_init();
	console_start();
	if (!bootinfo_option("kernel.quiet", option, sizeof option))
		print("[kernel] %lu MiB RAM, %lu free, %s clock, %s seed\n", pages_total * PAGE / MIB,
		      pages_free * PAGE / MIB, clock_source, random_seed_source);
	if (bootinfo_option("kernel.fault", option, sizeof option)) inject_fault(option);
	program_start();
}

/* From boot.S. `start_info` is a physical address. */
void __attribute__((noreturn, no_stack_protector)) kmain(u64 start_info) {
	__stack_chk_guard ^= read_tsc() << 8;
	xen_init();
	console_init();
	bootinfo_init(start_info);
	processor_init();
	page_init();
	pagetable_init();
	xen_start();
	void *stack = kernel_stack_alloc(KERNEL_STACK_PAGES);
	if (!stack) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory: none is left for the first stack");
	u64 top = (u64)stack + KERNEL_STACK_PAGES * PAGE;
	asm volatile("mov %0, %%rsp; xor %%ebp, %%ebp; call *%1; ud2" ::"r"(top), "r"(start));
	__builtin_unreachable();
}
