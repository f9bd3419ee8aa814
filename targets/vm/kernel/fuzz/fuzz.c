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
#pragma GCC visibility push(hidden) /* symbols are near: the program lies far from where small numbers point */
#include "../linux.h"
#include "../calls.h"

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

/* Nobody writes here after prepare(): a page that changes is one that the kernel has given out twice. */
static u64 witnesses[256][PAGE / 8] __attribute__((aligned(PAGE)));
static u8 blocks[MAX_WORKERS + 1][WORKER_SIZE] __attribute__((aligned(WORKER_SIZE)));
static u64 first_break;
static int console;
/* Window files that only window_step() uses. */
static i64 memory_file, port_file, dma_file, power_file;
static u32 dma_bound;
extern char __executable_start[], etext[], end[], resume_loop[];

void *memcpy(void *to, const void *from, size_t n) {
	for (size_t i = 0; i < n; i++) ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
	return to;
}

void *memset(void *to, int byte, size_t n) {
	for (size_t i = 0; i < n; i++) ((volatile u8 *)to)[i] = (u8)byte;
	return to;
}

static i64 call6(u64 number, const u64 *a) {
	register u64 r10 asm("r10") = a[3];
	register u64 r8 asm("r8") = a[4];
	register u64 r9 asm("r9") = a[5];
	i64 result;
	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return result;
}

#define CALL_N(number, ...) call6(number, (const u64[6]){__VA_ARGS__})

static u32 length_of(const char *text) {
	u32 n = 0;
	while (text[n]) n++;
	return n;
}

static void say(const char *text) { CALL_N(1, (u64)console, (u64)text, length_of(text)); }

static void say_number(u64 value) {
	char text[24];
	u32 at = sizeof text - 1;
	text[at] = 0;
	do text[--at] = (char)('0' + value % 10);
	while ((value /= 10));
	say(text + at);
}

/* xorshift64*, seeded through splitmix64 */
static u64 next(struct worker *w) {
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * 0x2545f4914f6cdd1dUL;
}

static u64 mix(u64 x) {
	x += 0x9e3779b97f4a7c15UL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9UL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebUL;
	return (x ^ x >> 31) | 1;
}

static u64 below(struct worker *w, u64 bound) { return next(w) % bound; }

static u64 arena_address(struct worker *w) {
	u64 span = below(w, 2) ? 16 * PAGE : ARENA_SIZE;
	u64 at = ARENA + below(w, span);
	switch (below(w, 4)) {
	case 0: return ALIGN_DOWN(at, PAGE);
	case 1: return ALIGN_UP(at, PAGE) - below(w, 20);
	case 2: return at;
	default: return ALIGN_DOWN(at, 8);
	}
}

static u64 bad_address(struct worker *w) {
	switch (below(w, 11)) {
	case 0: return 0;
	case 1: return below(w, 2 * PAGE);
	case 2: return USER_TOP - below(w, 2 * PAGE);
	case 3: return USER_TOP + below(w, 2 * PAGE);
	case 4: return 0x0000800000000000UL + below(w, 1UL << 46);                            /* not canonical */
	case 5: return 0xffff800000000000UL + below(w, 512 * MIB);                            /* all of RAM */
	case 6: return 0xffffffff80100000UL + below(w, 512 * KIB);                            /* the kernel */
	case 7: return 0xffffc90000000000UL + below(w, 16 * MIB);                             /* its stacks */
	case 8: return (u64)__executable_start + below(w, (u64)(etext - __executable_start)); /* read-only */
	case 9: return -below(w, PAGE);
	default: return next(w);
	}
}

static u64 any_address(struct worker *w) { return below(w, 4) ? arena_address(w) : bad_address(w); }

static u64 any_length(struct worker *w) {
	switch (below(w, 10)) {
	case 0: return 0;
	case 1:
	case 2: return below(w, 64);
	case 3:
	case 4: return below(w, 3 * PAGE);
	case 5: return PAGE * below(w, 64);
	case 6: return PAGE - 2 + below(w, 4);
	case 7: return 1UL << below(w, 64);
	case 8: return -below(w, 2 * PAGE);
	default: return below(w, ARENA_SIZE);
	}
}

static u64 any_file(struct worker *w) {
	static const u64 odd[] = {~0UL, 1023, 1024, 1025, 0x7fffffff, 0x80000000, (u64)AT_FDCWD};
	return below(w, 8) ? below(w, 24) : odd[below(w, LENGTH_OF(odd))];
}

static u64 any_bits(struct worker *w) {
	u64 bits = 0;
	for (u64 n = below(w, 4); n; n--) bits |= 1UL << below(w, below(w, 8) ? 24 : 64);
	return bits;
}

static u64 anything(struct worker *w) {
	switch (below(w, 8)) {
	case 0:
	case 1: return any_address(w);
	case 2: return any_length(w);
	case 3: return any_file(w);
	case 4: return any_bits(w);
	case 5: return below(w, 16);
	case 6: return -below(w, 16);
	default: return next(w);
	}
}

static u64 any_path(struct worker *w) {
	static const char *const paths[] = {
		"/",
		"",
		".",
		"..",
		"/boot",
		"/boot/argv",
		"argv",
		"/bin/fuzz",
		"/bin/fuzz/",
		"//bin//fuzz",
		"/nothing",
		"/link",
		"/loop",
		"/proc/self/maps",
		"/proc/self/stat",
		"/proc/self/status",
		"/proc/meminfo",
		"/proc/cpuinfo",
		"/proc/self/exe",
		"/proc/cmdline",
		"/proc",
		"/dev/null",
		"/dev/zero",
		"/dev/urandom",
		"/dev/window/info",
		"/dev/window",
		"/dev/window/interrupt",
		"/dev/window/xen",
		"/boot/../../../boot/./argv",
		"/bin/fuzz/below/a/file",
	};
	const char *path = paths[below(w, LENGTH_OF(paths))];
	u64 length;
	switch (below(w, 8)) {
	case 0: return any_address(w);
	case 1: /* too long, or nearly */
		length = PATH_MAX - 4 + below(w, 8);
		memset(w->path, below(w, 2) ? '/' : 'a', length);
		break;
	default: length = length_of(path); memcpy(w->path, path, length);
	}
	w->path[length] = 0;
	return (u64)w->path;
}

/* A little memory of the worker's own, filled with anything. */
static u64 own_words(struct worker *w) {
	for (u32 i = 0; i < LENGTH_OF(w->words); i++) w->words[i] = anything(w);
	return (u64)w->words;
}

static u64 short_time(struct worker *w) {
	if (!below(w, 4)) return any_address(w);
	w->words[0] = below(w, 16) ? 0 : anything(w);
	w->words[1] = below(w, 16) ? below(w, 2000000) : anything(w);
	return (u64)w->words;
}

/* With SIGUSR1 always open: it ends calls that would wait for ever. */
static u64 open_mask(struct worker *w) {
	if (!below(w, 8)) return -below(w, PAGE);
	w->words[32] = next(w) & ~(1UL << (SIGUSR1 - 1));
	return (u64)&w->words[32];
}

/* Arguments that get past the first check: one letter each. Calls without an entry get anything. */
static const struct shape {
	u32 number;
	const char *letters;
} shapes[] = {
	{0, "fpl"},   {1, "fpl"},    {2, "sg"},      {3, "f"},      {4, "sp"},     {5, "fp"},       {6, "sp"},
	{7, "pci"},   {8, "fli"},    {9, "PLrmfL"},  {10, "PLr"},   {11, "PL"},    {16, "fqp"},     {17, "fpcL"},
	{18, "fpcL"}, {19, "fwc"},   {20, "fwc"},    {21, "si"},    {25, "PLLcP"}, {28, "PLi"},     {35, "tp"},
	{72, "fic"},  {79, "pl"},    {80, "s"},      {89, "spl"},   {96, "pp"},    {98, "zp"},      {99, "p"},
	{157, "ip"},  {201, "p"},    {202, "Witpi"}, {204, "z8p"},  {217, "Dpl"},  {228, "ip"},     {229, "ip"},
	{230, "zzt"}, {232, "Epci"}, {233, "Ecfw"},  {257, "Dsg"},  {262, "Dspg"}, {281, "Epci08"}, {290, "ig"},
	{291, "G"},   {293, "pg"},   {295, "fwcL"},  {296, "fwcL"}, {302, "ziww"}, {318, "plz"},    {332, "Dsgip"},
};

static u64 argument(struct worker *w, char letter) {
	static const u64 map_kinds[] = {MAP_PRIVATE, MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS,
					MAP_SHARED};
	static const u64 requests[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX};
	u64 usual = below(w, 8);
	switch (letter) {
	case 'f': /* a file */ return any_file(w);
	case 'E': /* one that epoll_create made not long ago, or a directory */
		return usual ? w->epoll_file : any_file(w);
	case 'D': return usual > 3 ? (u64)AT_FDCWD : usual ? w->directory : any_file(w);
	case 'p': return any_address(w);
	case 'P': return usual ? ALIGN_DOWN(arena_address(w), PAGE) : any_address(w);
	case 'W': return usual ? ARENA + 4 * below(w, 8) : any_address(w);
	case 'l': return any_length(w);
	case 'L': return usual ? PAGE * below(w, 24) : any_length(w);
	case 'c': /* a count */ return usual ? below(w, 5) : any_length(w);
	case 's': return any_path(w);
	case 'g': return usual > 3 ? 0 : usual > 1 ? any_bits(w) : O_CLOEXEC | O_NONBLOCK;
	case 'G': return usual ? O_CLOEXEC * below(w, 2) : any_bits(w);
	case 'i': return below(w, 20);
	case 'z': return usual ? below(w, 2) : anything(w);
	case 'r': return usual ? below(w, 8) : anything(w);
	case 'w': return own_words(w);
	case 't': return short_time(w);
	case 'm': return map_kinds[below(w, LENGTH_OF(map_kinds))] | (below(w, 2) ? MAP_FIXED : 0);
	case 'q': return usual ? requests[below(w, LENGTH_OF(requests))] : anything(w);
	case '0': return 0;
	case '8': return 8;
	case '2': return 24;
	default: return anything(w);
	}
}

static void choose_arguments(struct worker *w) {
	for (u32 i = 0; i < 6; i++) w->a[i] = anything(w);
	if (!below(w, 5)) return;
	for (u32 i = 0; i < LENGTH_OF(shapes); i++)
		if (shapes[i].number == w->number)
			for (u32 k = 0; k < 6 && shapes[i].letters[k]; k++) w->a[k] = argument(w, shapes[i].letters[k]);
}

/* Numbers that stand in calls.h, handled or not. */
static const u16 known[] = {
#define NUMBER(number, name)                number,
#define ANSWER_NUMBER(number, name, result) number,
	SYSTEM_CALLS(NUMBER, ANSWER_NUMBER)};

static u64 choose_number(struct worker *w) {
	switch (below(w, 64)) {
	case 0: return next(w);
	case 1:
	case 2: return below(w, 600);
	case 3 ... 30: return shapes[below(w, LENGTH_OF(shapes))].number;
	default: return known[below(w, LENGTH_OF(known))];
	}
}

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

void signal_return(void);
void signal_entry(int signal, struct siginfo *info, struct ucontext *context);

static void set_action(struct worker *w, int signal, bool plain) {
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

static void set_signal_stack(struct worker *w) {
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
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS | CLONE_PARENT_SETTID | \
	 CLONE_CHILD_CLEARTID)

static void window_step(struct worker *w) {
	u64 value = next(w), width = 1UL << below(w, 4);
	u64 length = below(w, 4) ? width : any_length(w), file = (u64)memory_file, offset;
	switch (below(w, 8)) {
	case 0: /* RAM is refused, whatever the length */
		CALL_N(18, file, (u64)&value, length, below(w, 2) ? MIB + below(w, 100 * MIB) : next(w) | 1UL << 52);
		break;
	case 1: CALL_N(17, file, any_address(w), length, below(w, 64 * MIB)); break;
	case 2: /* but not where QEMU's serial port fails an assertion when it is read in words */
		offset = below(w, 0x12000);
		CALL_N(17, (u64)port_file, any_address(w), length, (offset & ~0xfUL) == 0x3f0 ? 0 : offset);
		break;
	case 3: /* 0x80: where firmware shows how far it is */
		CALL_N(18, (u64)port_file, below(w, 2) ? (u64)&value : any_address(w), length,
		       below(w, 2) ? 0x80 : 0x10000 + below(w, PAGE) - 3);
		break;
	case 4:
		if (dma_bound++ < 64)
			CALL_N(0, (u64)dma_file, arena_address(w), below(w, 4) ? below(w, 16 * PAGE) : any_length(w));
		else
			CALL_N(0, (u64)dma_file, bad_address(w), any_length(w));
		break;
	case 5:
		CALL_N(17, (u64)dma_file, any_address(w), any_length(w), below(w, 2) ? below(w, 128 * MIB) : next(w));
		break;
	case 6: /* an action that there is not */
		own_words(w);
		w->words[0] |= 2;
		CALL_N(1, (u64)power_file, (u64)w->words, below(w, 4) ? 24 : below(w, 64));
		break;
	default: CALL_N(below(w, 2) ? 16 : 5, below(w, 2) ? file : (u64)port_file, w->a[1], any_address(w));
	}
}

/* Each of these must end as a signal, or do nothing. */
static void instruction_step(struct worker *w) {
	u64 bad = bad_address(w) | 1UL << 62, *words = (u64 *)own_words(w);
	switch (below(w, 24)) {
	case 0: asm volatile("int3"); break;
	case 1: asm volatile("ud2"); break;
	case 2: asm volatile("int $0x80"); break;
	case 3: asm volatile("int $32"); break;
	case 4: asm volatile("int $14"); break;
	case 5: asm volatile("hlt"); break;
	case 6: asm volatile("cli"); break;
	case 7: asm volatile("out %%al, $0x80" ::"a"(0)); break;
	case 8: asm volatile("rdmsr" ::"c"(0xc0000080) : "rax", "rdx"); break;
	case 9: asm volatile("mov %%rax, %%cr3" ::"a"(0)); break;
	case 10: asm volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; div %%ecx" ::"a"(1) : "rcx", "rdx"); break;
	case 11: asm volatile("jmp *%0" ::"r"(bad)); break;
	case 12: asm volatile("push %0; popfq" ::"r"(next(w) & 0x257fd5) : "memory", "cc"); break;
	case 13: asm volatile("mov %0, %%rsp; push %%rax; jmp resume_loop" ::"r"(bad)); break;
	case 14: asm volatile("mov %0, %%rsp; mov $39, %%eax; syscall; jmp resume_loop" ::"r"(bad)); break;
	case 15: asm volatile("mov %0, %%ds" ::"r"(next(w) & 0x3b)); break;
	case 16: asm volatile("mov %0, %%gs" ::"r"(next(w) & 0x3b)); break;
	case 17: asm volatile("wrgsbase %0" ::"r"(bad_address(w))); break;
	case 18: asm volatile("xrstor64 (%0)" ::"r"(w->xstate), "a"(~0u), "d"(~0u) : "memory"); break;
	case 19: asm volatile("ldmxcsr (%0)" ::"r"(words)); break;
	case 20: asm volatile("fldcw (%0); fldpi; fldz; fdivrp; fwait" ::"r"(words)); break;
	case 21: asm volatile("pushq $0x2b; pushq %0; iretq" ::"r"(bad) : "memory"); break;
	case 22: asm volatile("pushq %0; lretq" ::"r"(bad) : "memory"); break;
	default: asm volatile("sysenter"); break;
	}
}

/* Calls that need care to leave this program alive; true when the call was made, or is better not made. */
static bool special_call(struct worker *w) {
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

/* Puts plausible words where a pointer leads. The arena may have a hole there: then the step ends here. */
static void plant_words(struct worker *w) {
	for (u32 i = 0; i < 6; i++) {
		u64 *at = (u64 *)w->a[i];
		if (w->a[i] < ARENA || w->a[i] >= ARENA + ARENA_SIZE || below(w, 3)) continue;
		for (u64 n = below(w, 12); n; n--) *(volatile u64 *)at++ = anything(w);
	}
}

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
	w->number = choose_number(w);
	choose_arguments(w);
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

static i64 start_worker(u32 index, u64 seed, u64 steps) {
	struct worker *w = (struct worker *)blocks[index];
	memset(w, 0, __builtin_offsetof(struct worker, signal_stack));
	w->self = w;
	w->loop_stack = (u64)w + WORKER_SIZE;
	w->random = mix(seed);
	w->steps_left = steps;
	return clone_thread(THREAD_FLAGS, (u64)w + WORKER_SIZE, &w->id, &w->id, (u64)w);
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
	memory_file = CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/window/memory", O_RDWR);
	port_file = CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/window/port", O_RDWR);
	dma_file = CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/window/dma", O_RDWR);
	power_file = CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/window/power", O_WRONLY);
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
