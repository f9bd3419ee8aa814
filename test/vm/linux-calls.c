/*
 * Makes system calls and prints what they answer, a line each. Linux and our kernel have to print the same: see
 * linux-calls.test.ts. Nothing that may differ between two runs is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static char big[1 << 17];
static volatile int signals;

static void line(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
}
#define SHOW(call) line(#call, (long)(call))
#define TITLE(text) printf("-- %s\n", text)

static void on_signal(int signal)
{
	(void)signal;
	signals++;
}

static void pause_ms(long milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
	nanosleep(&time, NULL);
}

static void events(int set, int max, int timeout)
{
	struct epoll_event got[8];
	int n = epoll_wait(set, got, max, timeout);
	if (n < 0) {
		line("epoll_wait", n);
		return;
	}
	printf("epoll_wait:");
	for (int i = 0; i < n; i++)
		printf(" %lx=%x", (unsigned long)got[i].data.u64, got[i].events);
	printf("\n");
}

static int watch(int set, int operation, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };
	return epoll_ctl(set, operation, fd, &event);
}

/* What of these a file is ready for, with a set of its own. */
static int ready(int fd, uint32_t events, int milliseconds)
{
	struct epoll_event event = { 0 };
	int set = epoll_create1(0);
	watch(set, EPOLL_CTL_ADD, fd, events, 0);
	int count = epoll_wait(set, &event, 1, milliseconds);
	close(set);
	return count < 0 ? count : (int)event.events;
}

static void pipes(void)
{
	int p[2];
	char text[16] = { 0 };
	TITLE("pipes");
	SHOW(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	SHOW(fcntl(p[0], F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	SHOW(fcntl(p[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK));
	SHOW(read(p[0], text, 4));
	SHOW(read(p[0], text, 0));
	SHOW(write(p[0], text, 4));
	SHOW(read(p[1], text, 4));
	SHOW(write(p[1], "hello world", 11));
	struct iovec parts[3] = { { text, 2 }, { NULL, 0 }, { text + 2, 100 } };
	parts[2].iov_len = 3;
	SHOW(readv(p[0], parts, 3));
	SHOW(strcmp(text, "hello"));
	SHOW(lseek(p[0], 0, SEEK_SET));
	SHOW(pread(p[0], text, 1, 0));
	SHOW(read(p[0], (void *)8, 4));
	SHOW(read(p[0], text, 16));
	SHOW(write(p[1], big, sizeof big));
	SHOW(write(p[1], big, 1));
	SHOW(write(p[1], big, 8192));
	SHOW(read(p[0], big, 4096));
	SHOW(write(p[1], big, 4096));
	SHOW(write(p[1], big, 4096));
	SHOW(readv(p[0], parts, 2000));
	SHOW(writev(p[1], (void *)8, 1));
	SHOW(close(p[0]));
	SHOW(ready(p[1], EPOLLOUT, 0));
	SHOW(write(p[1], "x", 1));
	SHOW(signals);
	SHOW(close(p[1]));
	SHOW(close(p[1]));
	SHOW(pipe2(p, 0));
	SHOW(write(p[1], "abc", 3));
	SHOW(close(p[1]));
	SHOW(ready(p[0], EPOLLIN, 0));
	SHOW(read(p[0], text, 16));
	SHOW(ready(p[0], EPOLLIN, 0));
	SHOW(read(p[0], text, 16));
	SHOW(close(p[0]));
	SHOW(syscall(SYS_pipe2, p, 0x123));
	SHOW(syscall(SYS_pipe2, (void *)8, 0));
}

static void counters(void)
{
	uint64_t value = 3;
	TITLE("eventfd");
	int fd = eventfd(2, EFD_NONBLOCK);
	SHOW(write(fd, &value, 8));
	SHOW(write(fd, &value, 7));
	SHOW(read(fd, &value, 4));
	SHOW(read(fd, &value, 8));
	SHOW(value);
	SHOW(read(fd, &value, 8));
	value = ~0ul;
	SHOW(write(fd, &value, 8));
	value = ~0ul - 1;
	SHOW(write(fd, &value, 8));
	value = 1;
	SHOW(write(fd, &value, 8));
	SHOW(ready(fd, EPOLLIN | EPOLLOUT, 0));
	SHOW(read(fd, &value, 8));
	SHOW(value == ~0ul - 1);
	SHOW(close(fd));
	SHOW(eventfd(0, 0x40));
}

static void sets(void)
{
	int p[2];
	int q[2];
	char text[8];
	struct epoll_event none;
	TITLE("epoll: levels, edges, one-shots");
	int set = epoll_create1(EPOLL_CLOEXEC);
	SHOW(epoll_create1(1));
	SHOW(pipe2(p, O_NONBLOCK));
	SHOW(pipe2(q, O_NONBLOCK));
	SHOW(watch(set, EPOLL_CTL_ADD, p[0], EPOLLIN, 0xa));
	SHOW(watch(set, EPOLL_CTL_ADD, p[0], EPOLLIN, 0xa));
	SHOW(watch(set, EPOLL_CTL_MOD, q[0], EPOLLIN, 0xb));
	SHOW(watch(set, EPOLL_CTL_DEL, q[0], 0, 0));
	SHOW(watch(set, 7, p[0], 0, 0));
	SHOW(watch(set, EPOLL_CTL_ADD, set, EPOLLIN, 0));
	SHOW(watch(set, EPOLL_CTL_ADD, 99, EPOLLIN, 0));
	SHOW(watch(p[0], EPOLL_CTL_ADD, q[0], EPOLLIN, 0));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, q[0], (void *)8));
	SHOW(epoll_wait(p[0], &none, 1, 0));
	SHOW(epoll_wait(99, &none, 1, 0));
	SHOW(epoll_wait(set, &none, 0, 0));
	events(set, 8, 0);
	SHOW(write(p[1], "ab", 2));
	events(set, 8, 0);
	events(set, 8, -1);
	SHOW(epoll_wait(set, (void *)8, 1, 0));
	events(set, 8, 0);
	SHOW(read(p[0], text, 8));
	events(set, 8, 0);
	SHOW(watch(set, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 0xc));
	SHOW(write(p[1], "ab", 2));
	events(set, 8, 0);
	events(set, 8, 0);
	SHOW(write(p[1], "ab", 2));
	events(set, 8, 0);
	events(set, 8, 10);
	SHOW(watch(set, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 0xd));
	events(set, 8, 0);
	SHOW(watch(set, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 0xe));
	events(set, 8, 0);
	events(set, 8, 0);
	SHOW(write(p[1], "ab", 2));
	events(set, 8, 0);
	SHOW(watch(set, EPOLL_CTL_MOD, p[0], EPOLLIN, 0xf));
	events(set, 8, 0);
	SHOW(watch(set, EPOLL_CTL_ADD, p[1], EPOLLOUT, 0x10));
	events(set, 8, 0);
	events(set, 1, 0);
	events(set, 1, 0);
	SHOW(close(p[1]));
	events(set, 8, 0);
	SHOW(watch(set, EPOLL_CTL_MOD, p[0], 0, 0x11));
	events(set, 8, 0);
	TITLE("epoll: closing");
	SHOW(close(p[0]));
	events(set, 8, 0);
	SHOW(watch(set, EPOLL_CTL_ADD, q[0], EPOLLIN, 1));
	SHOW(watch(set, EPOLL_CTL_ADD, q[1], EPOLLOUT, 2));
	SHOW(close(q[0]));
	events(set, 8, 0);
	SHOW(close(set));
	SHOW(close(q[1]));
	TITLE("epoll: what it refuses");
	set = epoll_create1(0);
	int file = open("/proc/self/exe", O_RDONLY);
	SHOW(watch(set, EPOLL_CTL_ADD, file, EPOLLIN, 0));
	int null = open("/dev/null", O_RDWR);
	SHOW(watch(set, EPOLL_CTL_ADD, null, EPOLLIN, 0));
	SHOW(read(set, text, 8));
	SHOW(close(null));
	SHOW(close(file));
	SHOW(close(set));
}

static void descriptors(void)
{
	TITLE("descriptors");
	int p[2];
	SHOW(pipe2(p, 0));
	SHOW(fcntl(p[0], F_SETFD, FD_CLOEXEC));
	SHOW(fcntl(p[0], F_SETFL, O_NONBLOCK));
	SHOW(fcntl(p[0], F_GETFL));
	int on = 0;
	SHOW(ioctl(p[0], FIONBIO, &on));
	SHOW(fcntl(p[0], F_GETFL));
	SHOW(ioctl(p[0], FIOCLEX));
	SHOW(ioctl(p[0], TIOCGWINSZ, big));
	SHOW(ioctl(p[0], FIONBIO, 8));
	SHOW(fcntl(p[0], 999));
	SHOW(fcntl(99, F_GETFL));
	SHOW(close(p[0]));
	SHOW(close(p[1]));
	SHOW(close(-1));
}

static void files(void)
{
	char text[8] = { 0 };
	struct stat stat;
	TITLE("files");
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	SHOW(fstat(fd, &stat));
	SHOW((stat.st_mode & S_IFMT) == S_IFREG && stat.st_nlink == 1);
	long size = stat.st_size;
	SHOW(read(fd, text, 4));
	SHOW(memcmp(text, "\177ELF", 4));
	SHOW(read(fd, text, 4));
	SHOW(text[0]);
	SHOW(pread(fd, text, 3, 1));
	SHOW(memcmp(text, "ELF", 3));
	SHOW(pread(fd, text, 3, -1));
	SHOW(pread(fd, text, 3, size));
	SHOW(pread(fd, (void *)8, 3, 0));
	SHOW(pread(fd, (void *)-4096, 3, 0));
	struct iovec parts[2] = { { text, 1 }, { text + 1, 3 } };
	SHOW(preadv(fd, parts, 2, 0));
	SHOW(memcmp(text, "\177ELF", 4));
	SHOW(preadv(fd, parts, -1, 0));
	SHOW(write(fd, text, 1));
	SHOW(pwrite(fd, text, 1, 0));
	SHOW(ftruncate(fd, 0));
	SHOW(syscall(SYS_getdents64, fd, big, sizeof big));
	SHOW(openat(fd, "x", O_RDONLY));
	SHOW(close(fd));
	SHOW(open("/proc/self/exe", O_RDONLY | O_DIRECTORY));
	SHOW(open("/proc/self/exe", O_RDONLY | O_NOFOLLOW));
	SHOW(open("/proc/self/exe", O_RDONLY | O_CREAT | O_EXCL, 0600));
	SHOW(open("/", O_WRONLY));
	SHOW(open("/nothing/here", O_RDONLY));
	SHOW(open("", O_RDONLY));
	SHOW(open((void *)8, O_RDONLY));
	SHOW(readlink("/proc/self/exe", text, 0));
	SHOW(readlink("/proc/self/exe", text, 3));
	SHOW(readlink("/", text, 3));
	SHOW(access("/", R_OK | X_OK));
	SHOW(access("/nothing", F_OK));
	SHOW(access("/proc/self/exe", R_OK | X_OK));
	SHOW(chdir("/nothing"));
	SHOW(chdir("/proc/self/exe"));
	SHOW(chdir("/"));
	SHOW(syscall(SYS_getcwd, text, 1));
	SHOW(syscall(SYS_getcwd, text, 2));
	SHOW(syscall(SYS_getcwd, (void *)8, 100));
	fd = open("/", O_RDONLY | O_DIRECTORY);
	SHOW(read(fd, text, 1));
	SHOW(syscall(SYS_getdents64, fd, big, 4));
	SHOW(openat(fd, "nothing", O_RDONLY));
	SHOW(fstatat(fd, "", &stat, AT_EMPTY_PATH));
	SHOW(fstatat(fd, "", &stat, 0));
	SHOW((stat.st_mode & S_IFMT) == S_IFDIR);
	SHOW(close(fd));
	fd = open("/dev/null", O_RDWR);
	SHOW(read(fd, text, 8));
	SHOW(write(fd, text, 8));
	SHOW(fstat(fd, &stat));
	SHOW((stat.st_mode & S_IFMT) == S_IFCHR);
	SHOW(isatty(fd));
	SHOW(close(fd));
	fd = open("/dev/urandom", O_RDONLY);
	SHOW(read(fd, big, 1000));
	SHOW(read(fd, (void *)8, 1));
	SHOW(close(fd));
}

struct helper {
	int fd;
	long milliseconds;
	const char *text;
};

static void *write_later(void *argument)
{
	struct helper *helper = argument;
	pause_ms(helper->milliseconds);
	if (helper->text)
		write(helper->fd, helper->text, strlen(helper->text));
	else
		close(helper->fd);
	return NULL;
}

static void later(pthread_t *thread, struct helper *helper, int fd, const char *text)
{
	*helper = (struct helper){ fd, 20, text };
	pthread_create(thread, NULL, write_later, helper);
}

static void *drain(void *argument)
{
	int fd = *(int *)argument;
	long total = 0;
	long n;
	pause_ms(20);
	while ((n = read(fd, big + 65536, 10000)) > 0)
		total += n;
	return (void *)total;
}

static void *kick(void *argument)
{
	pause_ms(20);
	pthread_kill(*(pthread_t *)argument, SIGUSR1);
	return NULL;
}

static void waits(void)
{
	pthread_t thread, self = pthread_self();
	struct helper helper;
	void *total;
	int p[2];
	char text[8];
	TITLE("waiting");
	SHOW(pipe2(p, 0));
	later(&thread, &helper, p[1], "abc");
	SHOW(read(p[0], text, 8));
	pthread_join(thread, NULL);
	int set = epoll_create1(0);
	SHOW(watch(set, EPOLL_CTL_ADD, p[0], EPOLLIN, 9));
	later(&thread, &helper, p[1], "abc");
	events(set, 8, 5000);
	pthread_join(thread, NULL);
	SHOW(read(p[0], text, 8));
	later(&thread, &helper, p[1], "abc");
	SHOW(ready(p[0], EPOLLIN, 5000));
	pthread_join(thread, NULL);
	SHOW(read(p[0], text, 8));
	SHOW(ready(p[0], EPOLLIN, 5));
	TITLE("a file joins a set on which a thread sleeps");
	int q[2];
	SHOW(pipe2(q, 0));
	SHOW(write(q[1], "x", 1));
	pthread_create(&thread, NULL, kick, &self);
	events(set, 8, 5000);
	pthread_join(thread, NULL);
	SHOW(signals);
	SHOW(watch(set, EPOLL_CTL_ADD, q[0], EPOLLIN, 10));
	events(set, 8, 5000);
	TITLE("a writer that has to wait, and the last writer's end");
	pthread_create(&thread, NULL, drain, &p[0]);
	SHOW(write(p[1], big, 100000));
	SHOW(write(p[1], big, 100000));
	SHOW(close(p[1]));
	pthread_join(thread, &total);
	SHOW((long)total);
	SHOW(close(p[0]));
	SHOW(pipe2(p, 0));
	later(&thread, &helper, p[1], NULL);
	SHOW(read(p[0], text, 8));
	pthread_join(thread, NULL);
	SHOW(close(p[0]));
	TITLE("signals and sleeping calls");
	SHOW(pipe2(p, 0));
	struct sigaction action = { .sa_handler = on_signal };
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, kick, &self);
	SHOW(read(p[0], text, 8));
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, kick, &self);
	SHOW(ready(p[0], EPOLLIN, 5000));
	pthread_join(thread, NULL);
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	pthread_t writer;
	pthread_create(&thread, NULL, kick, &self);
	helper = (struct helper){ p[1], 100, "late" };
	pthread_create(&writer, NULL, write_later, &helper);
	SHOW(read(p[0], text, 8));
	pthread_join(thread, NULL);
	pthread_join(writer, NULL);
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	int before = signals;
	raise(SIGUSR1);
	SHOW(signals - before);
	struct epoll_event got;
	SHOW(epoll_wait(set, &got, 1, 0));
	SHOW(read(q[0], text, 8));
	pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	SHOW(signals - before);
	pthread_create(&thread, NULL, kick, &self);
	SHOW(epoll_wait(set, &got, 1, 5000));
	pthread_join(thread, NULL);
	SHOW(signals - before);
	SHOW(close(set));
	SHOW(close(p[0]));
	SHOW(close(p[1]));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	signal(SIGPIPE, on_signal);
	signal(SIGUSR1, on_signal);
	siginterrupt(SIGUSR1, 1);
	pipes();
	counters();
	sets();
	descriptors();
	files();
	waits();
	printf("-- end\n");
	return 0;
}
