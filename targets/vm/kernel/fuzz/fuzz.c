/*
 * The kernel's fuzzer: the only program of its image. Several threads make random system calls with random and
 * half-plausible arguments, run instructions that a program may not, and return from signals that never came.
 * Whatever this program does to itself, the kernel must live and must keep refusing.
 *
 * On the kernel's command line: fuzz.seed=N fuzz.calls=N fuzz.threads=N. One thread replays exactly; of more, the
 * timer's interrupts shuffle the steps. It ends with "fuzz: N calls, kernel alive".
 *
 * It needs no library. A thread finds its struct worker at %fs:0. Every signal's handler sends the thread back to
 * the start of its loop, so a fault of its own costs a step and no more. Left out is only what may lawfully end the
 * machine: SIGKILL, exit_group, default actions, and device registers.
 */
#include "worker.h"

/* Nobody writes here after prepare(): a page that changes is one that the kernel has given out twice. */
static u64 witnesses[256][PAGE / 8] __attribute__((aligned(PAGE)));
u8 blocks[MAX_WORKERS + 1][WORKER_SIZE] __attribute__((aligned(WORKER_SIZE)));
u64 first_break;
static int console;

static void say(const char *text) { CALL_N(1, (u64)console, (u64)text, length_of(text)); }

static void say_number(u64 value) {
	char text[24];
	u32 at = sizeof text - 1;
	text[at] = 0;
	do text[--at] = (char)('0' + value % 10);
	while ((value /= 10));
	say(text + at);
}

/* A thread that makes no progress is told to go on; it waits, or it is out of luck with its mask. */
static void watch(struct worker *w) {
	if (w->calls != w->seen_calls) {
		w->seen_calls = w->calls;
		w->seen_ticks = 0;
		return;
	}
	if (++w->seen_ticks >= STALL_TICKS) CALL_N(SYS_tgkill, 1, (u64)w->id, SIGUSR1);
}

/* As many threads as the kernel allows, waiting for a word, then let go. */
static volatile u32 crowd_word;
static void crowd_wait(void) {
	while (!crowd_word) CALL_N(202, (u64)&crowd_word, FUTEX_WAIT, 0, 0);
	for (;;) CALL_N(SYS_exit, 0);
}
asm(".globl clone_crowd\n"
    "clone_crowd:\n" /* flags, stack */
    "	mov $56, %eax\n"
    "	xor %edx, %edx\n"
    "	xor %r10d, %r10d\n"
    "	syscall\n"
    "	test %rax, %rax\n"
    "	jz 1f\n"
    "	ret\n"
    "1:	call crowd_start\n"
    "	ud2\n");
i64 clone_crowd(u64 flags, u64 stack);
void __attribute__((used)) crowd_start(void) { crowd_wait(); }
static u8 crowd_stacks[1024][2048] __attribute__((aligned(16)));

static void crowd(void) {
	u32 count = 0;
	crowd_word = 0;
	while (count < LENGTH_OF(crowd_stacks) &&
	       clone_crowd((THREAD_FLAGS & ~(CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)),
			   (u64)crowd_stacks[count + 1]) > 0)
		count++;
	crowd_word = 1;
	CALL_N(202, (u64)&crowd_word, FUTEX_WAKE, ~0u >> 1);
	say("fuzz: ");
	say_number(count);
	say(" more threads at once\n");
}

static u64 option(const char *line, const char *key, u64 otherwise) {
	u32 length = length_of(key);
	for (; *line; line++) {
		u32 i = 0;
		u64 value = 0;
		while (i < length && line[i] == key[i]) i++;
		if (i < length) continue;
		while (line[i] >= '0' && line[i] <= '9') value = value * 10 + (u64)(line[i++] - '0');
		return value;
	}
	return otherwise;
}

static void prepare(void) {
	struct worker *self = (struct worker *)blocks[0];
	/* Files of our own lie where random numbers rarely lead. */
	while (CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/null", O_RDWR) < 1000)
		;
	console = (int)CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/console", O_WRONLY);
	open_window();
	for (u64 file = 0; file < 1000; file++) CALL_N(3, file);
	for (u64 file = 0; file < 3; file++) CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/null", O_RDWR);
	first_break = (u64)CALL_N(SYS_brk, 0);
	self->self = self;
	CALL_N(SYS_arch_prctl, ARCH_SET_FS, (u64)self);
	set_signal_stack(self);
	for (int signal = 1; signal <= SIGNAL_COUNT; signal++) set_action(self, signal, true);
	CALL_N(SYS_mmap, ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, ~0UL, 0);
	for (u32 i = 0; i < LENGTH_OF(witnesses); i++)
		for (u32 k = 0; k < LENGTH_OF(witnesses[i]); k++) witnesses[i][k] = (u64)i << 32 | k;
}

static void check_witnesses(void) {
	for (u32 i = 0; i < LENGTH_OF(witnesses); i++)
		for (u32 k = 0; k < LENGTH_OF(witnesses[i]); k++)
			if (witnesses[i][k] != ((u64)i << 32 | k)) {
				say("fuzz: memory has changed that no call was to change\n");
				CALL_N(SYS_exit_group, 1);
			}
}

static u64 total_calls(u32 threads, u64 finished) {
	for (u32 i = 1; i <= threads; i++) finished += ((struct worker *)blocks[i])->calls;
	return finished;
}

/* Runs until `calls` were made; a worker that ends is replaced by one with another seed. */
static u64 run(u64 seed, u64 calls, u32 threads) {
	u64 finished = 0, shown = 0, total, started = 0;
	struct timespec tick = {0, TICK};
	while ((total = total_calls(threads, finished)) < calls) {
		for (u32 i = 1; i <= threads; i++) {
			struct worker *w = (struct worker *)blocks[i];
			if (w->id) {
				watch(w);
				continue;
			}
			finished += w->calls;
			w->calls = 0;
			start_worker(i, seed + started++, threads == 1 ? calls : 20000);
		}
		if (total - shown >= 100000) {
			shown = total;
			check_witnesses();
			say("fuzz: ");
			say_number(total);
			say(" calls\n");
		}
		CALL_N(SYS_nanosleep, (u64)&tick, 0);
	}
	return total;
}

void __attribute__((used)) fuzz_main(void) {
	static char line[4096];
	i64 file = CALL_N(257, (u64)AT_FDCWD, (u64) "/proc/cmdline", O_RDONLY);
	u64 seed, calls, total;
	u32 threads;
	CALL_N(0, (u64)file, (u64)line, sizeof line - 1);
	CALL_N(3, (u64)file);
	seed = option(line, "fuzz.seed=", 1);
	calls = option(line, "fuzz.calls=", 200000);
	threads = (u32)option(line, "fuzz.threads=", 4);
	if (threads < 1 || threads > MAX_WORKERS) threads = 4;
	prepare();
	say("fuzz: seed ");
	say_number(seed);
	say(", threads ");
	say_number(threads);
	say("\n");
	crowd();
	total = run(seed, calls, threads);
	check_witnesses();
	crowd();
	say("fuzz: ");
	say_number(total);
	say(" calls, kernel alive\n");
	CALL_N(SYS_exit_group, 0);
}

asm(".globl _start\n"
    "_start:\n"
    "	xor %ebp, %ebp\n"
    "	and $-16, %rsp\n"
    "	call fuzz_main\n"
    "	ud2\n");
