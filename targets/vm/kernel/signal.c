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
#include "calls.h"

#define RED_ZONE       128 /* bytes below the stack pointer that belong to the interrupted function */
#define SMALLEST_STACK 2048
#define SYSCALL_LENGTH 2 /* bytes of the instruction */
#define RT_SIGRETURN   15

/* The flags that a program may set for itself. */
#define PROGRAM_FLAGS 0x50dd5UL /* CF PF AF ZF SF TF DF OF RF AC */

#define XSTATE_MXCSR       24
#define XSTATE_HEADER      512
#define XSTATE_HEADER_SIZE 64
#define LARGEST_XSTATE     PAGE

#define BIT(signal) (1UL << ((signal)-1))
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))
#define HARMLESS \
	(BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | \
	 BIT(SIGTTOU))

struct signal_frame {
	u64 return_address;
	struct ucontext context;
	struct siginfo info;
};

static struct sigaction actions[SIGNAL_COUNT + 1];
static u64 process_pending;
/* Between the processor and the program's memory; interrupts are off, so one is enough. */
static u8 xstate[LARGEST_XSTATE] __attribute__((aligned(64)));

static bool is_ignored(int signal) {
	u64 handler = actions[signal].handler;
	return handler == SIG_IGN || (handler == SIG_DFL && (BIT(signal) & HARMLESS));
}

static void die(int signal, const char *why) __attribute__((noreturn));
static void die(int signal, const char *why) {
	fail(EXIT_SIGNAL + signal, "[kernel] program killed by signal %d%s", signal, why);
}

static bool on_alternate_stack(u64 stack) {
	return stack - current->alternate_stack - 1 < current->alternate_stack_size;
}

/* The registers that a frame and a context both have. */
#define EACH_REGISTER(R) \
	R(r8) \
	R(r9) R(r10) R(r11) R(r12) R(r13) R(r14) R(r15) R(rdi) R(rsi) R(rbp) R(rbx) R(rdx) R(rax) R(rcx) R(rsp) R(rip) \
	    R(rflags)

static void fill_context(struct ucontext *context, const struct trap_frame *frame) {
#define FILL(name) context->name = frame->name;
	EACH_REGISTER(FILL)
	context->cs = USER_CODE;
	context->ss = USER_DATA;
}

static void take_context(struct trap_frame *frame, const struct ucontext *context) {
#define TAKE(name) frame->name = context->name;
	EACH_REGISTER(TAKE)
	frame->rflags = (context->rflags & PROGRAM_FLAGS) | RFLAGS_FIXED | RFLAGS_IF;
	frame->cs = USER_CODE;
	frame->ss = USER_DATA;
}

/* Where the frame for this action goes: its lowest address, and in *area that of the XSAVE area. */
static u64 place_frame(const struct trap_frame *frame, const struct sigaction *action, u64 *area) {
	u64 stack = frame->rsp - RED_ZONE;
	if (action->flags & SA_ONSTACK && current->alternate_stack_size && !on_alternate_stack(frame->rsp))
		stack = current->alternate_stack + current->alternate_stack_size;
	*area = ALIGN_DOWN(stack - extended_state_size, 64);
	/* As after a call: the return address is just below a multiple of 16. */
	return ALIGN_DOWN(*area - sizeof(struct signal_frame) + 8, 16) - 8;
}

/* Lets `frame` return into the handler. False when the stack has no room for that. */
static bool enter_handler(struct trap_frame *frame, struct sigaction *action, const struct siginfo *info) {
	struct signal_frame signal_frame = {.return_address = action->restorer, .info = *info};
	struct ucontext *context = &signal_frame.context;
	bool fault = info->code > 0;
	u64 area, at = place_frame(frame, action, &area);
	if (action->flags & SA_ONSTACK && on_alternate_stack(area) && !on_alternate_stack(at + 1)) return false;
	fill_context(context, frame);
	context->flags = 1; /* an XSAVE area is there */
	context->stack.address = current->alternate_stack;
	context->stack.size = current->alternate_stack_size;
	context->stack.flags = current->alternate_stack_size ? 0 : SS_DISABLE;
	context->error = fault ? frame->error : 0;
	context->trap = fault ? frame->vector : 0;
	context->cr2 = fault ? info->address : 0;
	context->extended_state = area;
	context->mask = current->mask_changed ? current->call_mask : current->signal_mask;
	context->old_mask = context->mask;
	extended_state_save(xstate);
	if (copy_to_user(area, xstate, extended_state_size)) return false;
	if (copy_to_user(at, &signal_frame, sizeof signal_frame)) return false;

	current->mask_changed = false;
	current->signal_mask |= action->mask;
	if (!(action->flags & SA_NODEFER)) current->signal_mask |= BIT(info->signal);
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

static void interrupt(struct thread *thread) {
	if (thread->state == THREAD_BLOCKED) thread->interrupted = true;
	thread_wake(thread);
}

/* Any thread that does not block the signal may take it: the current one rather than a sleeper. */
static void send_to_process(int signal) {
	process_pending |= BIT(signal);
	if (takes(current, signal)) {
		interrupt(current); /* which may be idling */
		return;
	}
	for (struct thread *thread = threads; thread; thread = thread->next)
		if (takes(thread, signal)) {
			interrupt(thread);
			return;
		}
}

void signal_send(struct thread *thread, int signal) {
	if (signal == SIGKILL) die(signal, "");
	if (is_ignored(signal) && (!thread || takes(thread, signal))) return;
	if (!thread) {
		send_to_process(signal);
		return;
	}
	thread->signal_pending |= BIT(signal);
	if (takes(thread, signal)) interrupt(thread);
}

bool signal_is_pending(void) { return ((current->signal_pending | process_pending) & ~current->signal_mask) != 0; }

i64 signal_mask_for_call(u64 mask_address, u64 size) {
	u64 mask;
	if (!mask_address) return 0;
	if (size != sizeof mask) return -EINVAL;
	if (get_user(mask, mask_address)) return -EFAULT;
	if (!current->mask_changed) current->call_mask = current->signal_mask;
	current->mask_changed = true;
	current->signal_mask = mask & ~UNBLOCKABLE;
	return 0;
}

/* The next signal to deliver, taken off its queue; 0 when there is none. */
static int take_pending(struct siginfo *info) {
	u64 own = current->signal_pending & ~current->signal_mask;
	u64 any = own | (process_pending & ~current->signal_mask);
	int signal;
	if (!any) return 0;
	signal = __builtin_ctzl(any) + 1;
	*info = (struct siginfo){.signal = signal, .code = own & BIT(signal) ? SI_TKILL : SI_USER};
	info->address = 1; /* the sender: process 1, user 0 */
	if (own & BIT(signal))
		current->signal_pending &= ~BIT(signal);
	else
		process_pending &= ~BIT(signal);
	return signal;
}

/* `restart`: the frame is that of a call which a signal interrupted, set up to make the call once more. */
static void deliver(struct trap_frame *frame, bool restart) {
	struct siginfo info;
	int signal;
	while ((signal = take_pending(&info))) {
		struct sigaction *action = &actions[signal];

		if (is_ignored(signal)) continue;
		if (action->handler == SIG_DFL) die(signal, "");
		if (restart && !(action->flags & SA_RESTART)) {
			frame->rip += SYSCALL_LENGTH;
			frame->rax = (u64)-EINTR;
		}
		restart = false;
		if (!enter_handler(frame, action, &info)) die(SIGSEGV, ": no room on the stack for a signal's frame");
	}
	if (current->mask_changed) {
		current->mask_changed = false;
		current->signal_mask = current->call_mask;
	}
}

void signal_deliver_pending(struct trap_frame *frame) {
	if (signal_is_pending()) deliver(frame, false);
}

void signal_after_call(struct trap_frame *frame, u64 number) {
	bool restart = (i64)frame->rax == -ERESTART && number != RT_SIGRETURN;
	if (restart) {
		frame->rip -= SYSCALL_LENGTH;
		frame->rax = number;
	}
	if (restart || current->mask_changed || signal_is_pending()) deliver(frame, restart);
}

/* Makes what the program left in `xstate` safe for xrstor, which faults on undefined bits. */
static void clean_xstate(void) {
	u32 *mxcsr = (u32 *)(xstate + XSTATE_MXCSR);
	u64 *header = (u64 *)(xstate + XSTATE_HEADER);
	u64 parts = header[0] & extended_state_parts;
	*mxcsr &= extended_state_mxcsr_mask;
	memset(header, 0, XSTATE_HEADER_SIZE);
	header[0] = parts;
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
	(void)a;
	if (!take_frame(frame) && !signal_fault(frame, SIGSEGV, SI_KERNEL, 0)) die(SIGSEGV, ": a damaged signal frame");
	return frame->rax;
}

i64 sys_rt_sigaction(const u64 *a) {
	struct sigaction new, old;
	if (a[0] < 1 || a[0] > SIGNAL_COUNT || a[3] != sizeof(u64)) return -EINVAL;
	if (a[1] && (BIT(a[0]) & UNBLOCKABLE)) return -EINVAL;
	if (a[1] && get_user(new, a[1])) return -EFAULT;
	/* iretq to an address that is not canonical would fault in the kernel. */
	if (a[1] && new.handler >= USER_TOP) return -EINVAL;
	old = actions[a[0]];
	if (a[1]) actions[a[0]] = new;
	return a[2] ? put_user(old, a[2]) : 0;
}

i64 sys_rt_sigprocmask(const u64 *a) {
	u64 old = current->signal_mask, set;
	if (a[3] != sizeof set) return -EINVAL;
	if (a[1]) {
		if (get_user(set, a[1])) return -EFAULT;
		set &= ~UNBLOCKABLE;
		if ((u32)a[0] == SIG_BLOCK)
			current->signal_mask |= set;
		else if ((u32)a[0] == SIG_UNBLOCK)
			current->signal_mask &= ~set;
		else if ((u32)a[0] == SIG_SETMASK)
			current->signal_mask = set;
		else
			return -EINVAL;
	}
	return a[2] ? put_user(old, a[2]) : 0;
}

i64 sys_rt_sigpending(const u64 *a) {
	if (a[1] > sizeof(u64)) return -EINVAL;
	return put_user((current->signal_pending | process_pending) & current->signal_mask, a[0]);
}

static i64 wait_for_signal(void) {
	do block_on(current, FOREVER);
	while (!current->interrupted);
	return -EINTR;
}

i64 sys_pause(const u64 *a) {
	(void)a;
	return wait_for_signal();
}

i64 sys_rt_sigsuspend(const u64 *a) {
	i64 error = signal_mask_for_call(a[0], a[1]);
	return error ? error : wait_for_signal();
}

i64 sys_sigaltstack(const u64 *a) {
	u64 stack = thread_frame(current)->rsp;
	struct sigaltstack new, old = {
				    .address = current->alternate_stack,
				    .size = current->alternate_stack_size,
				    .flags = !current->alternate_stack_size ? SS_DISABLE
					     : on_alternate_stack(stack)    ? SS_ONSTACK
									    : 0,
				};
	if (a[0]) {
		if (get_user(new, a[0])) return -EFAULT;
		if (on_alternate_stack(stack)) return -EPERM;
		if (new.flags & ~(SS_ONSTACK | SS_DISABLE)) return -EINVAL;
		if (new.flags & SS_DISABLE)
			new.address = new.size = 0;
		else if (new.size < SMALLEST_STACK)
			return -ENOMEM;
		else if (!user_range(new.address, new.size))
			return -EFAULT;
		current->alternate_stack = new.address;
		current->alternate_stack_size = new.size;
	}
	return a[1] ? put_user(old, a[1]) : 0;
}

i64 sys_kill(const u64 *a) {
	i32 process = a[0];
	if (a[1] > SIGNAL_COUNT) return -EINVAL;
	if (process != 0 && process != 1) return -ESRCH;
	if (a[1]) signal_send(NULL, a[1]);
	return 0;
}

static i64 send_to_thread(i32 id, u64 signal) {
	struct thread *thread = thread_find(id);
	if (signal > SIGNAL_COUNT || id <= 0) return -EINVAL;
	if (!thread) return -ESRCH;
	if (signal) signal_send(thread, signal);
	return 0;
}

i64 sys_tkill(const u64 *a) { return send_to_thread(a[0], a[1]); }

i64 sys_tgkill(const u64 *a) { return (i32)a[0] == 1 ? send_to_thread(a[1], a[2]) : -ESRCH; }
