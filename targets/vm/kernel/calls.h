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
	CALL(0, read) CALL(1, write) CALL(3, close) CALL(8, lseek) CALL(16, ioctl) \
	CALL(17, pread64) CALL(18, pwrite64) CALL(19, readv) CALL(20, writev) CALL(32, dup) \
	CALL(33, dup2) CALL(72, fcntl) CALL(292, dup3) CALL(295, preadv) CALL(296, pwritev) \
	/* image-file.c */ \
	CALL(217, getdents64) \
	/* path.c */ \
	CALL(2, open) CALL(21, access) CALL(79, getcwd) CALL(80, chdir) CALL(81, fchdir) \
	CALL(89, readlink) CALL(257, openat) CALL(267, readlinkat) CALL(269, faccessat) \
	CALL(439, faccessat2) \
	/* stat.c */ \
	CALL(4, stat) CALL(5, fstat) CALL(6, lstat) CALL(137, statfs) CALL(138, fstatfs) \
	CALL(262, newfstatat) CALL(332, statx) \
	/* pipe.c, eventfd.c */ \
	CALL(22, pipe) CALL(293, pipe2) CALL(284, eventfd) CALL(290, eventfd2) \
	/* epoll.c */ \
	CALL(7, poll) CALL(213, epoll_create) CALL(232, epoll_wait) CALL(233, epoll_ctl) \
	CALL(271, ppoll) CALL(281, epoll_pwait) CALL(291, epoll_create1) \
	CALL(441, epoll_pwait2) \
	/* process.c: memory */ \
	CALL(9, mmap) CALL(10, mprotect) CALL(11, munmap) CALL(12, brk) CALL(25, mremap) \
	CALL(27, mincore) CALL(28, madvise) \
	/* process.c: threads */ \
	CALL(56, clone) CALL(60, exit) CALL(231, exit_group) CALL(435, clone3) \
	CALL(24, sched_yield) CALL(143, sched_getparam) CALL(158, arch_prctl) \
	CALL(186, gettid) CALL(204, sched_getaffinity) CALL(218, set_tid_address) \
	CALL(309, getcpu) \
	/* process.c: the process and the machine */ \
	CALL(63, uname) CALL(97, getrlimit) CALL(98, getrusage) CALL(99, sysinfo) \
	CALL(100, times) CALL(125, capget) CALL(157, prctl) CALL(302, prlimit64) \
	CALL(318, getrandom) CALL(324, membarrier) \
	/* futex.c */ \
	CALL(202, futex) CALL(273, set_robust_list) CALL(274, get_robust_list) \
	/* signal.c */ \
	CALL(13, rt_sigaction) CALL(14, rt_sigprocmask) CALL(15, rt_sigreturn) \
	CALL(34, pause) CALL(62, kill) CALL(127, rt_sigpending) CALL(130, rt_sigsuspend) \
	CALL(131, sigaltstack) CALL(200, tkill) CALL(234, tgkill) \
	/* time-calls.c */ \
	CALL(35, nanosleep) CALL(96, gettimeofday) CALL(201, time) CALL(228, clock_gettime) \
	CALL(229, clock_getres) CALL(230, clock_nanosleep) \
	/* One process, one user, one processor; priority 0, which the kernel says as 20. */ \
	ANSWER(39, getpid, 1) ANSWER(102, getuid, 0) ANSWER(104, getgid, 0) \
	ANSWER(107, geteuid, 0) ANSWER(108, getegid, 0) ANSWER(110, getppid, 0) \
	ANSWER(111, getpgrp, 1) ANSWER(112, setsid, -EPERM) ANSWER(115, getgroups, 0) \
	ANSWER(140, getpriority, 20) ANSWER(141, setpriority, 0) \
	ANSWER(142, sched_setparam, 0) ANSWER(144, sched_setscheduler, 0) \
	ANSWER(145, sched_getscheduler, 0) ANSWER(146, sched_get_priority_max, 0) \
	ANSWER(147, sched_get_priority_min, 0) ANSWER(160, setrlimit, -EPERM) \
	ANSWER(203, sched_setaffinity, 0) ANSWER(57, fork, -ENOSYS) \
	ANSWER(58, vfork, -ENOSYS) ANSWER(59, execve, -ENOSYS) ANSWER(61, wait4, -ECHILD) \
	ANSWER(247, waitid, -ECHILD) \
	/* All memory is locked, all files are on storage. */ \
	ANSWER(26, msync, 0) ANSWER(149, mlock, 0) ANSWER(150, munlock, 0) \
	ANSWER(73, flock, 0) ANSWER(74, fsync, 0) ANSWER(75, fdatasync, 0) \
	ANSWER(95, umask, 022) ANSWER(162, sync, 0) ANSWER(221, fadvise64, 0) \
	/* The image is read-only. */ \
	ANSWER(76, truncate, -EROFS) ANSWER(77, ftruncate, -EINVAL) \
	ANSWER(82, rename, -EROFS) ANSWER(83, mkdir, -EROFS) ANSWER(84, rmdir, -EROFS) \
	ANSWER(85, creat, -EROFS) ANSWER(86, link, -EROFS) ANSWER(87, unlink, -EROFS) \
	ANSWER(88, symlink, -EROFS) ANSWER(90, chmod, -EROFS) ANSWER(91, fchmod, -EROFS) \
	ANSWER(92, chown, -EROFS) ANSWER(93, fchown, -EROFS) ANSWER(94, lchown, -EROFS) \
	ANSWER(133, mknod, -EROFS) ANSWER(235, utimes, -EROFS) ANSWER(258, mkdirat, -EROFS) \
	ANSWER(260, fchownat, -EROFS) ANSWER(263, unlinkat, -EROFS) \
	ANSWER(264, renameat, -EROFS) ANSWER(265, linkat, -EROFS) \
	ANSWER(266, symlinkat, -EROFS) ANSWER(268, fchmodat, -EROFS) \
	ANSWER(280, utimensat, -EROFS) ANSWER(285, fallocate, -EOPNOTSUPP) \
	ANSWER(316, renameat2, -EROFS) \
	/* The network is the program's own: see the device window. */ \
	ANSWER(41, socket, -EAFNOSUPPORT) ANSWER(42, connect, -ENOTSOCK) \
	ANSWER(43, accept, -ENOTSOCK) ANSWER(44, sendto, -ENOTSOCK) \
	ANSWER(45, recvfrom, -ENOTSOCK) ANSWER(46, sendmsg, -ENOTSOCK) \
	ANSWER(47, recvmsg, -ENOTSOCK) ANSWER(48, shutdown, -ENOTSOCK) \
	ANSWER(49, bind, -ENOTSOCK) ANSWER(50, listen, -ENOTSOCK) \
	ANSWER(51, getsockname, -ENOTSOCK) ANSWER(52, getpeername, -ENOTSOCK) \
	ANSWER(53, socketpair, -ENOSYS) ANSWER(54, setsockopt, -ENOTSOCK) \
	ANSWER(55, getsockopt, -ENOTSOCK) ANSWER(288, accept4, -ENOTSOCK) \
	/* Tried by runtimes that do without. */ \
	ANSWER(40, sendfile, -ENOSYS) ANSWER(254, inotify_add_watch, -ENOSYS) \
	ANSWER(294, inotify_init1, -ENOSYS) ANSWER(319, memfd_create, -ENOSYS) \
	ANSWER(326, copy_file_range, -ENOSYS) ANSWER(329, pkey_mprotect, -ENOSYS) \
	ANSWER(330, pkey_alloc, -ENOSYS) ANSWER(331, pkey_free, -ENOSYS) \
	ANSWER(334, rseq, -ENOSYS) ANSWER(425, io_uring_setup, -ENOSYS) \
	ANSWER(426, io_uring_enter, -ENOSYS) ANSWER(427, io_uring_register, -ENOSYS) \
	ANSWER(434, pidfd_open, -ENOSYS) ANSWER(436, close_range, -ENOSYS) \
	ANSWER(449, futex_waitv, -ENOSYS)

#define SYSTEM_CALL_COUNT 450

#define DECLARE_HANDLER(number, name) i64 sys_##name(const u64 *a);
#define DECLARE_NOTHING(number, name, result)
SYSTEM_CALLS(DECLARE_HANDLER, DECLARE_NOTHING)
