/* The end of the machine by its own fault: what happened, the registers, and the calls that led there. */
#include "kernel.h"

#define MAX_FRAMES 24

static bool panicking;

static bool is_text(u64 address) { return address >= (u64)kernel_start && address < (u64)kernel_text_end; }

static void print_place(u64 address) {
	u64 offset = address - (u64)kernel_start;
	u32 i = kernel_symbol_count;
	while (i > 0 && kernel_symbols[i - 1].offset > offset) i--;
	print("[kernel]   at %016lx", address);
	if (is_text(address) && i) print(" %s+%lx", kernel_symbols[i - 1].name, offset - kernel_symbols[i - 1].offset);
	print("\n");
}

/*
 * Follows the chain of frame pointers. It may be damaged, so each link is read by copy_user(), which survives any
 * address, must lead upwards, and at most MAX_FRAMES are followed.
 */
static void backtrace(u64 frame_pointer) {
	u64 link[2]; /* the caller's frame pointer, the return address */
	for (int i = 0; i < MAX_FRAMES && frame_pointer >= DIRECT_MAP && frame_pointer % 8 == 0; i++) {
		if (copy_user(link, (const void *)frame_pointer, sizeof link) || !is_text(link[1])) return;
		print_place(link[1] - 1); /* in the call, not after it: that may be the next function */
		if (link[0] <= frame_pointer) return;
		frame_pointer = link[0];
	}
}

void print_registers(const struct trap_frame *f) {
	print("[kernel]   rip %016lx rsp %016lx flags %lx cs %lx error %lx cr2 %lx\n", f->rip, f->rsp, f->rflags, f->cs,
	      f->error, read_cr2());
	print("[kernel]   rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	print("[kernel]   rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
	print("[kernel]   r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
	print("[kernel]   r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
}

static void __attribute__((noreturn)) end_at(u64 frame_pointer) {
	print("[kernel]   thread %d (%s), last system call %u\n", current->id, current->name, current->last_call);
	backtrace(frame_pointer);
	power_off(EXIT_PANIC);
}

/* A panic while one is reported must not report for ever. */
void panic_begin(void) {
	interrupts_off();
	if (panicking) fail(EXIT_PANIC, "[kernel] panic while reporting a panic");
	panicking = true;
}

void panic_end(void) { end_at((u64)__builtin_frame_address(0)); }

void panic_frame(struct trap_frame *frame, const char *what) {
	panic_begin();
	print("[kernel] panic: %s (vector %lu, error %lx, address %lx)\n", what, frame->vector, frame->error,
	      read_cr2());
	print_registers(frame);
	print_place(frame->rip);
	end_at(frame->rbp);
}

/* What the compiler's stack protector compares and calls. kmain() makes the value random. */
u64 __stack_chk_guard = 0x5bd1e9955bd1e900;

void __attribute__((noreturn)) __stack_chk_fail(void) { panic("a stack frame was overwritten"); }
