/*
 * Makes calls on memory and prints what came of them. Linux and our kernel have to print the same: see
 * memory-calls.test.ts. First a list of cases, then random calls on a window of pages: of those a hash is printed, of
 * all results and of what every page holds.
 *
 *     memory-calls            the cases
 *     memory-calls N CALLS    N random runs of so many calls
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL
/* Nobody else maps anything here, and it crosses the border of a page table. */
#define BASE ((volatile unsigned char *)0x101fe0000UL)
#define PAGES 96
#define ANYWHERE (MAP_PRIVATE | MAP_ANONYMOUS)
#define HERE (ANYWHERE | MAP_FIXED)
#define BOTH (PROT_READ | PROT_WRITE)
#define AT(page) ((void *)(BASE + (page) * PAGE))
#define BYTE(page) BASE[(page) * PAGE]

static sigjmp_buf recovery;

static void on_fault(int signal) { siglongjmp(recovery, signal); }

static void catch_faults(void)
{
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER };
	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* Addresses differ from run to run: only those in the window are printed. */
static void line(const char *what, long result)
{
	if (result == -1)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else if (result >= (long)BASE && result < (long)AT(PAGES))
		printf("%s: page %ld\n", what, (result - (long)BASE) / (long)PAGE);
	else
		printf("%s: %s\n", what, result ? "somewhere" : "done");
}
#define SHOW(call) line(#call, (long)(call))
#define VALUE(value) printf("%s = %ld\n", #value, (long)(value))
#define TITLE(text) printf("-- %s\n", text)
#define TRY(statement)                                                                                                 \
	do {                                                                                                           \
		int fault = sigsetjmp(recovery, 1);                                                                    \
		if (!fault)                                                                                            \
			statement;                                                                                     \
		printf("%s: %s\n", #statement, fault ? "faults" : "done");                                             \
	} while (0)

static void protection(void)
{
	TITLE("protection keeps contents");
	SHOW(mmap(AT(0), 16 * PAGE, BOTH, ANYWHERE | MAP_FIXED_NOREPLACE, -1, 0));
	SHOW(mmap(AT(0), PAGE, BOTH, ANYWHERE | MAP_FIXED_NOREPLACE, -1, 0));
	VALUE(BYTE(0));
	BYTE(0) = 1;
	BYTE(5) = 5;
	SHOW(mprotect(AT(0), 4 * PAGE, PROT_NONE));
	TRY(VALUE(BYTE(0)));
	TRY(BYTE(0) = 2);
	SHOW(mprotect(AT(0), 4 * PAGE, PROT_READ));
	TRY(VALUE(BYTE(0)));
	TRY(BYTE(0) = 2);
	TRY(BYTE(1) = 2);
	SHOW(mprotect(AT(0), 4 * PAGE, BOTH));
	TRY(BYTE(0) = 3);
	VALUE(BYTE(0));
	TITLE("holes");
	SHOW(munmap(AT(2), PAGE));
	TRY(BYTE(2) = 1);
	TRY(BYTE(3) = 1);
	SHOW(mprotect(AT(0), 4 * PAGE, PROT_READ));
	SHOW(madvise(AT(0), 4 * PAGE, MADV_DONTNEED));
	SHOW(madvise(AT(0), 4 * PAGE, MADV_WILLNEED));
	TITLE("a mapping over the middle of another");
	memset(AT(5), 3, 8 * PAGE);
	SHOW(mmap(AT(7), 2 * PAGE, BOTH, HERE, -1, 0));
	VALUE(BYTE(6));
	VALUE(BYTE(7));
	VALUE(BYTE(9));
	TITLE("discarding");
	SHOW(madvise(AT(5), PAGE, MADV_DONTNEED));
	VALUE(BYTE(5));
	SHOW(madvise(AT(5), PAGE, 9999));
	SHOW(madvise((char *)AT(5) + 1, PAGE, MADV_DONTNEED));
	SHOW(madvise(AT(5), 0, MADV_DONTNEED));
	TITLE("execution");
	BYTE(6) = 0xc3; /* ret */
	TRY(((void (*)(void))AT(6))());
	SHOW(mprotect(AT(6), PAGE, PROT_READ | PROT_EXEC));
	TRY(((void (*)(void))AT(6))());
	TRY(BYTE(6) = 0);
	SHOW(mprotect(AT(6), PAGE, PROT_WRITE));
	TRY(VALUE(BYTE(6)));
}

static void arguments(void)
{
	TITLE("arguments that make no sense");
	SHOW(mmap((char *)AT(0) + 1, PAGE, PROT_READ, HERE, -1, 0));
	SHOW(mmap(AT(0), 0, PROT_READ, ANYWHERE, -1, 0));
	SHOW(mmap(AT(0), PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
	SHOW(mmap(AT(0), PAGE, PROT_READ, MAP_PRIVATE, -1, 0));
	SHOW(mmap(AT(0), ~0UL, PROT_READ, ANYWHERE, -1, 0));
	SHOW(mmap(NULL, 1UL << 47, PROT_NONE, ANYWHERE | MAP_NORESERVE, -1, 0));
	SHOW(munmap(AT(0), 0));
	SHOW(munmap((char *)AT(0) + 1, PAGE));
	SHOW(munmap((void *)~0xfffUL, PAGE));
	SHOW(munmap(AT(80), PAGE));
	SHOW(mprotect((char *)AT(0) + 1, PAGE, PROT_READ));
	SHOW(mprotect(AT(80), PAGE, PROT_READ));
	SHOW(mprotect(AT(0), ~0xfffUL, PROT_READ));
	TITLE("addresses that are not the program's");
	TRY(*(volatile char *)0);
	TRY(*(volatile char *)0xffffffff80100000UL);
	TRY(*(volatile char *)0x800000000000UL);
	TRY(*(volatile char *)0xffff800000000000UL = 1);
	TRY(*(volatile char *)(1UL << 63) = 1);
}

static void files(const char *self)
{
	int fd = open(self, O_RDONLY);
	struct stat stat;
	fstat(fd, &stat);
	long size = stat.st_size;
	long end = (size + (long)PAGE - 1) & ~(long)(PAGE - 1);
	TITLE("files");
	volatile char *file = mmap(NULL, 8 * PAGE, BOTH, MAP_PRIVATE, fd, 0);
	VALUE(file[1]);
	VALUE(file[4 * PAGE]);
	file[1] = 'Z';
	VALUE(file[1]);
	VALUE(file[2]);
	SHOW(madvise((void *)file, 8 * PAGE, MADV_DONTNEED));
	VALUE(file[1]);
	SHOW(madvise((void *)file, PAGE, MADV_FREE));
	SHOW(mmap(NULL, PAGE, BOTH, MAP_SHARED, fd, 0));
	volatile char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	VALUE(shared[1]);
	SHOW(mprotect((void *)shared, PAGE, BOTH));
	TRY(*shared = 1);
	SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1));
	SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 77, 0));
	volatile char *whole = mmap(NULL, end + 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	TRY(VALUE(whole[end - 1]));
	TRY(VALUE(whole[end]));
	close(fd);
}

static void reservations(void)
{
	TITLE("the old heap");
	char *start = sbrk(0);
	VALUE(sbrk(100000) == start);
	memset(start, 1, 100000);
	VALUE(sbrk(-100000) == start + 100000);
	VALUE(sbrk(0) == start);
	TRY(VALUE(start[40960]));
	VALUE(syscall(SYS_brk, 1) == (long)start);
	TITLE("a terabyte that is not there");
	volatile char *large = mmap(NULL, 1UL << 40, PROT_NONE, ANYWHERE | MAP_NORESERVE, -1, 0);
	SHOW(mprotect((void *)(large + (1UL << 39)), PAGE, BOTH));
	large[1UL << 39] = 1;
	VALUE(large[1UL << 39]);
	SHOW(munmap((void *)large, 1UL << 40));
	TRY(VALUE(large[1UL << 39]));
	TITLE("many areas, and one again");
	int errors = 0, sum = 0;
	volatile char *many = mmap(NULL, 4096 * PAGE, BOTH, ANYWHERE, -1, 0);
	for (int i = 0; i < 4096; i += 2) {
		many[i * PAGE] = 1;
		errors |= mprotect((void *)(many + i * PAGE), PAGE, PROT_READ);
	}
	for (int i = 0; i < 4096; i += 2)
		errors |= mprotect((void *)(many + i * PAGE), PAGE, BOTH);
	for (int i = 0; i < 4096; i++)
		sum += many[i * PAGE];
	VALUE(errors);
	VALUE(sum);
	SHOW(munmap((void *)many, 4096 * PAGE));
}

/* Random calls. */

static unsigned long seed, hash;
static int self;

static unsigned draw(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 16) % below;
}

static void mix(long value)
{
	hash = (hash ^ (unsigned long)value) * 0x100000001b3UL;
	hash ^= hash >> 29;
}

static long read_byte(volatile unsigned char *from) { return sigsetjmp(recovery, 1) ? -1 : *from; }

static long write_byte(volatile unsigned char *to, unsigned value)
{
	if (sigsetjmp(recovery, 1))
		return -1;
	*to = (unsigned char)value;
	return 0;
}

static long random_call(void)
{
	static const int advices[] = { MADV_DONTNEED, MADV_NORMAL, MADV_WILLNEED };
	unsigned page = draw(PAGES), pages = 1 + draw(PAGES - page < 24 ? PAGES - page : 24);
	int how = draw(3) ? BOTH : (int)draw(8);
	char *at = AT(page);
	unsigned long length = pages * PAGE;
	switch (draw(10)) {
	case 0:
	case 1:
		return (long)mmap(at, length, how, HERE | MAP_NORESERVE, -1, 0);
	case 2:
		return (long)mmap(at, length, how, ANYWHERE | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
	case 3:
		return (long)mmap(at, length, how, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, self, draw(32) * PAGE);
	case 4:
		return (long)mmap(at, length, how & ~PROT_WRITE, MAP_SHARED | MAP_FIXED, self, draw(32) * PAGE);
	case 5:
		return munmap(at, length);
	case 6: {
		/* Linux protects what lies before a hole: that part is taken out of the comparison. */
		long result = mprotect(at, length, how);
		int error = errno;
		if (result)
			munmap(at, length);
		errno = error;
		return result;
	}
	case 7:
		return madvise(at, length, advices[draw(3)]);
	}
	for (int i = 0; i < 6; i++) {
		volatile unsigned char *byte = BASE + draw(PAGES) * PAGE + draw(PAGE);
		mix(draw(2) ? read_byte(byte) : write_byte(byte, draw(256)));
	}
	return 0;
}

static void random_run(unsigned number, int calls)
{
	seed = (number + 1) * 0x9e3779b97f4a7c15UL;
	hash = 0xcbf29ce484222325UL;
	munmap(AT(0), PAGES * PAGE);
	for (int i = 0; i < calls; i++) {
		long result = random_call();
		mix(result == -1 ? -errno : result);
	}
	for (unsigned long at = 0; at < PAGES * PAGE; at += 511)
		mix(read_byte(BASE + at));
	printf("run %u: %lx\n", number, hash);
}

int main(int count, char **words)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	catch_faults();
	if (count < 3) {
		protection();
		arguments();
		files(words[0]);
		reservations();
	} else {
		self = open(words[0], O_RDONLY);
		for (int i = 0; i < atoi(words[1]); i++)
			random_run((unsigned)i, atoi(words[2]));
	}
	printf("-- end\n");
	return 0;
}
