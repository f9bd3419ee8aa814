/* The part of Linux's x86-64 ABI that this kernel speaks: numbers and layouts, nothing of ours. */
#pragma once
#include "types.h"

/* Errors, returned negative. */
enum {
	EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, ENOEXEC = 8, EBADF = 9, ECHILD = 10, EAGAIN = 11, ENOMEM = 12,
	EACCES = 13, EFAULT = 14, EBUSY = 16, EEXIST = 17, ENODEV = 19, ENOTDIR = 20, EISDIR = 21, EINVAL = 22, EMFILE = 24,
	ENOTTY = 25, ENOSPC = 28, ESPIPE = 29, EROFS = 30, EPIPE = 32, ERANGE = 34, ENAMETOOLONG = 36, ENOSYS = 38,
	ELOOP = 40, ENOTSOCK = 88, EOPNOTSUPP = 95, EAFNOSUPPORT = 97, EOVERFLOW = 75, ETIMEDOUT = 110,
	/* Never seen by the program: interrupted, start again unless a handler without SA_RESTART ran. */
	ERESTART = 512,
};

/* Files. */
enum {
	O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_ACCMODE = 3, O_CREAT = 0100, O_EXCL = 0200, O_NOCTTY = 0400,
	O_TRUNC = 01000, O_APPEND = 02000, O_NONBLOCK = 04000, O_DIRECT = 040000, O_LARGEFILE = 0100000,
	O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_CLOEXEC = 02000000, O_PATH = 010000000,
};
enum {
	S_IFMT = 0170000, S_IFLNK = 0120000, S_IFREG = 0100000, S_IFBLK = 0060000, S_IFDIR = 0040000,
	S_IFCHR = 0020000, S_IFIFO = 0010000,
};
enum {
	AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EACCESS = 0x200, AT_SYMLINK_FOLLOW = 0x400,
	AT_NO_AUTOMOUNT = 0x800, AT_EMPTY_PATH = 0x1000,
};
enum { SEEK_SET, SEEK_CUR, SEEK_END };
enum { R_OK = 4, W_OK = 2, X_OK = 1 };
enum { F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC = 1030 };
#define FD_CLOEXEC 1
enum {
	TCGETS = 0x5401, TCSETS = 0x5402, TCSETSW = 0x5403, TCSETSF = 0x5404, TIOCGPGRP = 0x540f, TIOCSPGRP = 0x5410,
	TIOCGWINSZ = 0x5413, FIONREAD = 0x541b, FIONBIO = 0x5421, FIONCLEX = 0x5450, FIOCLEX = 0x5451,
};
#define PATH_MAX 4096
#define IOV_MAX 1024
struct iovec {
	u64 base, length;
};
struct stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad;
	u64 rdev;
	i64 size, blksize, blocks;
	u64 atime, atime_nanoseconds, mtime, mtime_nanoseconds, ctime, ctime_nanoseconds;
	i64 unused[3];
};
struct statx_timestamp {
	i64 seconds;
	u32 nanoseconds, pad;
};
#define STATX_BASIC_STATS 0x7ffu
struct statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, pad;
	u64 ino, size, blocks, attributes_mask;
	struct statx_timestamp atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 more[14];
};
struct statfs {
	i64 type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags, spare[4];
};
struct dirent64 {
	u64 ino;
	i64 offset;
	u16 length;
	u8 type;
	char name[];
} __attribute__((packed));
_Static_assert(sizeof(struct stat) == 144 && sizeof(struct statx) == 256 && sizeof(struct statfs) == 120, "ABI");

/* Readiness. */
enum { POLLIN = 1, POLLPRI = 2, POLLOUT = 4, POLLERR = 8, POLLHUP = 16, POLLNVAL = 32 };
#define EPOLLIN 1u
#define EPOLLPRI 2u
#define EPOLLOUT 4u
#define EPOLLERR 8u
#define EPOLLHUP 16u
#define EPOLLRDNORM 0x40u
#define EPOLLWRNORM 0x100u
#define EPOLLRDHUP 0x2000u
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP (1u << 29)
#define EPOLLONESHOT (1u << 30)
#define EPOLLET (1u << 31)
enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3 };
#define EFD_SEMAPHORE 1
struct pollfd {
	i32 fd;
	i16 events, revents;
};
struct epoll_event {
	u32 events;
	u64 data;
} __attribute__((packed));

/* Memory. */
enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum {
	MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_SHARED_VALIDATE = 3, MAP_TYPE = 15, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20,
	MAP_GROWSDOWN = 0x100, MAP_LOCKED = 0x2000, MAP_NORESERVE = 0x4000, MAP_POPULATE = 0x8000, MAP_STACK = 0x20000,
	MAP_HUGETLB = 0x40000, MAP_FIXED_NOREPLACE = 0x100000,
};
enum {
	MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE = 8, MADV_DONTFORK = 10,
	MADV_DOFORK = 11, MADV_HUGEPAGE = 14, MADV_NOHUGEPAGE = 15, MADV_DONTDUMP = 16, MADV_DODUMP = 17, MADV_COLD = 20,
	MADV_PAGEOUT = 21,
};
enum { MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2, MREMAP_DONTUNMAP = 4 };

/* The vector of facts on a new program's stack. */
enum {
	AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_BASE = 7, AT_FLAGS = 8, AT_ENTRY = 9,
	AT_UID = 11, AT_EUID = 12, AT_GID = 13, AT_EGID = 14, AT_PLATFORM = 15, AT_HWCAP = 16, AT_CLKTCK = 17,
	AT_SECURE = 23, AT_RANDOM = 25, AT_HWCAP2 = 26, AT_EXECFN = 31, AT_MINSIGSTKSZ = 51,
};

/* Time. */
enum {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
	CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI = 11,
};
#define TIMER_ABSTIME 1
struct timespec {
	i64 seconds, nanoseconds;
};
struct timeval {
	i64 seconds, microseconds;
};

/* Threads. */
#define CLONE_VM 0x100UL
#define CLONE_FS 0x200UL
#define CLONE_FILES 0x400UL
#define CLONE_SIGHAND 0x800UL
#define CLONE_VFORK 0x4000UL
#define CLONE_THREAD 0x10000UL
#define CLONE_SYSVSEM 0x40000UL
#define CLONE_SETTLS 0x80000UL
#define CLONE_PARENT_SETTID 0x100000UL
#define CLONE_CHILD_CLEARTID 0x200000UL
#define CLONE_DETACHED 0x400000UL
#define CLONE_CHILD_SETTID 0x1000000UL
struct clone_arguments {
	u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_WAIT_BITSET = 9, FUTEX_PRIVATE_FLAG = 128, FUTEX_CLOCK_REALTIME = 256 };
#define FUTEX_ALL_BITS (~0u)
enum { ARCH_SET_FS = 0x1002, PR_SET_NAME = 15 };
struct rlimit {
	u64 soft, hard;
};
enum { RUSAGE_SELF = 0, RUSAGE_THREAD = 1 };
#define UNLIMITED (~0UL)
enum { RLIMIT_STACK = 3, RLIMIT_CORE = 4, RLIMIT_NOFILE = 7, RLIMIT_COUNT = 16 };
struct rusage {
	struct timeval user, system;
	i64 max_resident, integral[3], minor_faults, major_faults, swaps, blocks_in, blocks_out, sent, received, signals;
	i64 voluntary_switches, involuntary_switches;
};
struct sysinfo {
	i64 uptime;
	u64 loads[3], total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
	u16 processes, pad;
	u32 pad2;
	u64 total_high, free_high;
	u32 unit, pad3;
};
struct utsname {
	char system[65], node[65], release[65], version[65], machine[65], domain[65];
};
_Static_assert(sizeof(struct sysinfo) == 112 && sizeof(struct rusage) == 144, "ABI");

/* Signals. */
enum {
	SIGHUP = 1, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,
	SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGXCPU, SIGXFSZ,
	SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS, SIGNAL_COUNT = 64,
};
#define SIG_DFL 0UL
#define SIG_IGN 1UL
#define SA_SIGINFO 4UL
#define SA_RESTORER 0x04000000UL
#define SA_ONSTACK 0x08000000UL
#define SA_RESTART 0x10000000UL
#define SA_NODEFER 0x40000000UL
#define SA_RESETHAND 0x80000000UL
enum { SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK };
enum { SS_ONSTACK = 1, SS_DISABLE = 2 };
#define SS_AUTODISARM 0x80000000u
enum { SI_USER = 0, SI_KERNEL = 0x80, SI_TKILL = -6 };
enum { SEGV_MAPERR = 1, SEGV_ACCERR = 2, FPE_INTDIV = 1, ILL_ILLOPN = 2, TRAP_BRKPT = 1, TRAP_TRACE = 2 };
struct sigaction {
	u64 handler, flags, restorer, mask;
};
struct sigaltstack {
	u64 address;
	i32 flags;
	u32 pad;
	u64 size;
};
struct siginfo {
	i32 signal, error, code, pad;
	u64 address; /* of a fault; for the others: sender's pid and uid */
	u64 rest[13];
};
struct ucontext {
	u64 flags, link;
	struct sigaltstack stack;
	u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 error, trap, old_mask, cr2, extended_state, reserved[8];
	u64 mask;
};
_Static_assert(sizeof(struct siginfo) == 128 && sizeof(struct ucontext) == 304, "ABI");
