/* The end of the machine by its own fault: what happened, the registers, and the calls that led there. */
#include "kernel.h"

#define MAX_FRAMES 24

static bool panicking;

/* The symbol that an address lies in, or NULL. */
static const struct symbol *symbol_at(u64 address) {
	if (address < (u64)kernel_start || address >= (u64)kernel_text_end) return NULL;
	u64 offset = address - (u64)kernel_start;
	u32 low = 0, high = kernel_symbol_count;
	while (low < high) {
		u32 middle = (low + high) / 2;
		if (kernel_symbols[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &kernel_symbols[low - 1] : NULL;
}

static void print_place(u64 address) {
	const struct symbol *symbol = symbol_at(address);
	print("[kernel]   at %016lx", address);
	if (symbol) print(" %s+%lx", symbol->name, address - (u64)kernel_start - symbol->offset);
	print("\n");
}

/*
 * Follows the chain of frame pointers. It may be damaged, so each link is read by copy_user(), which survives any
 * address, must lead upwards, and at most MAX_FRAMES are followed.
 */
static void backtrace(u64 frame_pointer) {
	for (int i = 0; i < MAX_FRAMES; i++) {
		u64 link[2]; /* the caller's frame pointer, the return address */
		if (frame_pointer < DIRECT_MAP || frame_pointer % 8) return;
		if (copy_user(link, (const void *)frame_pointer, sizeof link) != 0) return;
		if (link[1] < (u64)kernel_start || link[1] >= (u64)kernel_text_end) return;
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

/* A panic while one is reported must not report for ever. */
static void enter_panic(void) {
	interrupts_off();
	if (panicking) {
		print("[kernel] panic while reporting a panic\n");
		power_off(EXIT_PANIC);
	}
	panicking = true;
}

static void print_thread(void) {
	if (current)
		print("[kernel]   thread %d (%s), last system call %u\n", current->id, current->name,
		      current->last_call);
}

void panic(const char *format, ...) {
	char message[256];
	va_list arguments;
	enter_panic();
	__builtin_va_start(arguments, format);
	vformat(message, sizeof message, format, arguments);
	__builtin_va_end(arguments);
	print("[kernel] panic: %s\n", message);
	print_thread();
	backtrace((u64)__builtin_frame_address(0));
	power_off(EXIT_PANIC);
}

void panic_frame(struct trap_frame *frame, const char *what) {
	enter_panic();
	print("[kernel] panic: %s (vector %lu, error %lx, address %lx)\n", what, frame->vector, frame->error,
	      read_cr2());
	print_thread();
	print_registers(frame);
	print_place(frame->rip);
	backtrace(frame->rbp);
	power_off(EXIT_PANIC);
}

void fail(int code, const char *format, ...) {
	char message[400];
	va_list arguments;
	interrupts_off();
	__builtin_va_start(arguments, format);
	vformat(message, sizeof message, format, arguments);
	__builtin_va_end(arguments);
	print("%s\n", message);
	power_off(code);
}

/* What the compiler's stack protector compares and calls. kmain() makes the value random. */
u64 __stack_chk_guard = 0x5bd1e9955bd1e900;

void __attribute__((noreturn)) __stack_chk_fail(void) { panic("a stack frame was overwritten"); }
