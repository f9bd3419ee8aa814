/*
 * Calls about memory, threads, signals and time, as linux-calls.c has those about files: prints what they answer, and
 * Linux and our kernel have to print the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096L

static void line(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
}
#define SHOW(call) line(#call, (long)(call))
#define TITLE(text) printf("-- %s\n", text)

static sigjmp_buf recovery;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	fault_signal = signal;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(recovery, 1);
}

/* What a read or write of a byte meets: 0, or the signal and its code. */
static int probe(volatile char *at, int writing)
{
	if (sigsetjmp(recovery, 1))
		return (void *)fault_address == (void *)at ? fault_signal * 100 + fault_code : -1;
	if (writing)
		*at = 7;
	else
		(void)*at;
	return 0;
}

static char *map(char *at, long length, int protection, int flags)
{
	return mmap(at, length, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}
#define OFFSET(call) ({ char *got = (call); got == MAP_FAILED ? -1 : got - base; })

static void areas(void)
{
	TITLE("areas");
	char *base = map(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, 0);
	memset(base, 1, 16 * PAGE);
	SHOW(munmap(base + 4 * PAGE, PAGE));
	SHOW(munmap(base + 4 * PAGE, PAGE));
	SHOW(probe(base + 4 * PAGE, 0));
	SHOW(probe(base + 3 * PAGE, 1));
	SHOW(OFFSET(map(base + 4 * PAGE, PAGE, PROT_READ, MAP_FIXED_NOREPLACE)));
	SHOW(OFFSET(map(base + 3 * PAGE, 2 * PAGE, PROT_READ, MAP_FIXED_NOREPLACE)));
	SHOW(base[3 * PAGE]);
	SHOW(base[4 * PAGE]);
	SHOW(probe(base + 4 * PAGE, 1));
	SHOW(OFFSET(map(base + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED)));
	SHOW(base[5 * PAGE]);
	SHOW(OFFSET(map(base + 1, PAGE, PROT_READ, MAP_FIXED)));
	SHOW(OFFSET(map(NULL, 0, PROT_READ, 0)));
	SHOW(OFFSET(map(NULL, 1L << 48, PROT_READ, 0)));
	SHOW(OFFSET(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0)));
	SHOW(OFFSET(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0)));
	SHOW(munmap(base + 1, PAGE));
	SHOW(munmap(base, 0));
	SHOW(munmap((char *)-PAGE, PAGE));
	TITLE("protection");
	SHOW(mprotect(base + 6 * PAGE, PAGE, PROT_NONE));
	SHOW(probe(base + 6 * PAGE, 0));
	SHOW(mprotect(base + 6 * PAGE, PAGE, PROT_READ));
	SHOW(base[6 * PAGE]);
	SHOW(probe(base + 6 * PAGE, 1));
	SHOW(mprotect(base + 6 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	SHOW(probe(base + 6 * PAGE, 1));
	SHOW(base[6 * PAGE]);
	SHOW(munmap(base + 7 * PAGE, PAGE));
	/* We change nothing where Linux changes what lies before the hole. */
	SHOW(mprotect(base + 6 * PAGE, 3 * PAGE, PROT_READ));
	SHOW(probe(base + 8 * PAGE, 1));
	SHOW(mprotect(base + 1, PAGE, PROT_READ));
	SHOW(mprotect(base, 0, PROT_READ));
	TITLE("advice");
	SHOW(madvise(base + 9 * PAGE, PAGE, MADV_DONTNEED));
	SHOW(base[9 * PAGE]);
	SHOW(base[10 * PAGE]);
	SHOW(madvise(base + 1, PAGE, MADV_DONTNEED));
	SHOW(madvise(base, PAGE, 12345));
	SHOW(madvise(base + 6 * PAGE, 3 * PAGE, MADV_DONTNEED));
	SHOW(base[8 * PAGE]);
	SHOW(madvise(base, 0, MADV_DONTNEED));
	SHOW(madvise(base, PAGE, MADV_WILLNEED));
	SHOW(munmap(base, 16 * PAGE));
	TITLE("files in memory");
	int fd = open("/proc/self/exe", O_RDONLY);
	char *file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	SHOW(memcmp(file, "\177ELF", 4));
	file[1] = 'e';
	SHOW(memcmp(file, "\177eLF", 4));
	SHOW(madvise(file, PAGE, MADV_DONTNEED));
	SHOW(memcmp(file, "\177ELF", 4));
	SHOW(OFFSET(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1)));
	SHOW(OFFSET(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
	struct stat stat;
	fstat(fd, &stat);
	long size = stat.st_size;
	char *end = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, size & -PAGE);
	SHOW(probe(end, 0));
	SHOW(end[size % PAGE]);
	SHOW(probe(end + PAGE, 0) != 0); /* SIGBUS there, SIGSEGV here */
	SHOW(close(fd));
	SHOW(file[0]);
	char *brk = sbrk(0);
	SHOW((char *)sbrk(3 * PAGE) - brk);
	SHOW(probe(brk + 2 * PAGE, 1));
	SHOW((char *)sbrk(-3 * PAGE) - brk);
	SHOW(probe(brk + 2 * PAGE + 100, 1));
}

static volatile sig_atomic_t caught;
static void on_signal(int signal)
{
	caught = caught * 100 + signal;
}

static char other_stack[65536];
static volatile int on_other;
static void on_stack(int signal, siginfo_t *info, void *context)
{
	char here;
	(void)signal;
	(void)info;
	ucontext_t *frame = context;
	on_other = &here >= other_stack && &here < other_stack + sizeof other_stack;
	/* Skips the instruction ud2, as a trap handler does. */
	frame->uc_mcontext.gregs[REG_RIP] += 2;
}

static void signals(void)
{
	sigset_t set, old;
	TITLE("signals");
	struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	SHOW(raise(SIGUSR1));
	SHOW(caught);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	caught = 0;
	SHOW(raise(SIGUSR2));
	SHOW(raise(SIGUSR1));
	SHOW(raise(SIGUSR1));
	SHOW(caught);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	SHOW(caught == SIGUSR1 * 100 + SIGUSR2 || caught == SIGUSR2 * 100 + SIGUSR1);
	sigprocmask(SIG_SETMASK, NULL, &old);
	SHOW(sigismember(&old, SIGUSR1));
	action.sa_handler = SIG_IGN;
	sigaction(SIGUSR1, &action, NULL);
	SHOW(raise(SIGUSR1));
	action.sa_handler = on_signal;
	action.sa_flags = SA_RESETHAND;
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &action);
	SHOW(action.sa_handler == SIG_DFL);
	SHOW(sigaction(SIGKILL, &action, NULL));
	SHOW(sigaction(65, &action, NULL));
	SHOW(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 4));
	SHOW(syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8));
	SHOW(kill(getpid(), 0));
	SHOW(kill(getpid(), 65));
	SHOW(syscall(SYS_tgkill, getpid(), 99999, SIGUSR1));
	stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof other_stack };
	SHOW(sigaltstack(&stack, NULL));
	struct sigaction info = { .sa_sigaction = on_stack, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	sigaction(SIGILL, &info, NULL);
	double kept = 1.5;
	asm volatile("ud2" : "+x"(kept));
	SHOW(on_other);
	SHOW(kept == 1.5);
	stack.ss_size = 100;
	SHOW(sigaltstack(&stack, NULL));
	stack = (stack_t){ .ss_flags = SS_DISABLE };
	SHOW(sigaltstack(&stack, NULL));
	SHOW(sigaltstack(NULL, &stack));
	SHOW(stack.ss_flags);
	TITLE("faults");
	SHOW(probe((char *)8, 0));
	SHOW(probe((char *)8, 1));
	SHOW(probe((char *)0xffffffff80100000, 0));
	SHOW(probe((char *)0xffffffff80100000, 1));
	SHOW(probe((char *)(1L << 46), 0));
	volatile int zero = 0;
	if (!sigsetjmp(recovery, 1))
		zero = 1 / zero;
	SHOW(fault_signal * 100 + fault_code);
	if (!sigsetjmp(recovery, 1))
		*(volatile char *)(1L << 62) = 0;
	SHOW(fault_signal * 1000 + fault_code);
	if (!sigsetjmp(recovery, 1))
		asm volatile("hlt");
	SHOW(fault_signal * 1000 + fault_code);
	if (!sigsetjmp(recovery, 1))
		asm volatile("int3");
	SHOW(fault_signal * 1000 + fault_code);
	if (!sigsetjmp(recovery, 1))
		((void (*)(void))(uintptr_t)other_stack)();
	SHOW(fault_signal * 100 + fault_code);
	SHOW(fault_address == other_stack);
}

static int word;
static long futex(int *at, int operation, int value, struct timespec *timeout)
{
	return syscall(SYS_futex, at, operation, value, timeout, NULL, ~0);
}

static void *wake_later(void *argument)
{
	struct timespec time = { 0, 20000000 };
	(void)argument;
	nanosleep(&time, NULL);
	word = 1;
	futex(&word, FUTEX_WAKE, 1, NULL);
	return NULL;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long sum;
static void *add(void *argument)
{
	(void)argument;
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&mutex);
		sum++;
		pthread_mutex_unlock(&mutex);
	}
	return argument;
}

/* Registers of one thread must not reach another, whatever preempts it. */
static void *compute(void *argument)
{
	double x = (double)(long)argument;
	for (long i = 0; i < 3000000; i++)
		x = x * 0.5 + 1;
	return (void *)(long)(x * 1000);
}

static __thread long local = 3;
static void *use_local(void *argument)
{
	local += (long)argument;
	sched_yield();
	return (void *)local;
}

static void threads(void)
{
	pthread_t thread[8];
	void *result;
	struct timespec time = { 0, 1000000 };
	TITLE("threads");
	SHOW(futex(&word, FUTEX_WAIT, 1, NULL));
	SHOW(futex(&word, FUTEX_WAIT, 0, &time));
	SHOW(futex(&word, FUTEX_WAKE, 1, NULL));
	SHOW(futex((int *)8, FUTEX_WAIT, 0, NULL));
	SHOW(futex((int *)((char *)&word + 1), FUTEX_WAIT, 0, NULL));
	SHOW(futex(&word, 77, 0, NULL));
	time.tv_nsec = -1;
	SHOW(futex(&word, FUTEX_WAIT, 0, &time));
	pthread_create(&thread[0], NULL, wake_later, NULL);
	while (!word)
		futex(&word, FUTEX_WAIT, 0, NULL);
	SHOW(word);
	pthread_join(thread[0], NULL);
	for (long i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, add, NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	SHOW(sum);
	for (long i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, compute, (void *)i);
	long total = 0;
	for (int i = 0; i < 8; i++) {
		pthread_join(thread[i], &result);
		total += (long)result;
	}
	SHOW(total);
	for (long i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, use_local, (void *)i);
	for (int i = 0; i < 8; i++) {
		pthread_join(thread[i], &result);
		SHOW((long)result);
	}
	for (int i = 0; i < 300; i++) {
		pthread_create(&thread[0], NULL, use_local, NULL);
		pthread_join(thread[0], NULL);
	}
	SHOW(prctl(PR_SET_NAME, "a name that is too long"));
	SHOW(prctl(PR_SET_NAME, (void *)8));
	SHOW(prctl(123456));
}

static void clocks(void)
{
	struct timespec time, later;
	TITLE("time");
	SHOW(clock_gettime(CLOCK_MONOTONIC, &time));
	SHOW(syscall(SYS_clock_gettime, 99, &time));
	SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)8));
	later = (struct timespec){ 0, 20000000 };
	SHOW(nanosleep(&later, NULL));
	clock_gettime(CLOCK_MONOTONIC, &later);
	SHOW((later.tv_sec - time.tv_sec) * 1000 + (later.tv_nsec - time.tv_nsec) / 1000000 >= 20);
	later = (struct timespec){ 0, 1000000000 };
	SHOW(nanosleep(&later, NULL));
	later = (struct timespec){ -1, 0 };
	SHOW(nanosleep(&later, NULL));
	SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL));
	SHOW(syscall(SYS_clock_nanosleep, 99, 0, &time, NULL));
	SHOW(syscall(SYS_nanosleep, (void *)8, NULL));
	SHOW(clock_getres(CLOCK_MONOTONIC, &time));
	SHOW(time.tv_nsec);
	SHOW(syscall(SYS_clock_getres, 99, &time));
	SHOW(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time));
	SHOW(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time));
	SHOW(syscall(SYS_time, (void *)8));
	SHOW(syscall(SYS_getrandom, other_stack, 300, 0));
	SHOW(syscall(SYS_getrandom, (void *)8, 300, 0));
	SHOW(syscall(SYS_getrandom, other_stack, 1, 0x100));
	struct rlimit limit;
	SHOW(getrlimit(99, &limit));
	cpu_set_t cpus;
	SHOW(syscall(SYS_sched_getaffinity, 0, 4, &cpus));
	SHOW(sched_yield());
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGTRAP, &action, NULL);
	areas();
	signals();
	threads();
	clocks();
	printf("-- end\n");
	return 0;
}
