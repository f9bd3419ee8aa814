/* A thread of the fuzzer: its steps, and how it goes on after a signal. */
#include "worker.h"

static void tidy(struct worker *w) {
	for (u64 file = below(w, 64); file < 900; file++) CALL_N(3, file);
	if (below(w, 2))
		CALL_N(SYS_mmap, ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		       ~0UL, 0);
}

static void step(struct worker *w) {
	u64 dice = below(w, 1024);
	w->calls++;
	if (dice < 3) {
		tidy(w);
		return;
	}
	if (dice < 40) {
		instruction_step(w);
		return;
	}
	choose_call(w);
	if (dice < 80) {
		window_step(w);
		return;
	}
	plant_words(w);
	if (special_call(w)) return;
	i64 result = call6(w->number, w->a);
	if (w->number == SYS_epoll_create1 && result >= 0) w->epoll_file = (u64)result;
	if (w->number == SYS_openat && result >= 0) w->directory = (u64)result;
}

/* The loop restarts here after a signal, on the stack as it was. */
void worker_loop(struct worker *w) __attribute__((noreturn));
asm(".globl resume_loop, signal_return\n"
    "resume_loop:\n"
    "	mov %fs:8, %rsp\n"
    "	cld\n"
    "	xor %ebp, %ebp\n"
    "	mov %fs:0, %rdi\n"
    "	call worker_loop\n"
    "	ud2\n"
    "signal_return:\n"
    "	mov $15, %eax\n"
    "	syscall\n"
    "	ud2\n");

void worker_loop(struct worker *w) {
	/* The signal may have come just before the last step would have mended these. */
	set_signal_stack(w);
	CALL_N(SYS_set_tid_address, (u64)&w->id);
	while (w->steps_left) {
		w->steps_left--;
		step(w);
	}
	/* What the kernel finds at the end of a thread is the program's to invent, too. */
	CALL_N(273, below(w, 2) ? own_words(w) : any_address(w), 24);
	for (;;) CALL_N(SYS_exit, 0);
}

void signal_entry(int signal, struct siginfo *info, struct ucontext *context) {
	struct worker *w;
	asm volatile("mov %%fs:0, %0" : "=r"(w));
	if (w == (struct worker *)blocks[0]) return;
	if (info->code <= 0 && signal != SIGUSR1 && below(w, 2)) return;
	if (context->extended_state) memcpy(w->xstate, (void *)context->extended_state, XSTATE_SIZE / 4);
	context->rip = (u64)resume_loop;
	context->rflags = 0x202;
	context->mask = 0;
	memcpy(&w->context, context, sizeof *context);
}

/* The child comes back from the same call with its own stack and %fs. */
asm(".globl clone_thread\n"
    "clone_thread:\n" /* flags, stack, parent_tid, child_tid, tls */
    "	mov %rcx, %r10\n"
    "	mov $56, %eax\n"
    "	syscall\n"
    "	test %rax, %rax\n"
    "	jz 1f\n"
    "	ret\n"
    "1:	jmp resume_loop\n");
i64 clone_thread(u64 flags, u64 stack, volatile i32 *parent, volatile i32 *child, u64 tls);

i64 start_worker(u32 index, u64 seed, u64 steps) {
	struct worker *w = (struct worker *)blocks[index];
	memset(w, 0, __builtin_offsetof(struct worker, signal_stack));
	w->self = w;
	w->loop_stack = (u64)w + WORKER_SIZE;
	w->random = mix(seed);
	w->steps_left = steps;
	return clone_thread(THREAD_FLAGS, (u64)w + WORKER_SIZE, &w->id, &w->id, (u64)w);
}
