/*
 * Signals: those that an instruction causes, those that threads send, and the way back from a handler.
 *
 * A handler runs on a frame built on the program's stack: return address, ucontext, siginfo and above them the
 * XSAVE area. All of it is the program's to change before rt_sigreturn takes it back, so nothing in it is
 * believed: registers are masked, selectors ignored, the XSAVE header rewritten.
 *
 * The default action is to end the machine with EXIT_SIGNAL + number; there is nobody to stop or continue.
 */
#include "kernel.h"

/* The red zone below the stack pointer belongs to the interrupted function. All but the call's number in bytes. */
enum { RED_ZONE = 128, SMALLEST_STACK = 2048, SYSCALL_LENGTH = 2, RT_SIGRETURN = 15 };

/* The flags that a program may set for itself. */
#define PROGRAM_FLAGS 0x50dd5UL /* CF PF AF ZF SF TF DF OF RF AC */

/* Offsets in the XSAVE area; the bits of MXCSR that may be set. */
enum { XSTATE_MXCSR = 24, XSTATE_HEADER = 512, XSTATE_HEADER_SIZE = 64, MXCSR_BITS = 0xffff };

#define BIT(signal) (1UL << ((signal)-1))
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))
static const u64 ignored_by_default = BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGSTOP) |
				      BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU);

struct signal_frame {
	u64 return_address;
	struct ucontext context;
	struct siginfo info;
};

static struct sigaction actions[SIGNAL_COUNT + 1];
/* Between the processor and the program's memory; interrupts are off, so one is enough. */
static u8 xstate[PAGE] __attribute__((aligned(64)));

static bool is_ignored(int signal) {
	u64 handler = actions[signal].handler;
	return handler == SIG_IGN || (handler == SIG_DFL && BIT(signal) & ignored_by_default);
}

static __attribute__((noreturn)) void die(int signal, const char *why) {
	fail(EXIT_SIGNAL + signal, "[kernel] program killed by signal %d%s", signal, why);
}

static bool on_alternate_stack(u64 stack) {
	return stack - current->alternate_stack.address - 1 < current->alternate_stack.size;
}

/* The registers that a frame and a context both have. */
/* clang-format off */
#define EACH_REGISTER(R) \
	R(r8) R(r9) R(r10) R(r11) R(r12) R(r13) R(r14) R(r15) R(rdi) R(rsi) R(rbp) R(rbx) \
	R(rdx) R(rax) R(rcx) R(rsp) R(rip) R(rflags)
/* clang-format on */
#define FILL(name) context->name = frame->name;
#define TAKE(name) frame->name = context->name;

static void take_context(struct trap_frame *frame, const struct ucontext *context) {
	EACH_REGISTER(TAKE)
	frame->rflags = (context->rflags & PROGRAM_FLAGS) | RFLAGS_FIXED | RFLAGS_IF;
	frame->cs = USER_CODE;
	frame->ss = USER_DATA;
}

/* Where the frame for this action goes: its lowest address, and in *area that of the XSAVE area. */
static u64 place_frame(const struct trap_frame *frame, const struct sigaction *action, u64 *area) {
	u64 stack = frame->rsp - RED_ZONE;
	if (action->flags & SA_ONSTACK && current->alternate_stack.size && !on_alternate_stack(frame->rsp))
		stack = current->alternate_stack.address + current->alternate_stack.size;
	*area = ALIGN_DOWN(stack - extended_state_size, 64);
	/* As after a call: the return address is just below a multiple of 16. */
	return ALIGN_DOWN(*area - sizeof(struct signal_frame) + 8, 16) - 8;
}

/* Lets `frame` return into the handler. False when the stack has no room for that. */
static bool enter_handler(struct trap_frame *frame, struct sigaction *action, const struct siginfo *info) {
	u64 area, at = place_frame(frame, action, &area);
	struct signal_frame signal_frame = {.return_address = action->restorer, .info = *info};
	struct ucontext *context = &signal_frame.context;
	if (action->flags & SA_ONSTACK && on_alternate_stack(area) && !on_alternate_stack(at + 1)) return false;
	/* Flag 1: an XSAVE area is there. */
	*context = (struct ucontext){.flags = 1, .extended_state = area, .cs = USER_CODE, .ss = USER_DATA};
	context->stack = current->alternate_stack;
	context->mask = current->signal_mask;
	EACH_REGISTER(FILL)
	extended_state_save(xstate);
	if (copy_to_user(area, xstate, extended_state_size) || put_user(signal_frame, at)) return false;
	current->signal_mask |= action->mask | (action->flags & SA_NODEFER ? 0 : BIT(info->signal));
	current->signal_mask &= ~UNBLOCKABLE;
	frame->rip = action->handler;
	frame->rsp = at;
	frame->rdi = (u64)info->signal;
	frame->rsi = at + __builtin_offsetof(struct signal_frame, info);
	frame->rdx = at + __builtin_offsetof(struct signal_frame, context);
	frame->rax = 0;
	frame->rflags &= ~(RFLAGS_TF | RFLAGS_DF | RFLAGS_RF);
	if (action->flags & SA_RESETHAND) action->handler = SIG_DFL;
	return true;
}

bool signal_fault(struct trap_frame *frame, int signal, int code, u64 address) {
	struct sigaction *action = &actions[signal];
	struct siginfo info = {.signal = signal, .code = code, .address = address};
	if (action->handler <= SIG_IGN || current->signal_mask & BIT(signal)) return false;
	return enter_handler(frame, action, &info);
}

static bool takes(const struct thread *thread, int signal) { return !(thread->signal_mask & BIT(signal)); }

void signal_send(struct thread *thread, int signal) {
	if (signal == SIGKILL) die(signal, "");
	if (is_ignored(signal) && takes(thread, signal)) return;
	thread->signal_pending |= BIT(signal);
	if (!takes(thread, signal)) return;
	if (thread->state == THREAD_BLOCKED) thread->interrupted = true;
	thread_wake(thread);
}

bool signal_is_pending(void) { return (current->signal_pending & ~current->signal_mask) != 0; }

/* `restart`: the frame is that of a call which a signal interrupted, set up to make the call once more. */
static void deliver(struct trap_frame *frame, bool restart) {
	while (signal_is_pending()) {
		int signal = __builtin_ctzl(current->signal_pending & ~current->signal_mask) + 1;
		struct siginfo info = {.signal = signal, .code = SI_USER, .address = 1}; /* sender: process 1, user 0 */
		struct sigaction *action = &actions[signal];
		current->signal_pending &= ~BIT(signal);
		if (is_ignored(signal)) continue;
		if (action->handler == SIG_DFL) die(signal, "");
		if (restart && !(action->flags & SA_RESTART)) {
			frame->rip += SYSCALL_LENGTH;
			frame->rax = (u64)-EINTR;
		}
		restart = false;
		if (!enter_handler(frame, action, &info)) die(SIGSEGV, ": no room on the stack for a signal's frame");
	}
}

void signal_deliver_pending(struct trap_frame *frame) { deliver(frame, false); }

void signal_after_call(struct trap_frame *frame, u64 number) {
	bool restart = (i64)frame->rax == -ERESTART && number != RT_SIGRETURN;
	if (restart) {
		frame->rip -= SYSCALL_LENGTH;
		frame->rax = number;
	}
	deliver(frame, restart);
}

/* Makes what the program left in `xstate` safe for xrstor, which faults on undefined bits. */
static void clean_xstate(void) {
	u64 *header = (u64 *)(xstate + XSTATE_HEADER);
	*(u32 *)(xstate + XSTATE_MXCSR) &= MXCSR_BITS;
	header[0] &= extended_state_parts;
	memset(header + 1, 0, XSTATE_HEADER_SIZE - sizeof *header);
}

static bool take_frame(struct trap_frame *frame) {
	struct ucontext context;
	if (copy_from_user(&context, frame->rsp, sizeof context) || context.rip >= USER_TOP) return false;
	if (!context.extended_state)
		extended_state_reset(xstate);
	else if (copy_from_user(xstate, context.extended_state, extended_state_size))
		return false;
	clean_xstate();
	extended_state_load(xstate);
	take_context(frame, &context);
	current->signal_mask = context.mask & ~UNBLOCKABLE;
	return true;
}

i64 sys_rt_sigreturn(const u64 *a) {
	struct trap_frame *frame = thread_frame(current);
	if (!take_frame(frame) && !signal_fault(frame, SIGSEGV, SI_KERNEL, 0)) die(SIGSEGV, ": a damaged signal frame");
	return frame->rax;
}

i64 sys_rt_sigaction(const u64 *a) {
	struct sigaction new;
	if (a[0] < 1 || a[0] > SIGNAL_COUNT || a[3] != sizeof(u64)) return -EINVAL;
	struct sigaction *action = &actions[a[0]], old = *action;
	if (a[1]) {
		if (BIT(a[0]) & UNBLOCKABLE) return -EINVAL;
		if (get_user(new, a[1])) return -EFAULT;
		/* iretq to an address that is not canonical would fault in the kernel. */
		if (new.handler >= USER_TOP) return -EINVAL;
		*action = new;
	}
	return a[2] ? put_user(old, a[2]) : 0;
}

i64 sys_rt_sigprocmask(const u64 *a) {
	u64 old = current->signal_mask, set;
	if (a[3] != sizeof set) return -EINVAL;
	if (a[1]) {
		if (get_user(set, a[1])) return -EFAULT;
		const u64 masks[] = {[SIG_BLOCK] = old | set, [SIG_UNBLOCK] = old & ~set, [SIG_SETMASK] = set};
		if ((u32)a[0] >= LENGTH(masks)) return -EINVAL;
		current->signal_mask = masks[(u32)a[0]] & ~UNBLOCKABLE;
	}
	return a[2] ? put_user(old, a[2]) : 0;
}

i64 sys_sigaltstack(const u64 *a) {
	const struct sigaltstack no_stack = {.flags = SS_DISABLE};
	bool in_use = on_alternate_stack(thread_frame(current)->rsp);
	struct sigaltstack new, old = current->alternate_stack;
	if (in_use) old.flags = SS_ONSTACK;
	if (a[0]) {
		if (get_user(new, a[0])) return -EFAULT;
		if (in_use) return -EPERM;
		if (new.flags & ~(SS_ONSTACK | SS_DISABLE)) return -EINVAL;
		new = new.flags &SS_DISABLE ? no_stack : (struct sigaltstack){.address = new.address, .size = new.size};
		if (new.size < SMALLEST_STACK && !new.flags) return -ENOMEM;
		if (new.size && !user_range(new.address, new.size)) return -EFAULT;
		current->alternate_stack = new;
	}
	return a[1] ? put_user(old, a[1]) : 0;
}

static i64 send(struct thread *thread, u64 signal) {
	if (signal > SIGNAL_COUNT) return -EINVAL;
	if (!thread) return -ESRCH;
	if (signal) signal_send(thread, signal);
	return 0;
}

i64 sys_tgkill(const u64 *a) { return send((i32)a[0] == 1 ? thread_find(a[1]) : NULL, a[2]); }

/* Any thread that does not block the signal may take it: the current one rather than a sleeper. */
i64 sys_kill(const u64 *a) {
	struct thread *taker = current;
	if (a[1] > SIGNAL_COUNT) return -EINVAL;
	for (struct thread *thread = threads; a[1] && thread; thread = thread->next)
		if (!takes(taker, a[1])) taker = thread;
	return send((i32)a[0] == 0 || (i32)a[0] == 1 ? taker : NULL, a[1]);
}
