/* Exceptions and interrupts: which of them the kernel mends, which become signals, and which end the machine. */
#include "xen.h"

/* How an exception of the program's looks to it (POSIX <signal.h>, as on Linux for x86-64). */
/* clang-format off */
static const struct exception {
	const char *name;
	int signal, code; /* signal 0: never the program's fault */
} exceptions[] = {
	[TRAP_DIVIDE] = {"division error", SIGFPE, 1}, [TRAP_DEBUG] = {"debug trap", SIGTRAP, 2},
	[TRAP_NMI] = {"non-maskable interrupt", 0, 0}, [TRAP_BREAKPOINT] = {"breakpoint", SIGTRAP, SI_KERNEL},
	[TRAP_INVALID_OPCODE] = {"invalid instruction", SIGILL, 2}, [TRAP_DOUBLE_FAULT] = {"double fault", 0, 0},
	[TRAP_NO_SEGMENT] = {"segment not present", SIGBUS, SI_KERNEL},
	[TRAP_STACK] = {"stack segment fault", SIGBUS, SI_KERNEL},
	[TRAP_PROTECTION] = {"general protection fault", SIGSEGV, SI_KERNEL},
	[TRAP_PAGE_FAULT] = {"page fault", SIGSEGV, 1}, [TRAP_FLOATING_POINT] = {"x87 error", SIGFPE, 7},
	[TRAP_ALIGNMENT] = {"alignment check", SIGBUS, 1}, [TRAP_MACHINE_CHECK] = {"machine check", 0, 0},
	[TRAP_SIMD] = {"SIMD error", SIGFPE, 7},
};
/* clang-format on */

static const char *exception_name(u64 vector) {
	return vector < LENGTH(exceptions) && exceptions[vector].name ? exceptions[vector].name : "unknown exception";
}

/* Nobody handles it: one line says what the program did and where, and the machine ends as a shell would see it. */
static void __attribute__((noreturn)) program_died(struct trap_frame *frame, int signal, u64 address) {
	const struct area *area = area_find(frame->rip);
	print("[kernel] program killed by signal %d: %s", signal, exception_name(frame->vector));
	const char *access = frame->error & FAULT_WRITE ? "write to" : "read of";
	if (frame->error & FAULT_FETCH) access = "jump to";
	if (frame->vector == TRAP_PAGE_FAULT) print(" (%s %lx)", access, address);
	print(" in thread %d (%s) at %lx", current->id, current->name, frame->rip);
	if (area && area->file) print(", %s+%lx", area->file->path, frame->rip - area->start + area->offset);
	print("\n");
	print_registers(frame);
	power_off(MIN(EXIT_SIGNAL + signal, 127));
}

static void program_exception(struct trap_frame *frame) {
	const struct exception *exception = &exceptions[frame->vector];
	int code = exception->code;
	u64 address = code == SI_KERNEL ? 0 : frame->rip;
	if (frame->vector == TRAP_PAGE_FAULT) {
		address = read_cr2();
		if (page_fault(address, frame->error)) return;
		code = area_find(address) ? 2 : 1; /* SEGV_ACCERR, SEGV_MAPERR */
	}
	if (!signal_fault(frame, exception->signal, code, address)) program_died(frame, exception->signal, address);
}

/* A copy to or from the program met a page that is not there yet, or never will be. */
static bool mend_copy(struct trap_frame *frame) {
	if (frame->rip < (u64)copy_user_start || frame->rip >= (u64)copy_user_end) return false;
	if (frame->vector != TRAP_PAGE_FAULT && frame->vector != TRAP_PROTECTION) return false;
	u64 address = frame->vector == TRAP_PAGE_FAULT ? read_cr2() : USER_TOP;
	/* Mended, it goes on with the saved flags, which allow the access again. */
	if (address < USER_TOP && page_fault(address, frame->error | FAULT_USER)) return true;
	frame->rip = (u64)copy_user_fault;
	return true;
}

static void kernel_exception(struct trap_frame *frame) {
	if (mend_copy(frame)) return;
	/* A push that finds the guard page below the stack faults, and its fault finds it again. */
	u64 below = frame->rsp - read_cr2();
	if (frame->vector == TRAP_DOUBLE_FAULT && (below <= PAGE || -below <= PAGE))
		panic_frame(frame, "kernel stack overflow");
	panic_frame(frame, exception_name(frame->vector));
}

static void interrupt(u8 vector) {
	if (vector == VECTOR_SPURIOUS) return; /* must not be acknowledged */
	if (vector == VECTOR_XEN) return random_stir(), xen_interrupt();
	/* First, so that a level-triggered line is masked by the time that it could fire again. */
	if (vector >= VECTOR_FIRST_FREE) window_interrupt(vector);
	apic_acknowledge();
	if (vector == VECTOR_TIMER) return timer_tick();
	random_stir();
	if (vector == VECTOR_CONSOLE) console_interrupt();
}

void trap_dispatch(struct trap_frame *frame) {
	if (frame->vector >= VECTOR_TIMER)
		interrupt((u8)frame->vector);
	else if (from_user(frame) && frame->vector < LENGTH(exceptions) && exceptions[frame->vector].signal)
		program_exception(frame);
	else
		kernel_exception(frame);

	if (from_user(frame)) {
		if (reschedule) schedule();
		return signal_deliver_pending(frame);
	}
	/*
	 * Idle: whoever was woken has its turn before the next interrupt, which may be there already. A guest on QEMU's
	 * emulated SVM that went to its hypervisor between sti and hlt (0xf4) is interrupted there when it comes back:
	 * hlt is passed over then, as nothing would end it, and Xen turns such a guest off.
	 */
	frame->rflags &= ~(u64)RFLAGS_IF;
	frame->rip += *(const u8 *)frame->rip == 0xf4;
}
