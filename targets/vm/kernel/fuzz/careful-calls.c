/* Calls whose arguments are kept such that this program lives on. */
#include "worker.h"

/* A range inside the arena, or one that the kernel must refuse. */
static void confine_range(struct worker *w, u64 *address, u64 *length) {
	if (*address < ARENA || *address >= ARENA + ARENA_SIZE) {
		if (*address < USER_TOP) {
			*address = USER_TOP - below(w, 2) * PAGE;
			*length |= PAGE;
		}
		return;
	}
	if (*length > ARENA + ARENA_SIZE - *address) {
		if (below(w, 2))
			*length = ARENA + ARENA_SIZE - *address;
		else
			*length |= 1UL << 63;
	}
}

static void unmap_outside(i64 result, u64 length) {
	u64 at = (u64)result;
	if (result < 0 || (at >= ARENA && at < ARENA + ARENA_SIZE)) return;
	CALL_N(SYS_munmap, at, length);
}

static void any_mmap(struct worker *w) {
	u64 *a = w->a;
	if (a[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE)) confine_range(w, &a[0], &a[1]);
	unmap_outside(call6(SYS_mmap, a), a[1]);
}

void set_action(struct worker *w, int signal, bool plain) {
	struct sigaction action = {
		.handler = (u64)signal_entry,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER,
		.restorer = (u64)signal_return,
	};
	if (!plain) {
		action.flags |= next(w) & (SA_RESTART | SA_NODEFER);
		action.mask = next(w);
		if (!below(w, 4) && signal > SIGSEGV && signal != SIGUSR1) action.handler = SIG_IGN;
	}
	CALL_N(SYS_rt_sigaction, (u64)signal, (u64)&action, 0, 8);
}

static void any_action(struct worker *w) {
	if (below(w, 2)) {
		set_action(w, 1 + (int)below(w, SIGNAL_COUNT), false);
		return;
	}
	/* Only what must be refused, or asks for the present action. */
	own_words(w);
	w->words[0] = USER_TOP + (next(w) >> 17);
	CALL_N(SYS_rt_sigaction, below(w, 4) ? w->a[0] : below(w, 70), below(w, 2) ? (u64)w->words : 0, w->a[2],
	       below(w, 4) ? 8 : w->a[3]);
}

void set_signal_stack(struct worker *w) {
	struct sigaltstack stack = {.address = (u64)w->signal_stack, .size = SIGNAL_STACK_SIZE};
	CALL_N(SYS_sigaltstack, (u64)&stack, 0);
}

static void set_mask(u64 mask) { CALL_N(SYS_rt_sigprocmask, SIG_SETMASK, (u64)&mask, 0, 8); }

/* No signal could be handled meanwhile. */
static void any_signal_stack(struct worker *w) {
	set_mask(~0UL);
	own_words(w);
	w->words[1] &= 3;
	/* A stack that spans this one could not be set back. */
	w->words[2] = below(w, 2) ? below(w, ARENA_SIZE) : w->words[2] | 1UL << 63;
	w->a[0] = below(w, 4) ? (u64)w->words : -below(w, PAGE);
	call6(SYS_sigaltstack, w->a);
	set_signal_stack(w);
	set_mask(0);
}

/* A frame as the kernel made it, with a few words changed; its mask stays, or a fault would be fatal by law. */
static void any_signal_return(struct worker *w) {
	struct ucontext *context = &w->context; /* goes on at resume_loop */
	u64 *words = (u64 *)context;
	u64 frame = below(w, 16) ? (u64)context : -below(w, PAGE); /* the program's text would do for a frame */
	for (u64 n = below(w, 5); n; n--) words[below(w, __builtin_offsetof(struct ucontext, mask) / 8)] = anything(w);
	context->mask = 0;
	if (below(w, 4)) context->extended_state = (u64)w->xstate;
	for (u64 n = below(w, 8); n; n--) *(u64 *)(w->xstate + below(w, 2) * 512 + 8 * below(w, 16)) = anything(w);
	if (context->rip >= (u64)__executable_start && context->rip < (u64)end) context->rip = (u64)resume_loop;
	asm volatile("mov %0, %%rsp\n\t"
		     "mov $15, %%eax\n\t"
		     "syscall\n\t"
		     "mov %%fs:8, %%rsp\n\t"
		     "jmp resume_loop" ::"r"(frame)
		     : "memory");
}

/* Calls that need care to leave this program alive; true when the call was made, or is better not made. */
bool special_call(struct worker *w) {
	u64 *a = w->a;
	switch (w->number) {
	case SYS_exit:
	case SYS_exit_group: return true;
	case SYS_mmap: any_mmap(w); return true;
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_madvise: confine_range(w, &a[0], &a[1]); return false;
	case SYS_brk:
		CALL_N(SYS_brk, below(w, 2) ? first_break + any_length(w) % (4 * MIB) : any_address(w));
		CALL_N(SYS_brk, first_break);
		return true;
	case SYS_rt_sigaction: any_action(w); return true;
	case SYS_rt_sigprocmask:
		a[1] = below(w, 2) ? any_address(w) : open_mask(w);
		call6(w->number, a);
		set_mask(0);
		return true;
	case SYS_rt_sigreturn: any_signal_return(w); return true;
	case SYS_sigaltstack: any_signal_stack(w); return true;
	case SYS_clone: /* never all that a thread needs: that would be one without a stack */
		a[0] &= ~CLONE_VM;
		return false;
	case SYS_kill: a[1] = below(w, 4) ? SIGUSR1 + below(w, 50) : 65 + (a[1] >> 8); return false;
	case SYS_tgkill:
		a[1] = below(w, 2) ? (u64)w->id : below(w, 600) + 1000;
		a[2] = below(w, 4) ? SIGUSR1 + below(w, 50) : 65 + (a[2] >> 8);
		return false;
	case SYS_set_tid_address:
		call6(w->number, a);
		CALL_N(SYS_set_tid_address, (u64)&w->id);
		return true;
	case SYS_arch_prctl:
		a[0] = ARCH_SET_FS - 1 + below(w, 5);
		if (a[0] == ARCH_SET_FS) a[1] = USER_TOP + (next(w) >> 16);
		return false;
	default: return false;
	}
}
