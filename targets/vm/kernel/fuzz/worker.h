/* What all of the fuzzer shares: its threads, and the memory that they may do with as they like. */
#pragma once

#pragma GCC visibility push(hidden) /* symbols are near: the program lies far from where small numbers point */
#include "../linux.h"

#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Where calls may map, unmap and write as they like. */
#define ARENA      0x200000000000UL
#define ARENA_SIZE (4 * MIB)
#define USER_TOP   0x00007ffffffff000UL

/* What the kernel need not know by name. */
enum { SIGUSR1 = 10, SA_SIGINFO = 4, SA_RESTORER = 0x4000000, PATH_MAX = 4096, FIONREAD = 0x541b };

#define WORKER_SIZE       (128 * KIB) /* with its stacks */
#define MAX_WORKERS       24
#define SIGNAL_STACK_SIZE (32 * KIB)
#define XSTATE_SIZE       PAGE
#define STALL_TICKS       3
#define TICK              3000000L /* nanoseconds */

#define SYS_mmap            9
#define SYS_mprotect        10
#define SYS_munmap          11
#define SYS_brk             12
#define SYS_rt_sigaction    13
#define SYS_rt_sigprocmask  14
#define SYS_rt_sigreturn    15
#define SYS_madvise         28
#define SYS_nanosleep       35
#define SYS_clone           56
#define SYS_exit            60
#define SYS_kill            62
#define SYS_sigaltstack     131
#define SYS_arch_prctl      158
#define SYS_set_tid_address 218
#define SYS_exit_group      231
#define SYS_tgkill          234
#define SYS_openat          257
#define SYS_epoll_create1   291

struct worker {
	struct worker *self;
	u64 loop_stack; /* offset 8: resume_loop takes it for rsp */
	u64 random;
	u64 calls;
	u64 number, a[6]; /* of the last call */
	volatile i32 id;  /* 0: no thread runs here; the kernel clears it */
	u64 steps_left;
	u64 epoll_file, directory;
	u64 seen_calls; /* by the watch, and for how many ticks */
	u32 seen_ticks;
	struct ucontext context; /* of the last signal, for rt_sigreturn with changes */
	u8 xstate[XSTATE_SIZE] __attribute__((aligned(64)));
	char path[PATH_MAX + 64];
	u64 words[64];
	u8 signal_stack[SIGNAL_STACK_SIZE] __attribute__((aligned(16)));
};

/* Block 0 is the first thread's, which only watches. */
extern u8 blocks[MAX_WORKERS + 1][WORKER_SIZE];
extern u64 first_break;
extern char __executable_start[], etext[], end[], resume_loop[];

/* call.c */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
i64 call6(u64 number, const u64 *a);
#define CALL_N(number, ...) call6(number, (const u64[6]){__VA_ARGS__})
u32 length_of(const char *text);

/* arguments.c */
u64 mix(u64 x); /* a state for a worker's random numbers */
u64 next(struct worker *w);
u64 below(struct worker *w, u64 bound);
u64 arena_address(struct worker *w);
u64 bad_address(struct worker *w);
u64 any_address(struct worker *w);
u64 any_length(struct worker *w);
u64 anything(struct worker *w);
u64 own_words(struct worker *w);
u64 open_mask(struct worker *w);
void choose_call(struct worker *w);
void plant_words(struct worker *w);

/* careful-calls.c, window.c, instructions.c */
bool special_call(struct worker *w);
void set_action(struct worker *w, int signal, bool plain);
void set_signal_stack(struct worker *w);
void open_window(void);
void window_step(struct worker *w);
void instruction_step(struct worker *w);

/* thread.c */
void signal_return(void);
void signal_entry(int signal, struct siginfo *info, struct ucontext *context);
i64 start_worker(u32 index, u64 seed, u64 steps);
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | \
	 CLONE_CHILD_CLEARTID)
