/*
 * The system calls: one line each, grouped by the file that answers. CALL(number, name) is handled by
 * sys_name(); ANSWER(number, name, result) always has the same result and needs no code. What is not
 * here is named on the console once and answered with ENOSYS.
 *
 * A handler gets the six argument registers and returns the result, or a negative errno. Pointers among
 * the arguments are whatever the program wrote: only usercopy.c's functions may follow them.
 */
#pragma once
#include "types.h"
#include "linux.h"

#define SYSTEM_CALLS(CALL, ANSWER) \
	/* file.c */ \
	CALL(0, read) CALL(1, write) CALL(3, close) CALL(16, ioctl) CALL(17, pread64) \
	CALL(18, pwrite64) CALL(19, readv) CALL(20, writev) CALL(72, fcntl) CALL(295, preadv) CALL(296, pwritev) \
	/* path.c */ \
	CALL(21, access) CALL(79, getcwd) CALL(80, chdir) CALL(89, readlink) CALL(257, openat) \
	/* stat.c */ \
	CALL(5, fstat) CALL(262, newfstatat) CALL(332, statx) \
	/* image-file.c, pipe.c, eventfd.c, futex.c */ \
	CALL(217, getdents64) CALL(293, pipe2) CALL(290, eventfd2) CALL(202, futex) \
	/* epoll.c */ \
	CALL(232, epoll_wait) CALL(233, epoll_ctl) CALL(281, epoll_pwait) CALL(291, epoll_create1) \
	/* process.c: memory */ \
	CALL(9, mmap) CALL(10, mprotect) CALL(11, munmap) CALL(12, brk) CALL(28, madvise) \
	/* process.c: threads, the process and the machine */ \
	CALL(56, clone) CALL(60, exit) CALL(231, exit_group) CALL(24, sched_yield) CALL(158, arch_prctl) \
	CALL(186, gettid) CALL(204, sched_getaffinity) CALL(218, set_tid_address) CALL(63, uname) CALL(98, getrusage) \
	CALL(99, sysinfo) CALL(157, prctl) CALL(302, prlimit64) CALL(318, getrandom) \
	/* signal.c */ \
	CALL(13, rt_sigaction) CALL(14, rt_sigprocmask) CALL(15, rt_sigreturn) CALL(62, kill) CALL(131, sigaltstack) \
	CALL(234, tgkill) \
	/* time-calls.c */ \
	CALL(35, nanosleep) CALL(96, gettimeofday) CALL(201, time) CALL(228, clock_gettime) CALL(229, clock_getres) \
	CALL(230, clock_nanosleep) \
	/* One process, one user, one processor; priority 0, which the kernel says as 20. */ \
	ANSWER(39, getpid, 1) ANSWER(102, getuid, 0) ANSWER(104, getgid, 0) ANSWER(107, geteuid, 0) \
	ANSWER(108, getegid, 0) ANSWER(110, getppid, 0) ANSWER(115, getgroups, 0) ANSWER(140, getpriority, 20) \
	ANSWER(141, setpriority, 0) ANSWER(143, sched_getparam, 0) ANSWER(145, sched_getscheduler, 0) \
	ANSWER(273, set_robust_list, 0) \
	/* All memory is locked, all files are on storage. */ \
	ANSWER(74, fsync, 0) ANSWER(75, fdatasync, 0) ANSWER(95, umask, 022) \
	/* Files are read at a place, not moved to it; what waits for several has epoll. */ \
	ANSWER(7, poll, -ENOSYS) ANSWER(8, lseek, -ESPIPE) \
	/* The image is read-only. */ \
	ANSWER(77, ftruncate, -EINVAL) ANSWER(82, rename, -EROFS) ANSWER(83, mkdir, -EROFS) \
	ANSWER(84, rmdir, -EROFS) ANSWER(86, link, -EROFS) ANSWER(87, unlink, -EROFS) ANSWER(88, symlink, -EROFS) \
	ANSWER(90, chmod, -EROFS) ANSWER(91, fchmod, -EROFS) ANSWER(92, chown, -EROFS) ANSWER(93, fchown, -EROFS) \
	ANSWER(94, lchown, -EROFS) ANSWER(280, utimensat, -EROFS) \
	/* The network is the program's own: see the device window. */ \
	ANSWER(41, socket, -EAFNOSUPPORT) \
	/* Tried by runtimes that do without. */ \
	ANSWER(25, mremap, -ENOSYS) ANSWER(40, sendfile, -ENOSYS) ANSWER(53, socketpair, -ENOSYS) ANSWER(57, fork, -ENOSYS) \
	ANSWER(58, vfork, -ENOSYS) ANSWER(125, capget, -ENOSYS) ANSWER(137, statfs, -ENOSYS) \
	ANSWER(294, inotify_init1, -ENOSYS) ANSWER(324, membarrier, -ENOSYS) ANSWER(326, copy_file_range, -ENOSYS) \
	ANSWER(330, pkey_alloc, -ENOSYS) ANSWER(334, rseq, -ENOSYS) ANSWER(425, io_uring_setup, -ENOSYS) \
	ANSWER(435, clone3, -ENOSYS)

#define SYSTEM_CALL_COUNT 440

#define DECLARE_HANDLER(number, name) i64 sys_##name(const u64 *a);
#define DECLARE_NOTHING(number, name, result)
SYSTEM_CALLS(DECLARE_HANDLER, DECLARE_NOTHING)
