/* The part of Linux's x86-64 ABI that this kernel speaks: numbers and layouts, nothing of ours. */
#pragma once
#include "types.h"
/* clang-format off */

/* Errors, returned negative. The last is never seen by the program: start the call again, see signal.c. */
enum {
	EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, ENOEXEC = 8, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EACCES = 13,
	EFAULT = 14, EBUSY = 16, EEXIST = 17, ENODEV = 19, ENOTDIR = 20, EISDIR = 21, EINVAL = 22, EMFILE = 24,
	ENOTTY = 25, ENOSPC = 28, ESPIPE = 29, EROFS = 30, EPIPE = 32, ERANGE = 34, ENAMETOOLONG = 36, ENOSYS = 38,
	ELOOP = 40, EAFNOSUPPORT = 97, ETIMEDOUT = 110, ERESTART = 512,
};

/* Files. */
enum {
	O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_ACCMODE = 3, O_CREAT = 0100, O_EXCL = 0200, O_TRUNC = 01000,
	O_APPEND = 02000, O_NONBLOCK = 04000, O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_CLOEXEC = 02000000,
};
enum { S_IFMT = 0170000, S_IFLNK = 0120000, S_IFREG = 0100000, S_IFDIR = 040000, S_IFCHR = 020000, S_IFIFO = 010000 };
enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000 };
enum { X_OK = 1, W_OK = 2, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4 };
enum { TCGETS = 0x5401, TCSETS = 0x5402, TCSETSW = 0x5403, TCSETSF = 0x5404, TIOCGWINSZ = 0x5413 };
enum { FIONBIO = 0x5421, FIONCLEX = 0x5450, FIOCLEX = 0x5451, STATX_BASIC_STATS = 0x7ff, IOV_MAX = 1024 };
struct iovec { u64 base, length; };
struct termios { u32 input, output, control, local, other[5]; };
struct stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad;
	u64 rdev;
	i64 size, blksize, blocks;
	u64 atime, atime_nanoseconds, mtime, mtime_nanoseconds, ctime, ctime_nanoseconds, unused[3];
};
struct statx_timestamp { i64 seconds; u32 nanoseconds, pad; };
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
struct dirent64 { u64 ino; i64 offset; u16 length; u8 type; char name[]; } __attribute__((packed));
_Static_assert(sizeof(struct stat) == 144 && sizeof(struct statx) == 256, "ABI");

/* Readiness. */
enum { EPOLLIN = 1, EPOLLOUT = 4, EPOLLERR = 8, EPOLLHUP = 16, EPOLLONESHOT = 1 << 30 };
#define EPOLLET (1u << 31)
enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3 };
struct epoll_event { u32 events; u64 data; } __attribute__((packed));

/* Memory. */
enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum {
	MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_TYPE = 15, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20, MAP_NORESERVE = 0x4000,
	MAP_HUGETLB = 0x40000, MAP_FIXED_NOREPLACE = 0x100000,
};
enum { MADV_NORMAL = 0, MADV_WILLNEED = 3, MADV_DONTNEED = 4, MADV_FREE = 8, MADV_DONTFORK = 10, MADV_PAGEOUT = 21 };

/* The vector of facts on a new program's stack. */
enum {
	AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_BASE = 7, AT_ENTRY = 9, AT_CLKTCK = 17,
	AT_SECURE = 23, AT_RANDOM = 25, AT_MINSIGSTKSZ = 51,
};

/* Time. */
enum {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
	CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, TIMER_ABSTIME = 1,
};
struct timespec { i64 seconds, nanoseconds; };
struct timeval { i64 seconds, microseconds; };

/* Threads and the process. */
enum {
	CLONE_VM = 0x100, CLONE_FS = 0x200, CLONE_FILES = 0x400, CLONE_SIGHAND = 0x800, CLONE_THREAD = 0x10000,
	CLONE_SYSVSEM = 0x40000, CLONE_SETTLS = 0x80000, CLONE_PARENT_SETTID = 0x100000,
	CLONE_CHILD_CLEARTID = 0x200000, CLONE_DETACHED = 0x400000, CLONE_CHILD_SETTID = 0x1000000,
};
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_WAIT_BITSET = 9, FUTEX_PRIVATE_FLAG = 128, FUTEX_CLOCK_REALTIME = 256 };
#define FUTEX_ALL_BITS (~0u)
enum { ARCH_SET_FS = 0x1002, PR_SET_NAME = 15, RUSAGE_SELF = 0, RUSAGE_THREAD = 1 };
enum { RLIMIT_STACK = 3, RLIMIT_CORE = 4, RLIMIT_NOFILE = 7, RLIMIT_COUNT = 16 };
struct rlimit { u64 soft, hard; };
struct rusage { struct timeval user, system; i64 max_resident, integral[3], minor_faults, more[9]; };
struct sysinfo {
	u64 uptime, loads[3], total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
	u16 processes, pad[3];
	u64 total_high, free_high;
	u32 unit, pad2;
};
struct utsname { char system[65], node[65], release[65], version[65], machine[65], domain[65]; };

/* Signals. */
enum {
	SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGKILL = 9, SIGSEGV = 11, SIGPIPE = 13, SIGCHLD = 17,
	SIGCONT = 18, SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22, SIGURG = 23, SIGWINCH = 28,
};
enum { SIG_DFL = 0, SIG_IGN = 1, SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2, SS_ONSTACK = 1, SS_DISABLE = 2 };
enum { SA_ONSTACK = 0x8000000, SA_RESTART = 0x10000000, SA_NODEFER = 0x40000000 };
#define SA_RESETHAND 0x80000000UL
enum { SI_USER = 0, SI_KERNEL = 0x80, SEGV_MAPERR = 1, SEGV_ACCERR = 2, SIGNAL_COUNT = 64 };
struct sigaction { u64 handler, flags, restorer, mask; };
struct sigaltstack { u64 address; i32 flags; u32 pad; u64 size; };
/* The address of a fault; in other signals the sender's pid and uid. */
struct siginfo { i32 signal, error, code, pad; u64 address, rest[13]; };
struct ucontext {
	u64 flags, link;
	struct sigaltstack stack;
	u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 error, trap, old_mask, cr2, extended_state, reserved[8], mask;
};
_Static_assert(sizeof(struct sysinfo) == 112 && sizeof(struct rusage) == 144, "ABI");
_Static_assert(sizeof(struct siginfo) == 128 && sizeof(struct ucontext) == 304, "ABI");
