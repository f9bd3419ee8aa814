/*
 * System calls about memory (the checks before mmap.c), threads, the process and the machine. There is one
 * process, number 1, of user 0, on one processor.
 */
#include "kernel.h"

#define RELEASE "6.1.0-tesserae" /* glibc refuses to run on kernels that look too old */
enum { STACK_LIMIT = 8 * MIB, GETRANDOM_FLAGS = 7, GETRANDOM_MOST = 64 * KIB }; /* a call; callers loop */

/* The flags that mmap.c knows. Others of Linux's are hints; those above it are the kernel's own. */
#define MAP_KNOWN (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE)

i64 sys_mmap(const u64 *a) {
	u32 flags = a[3];
	if (flags & MAP_HUGETLB) return -ENOMEM;
	if (flags & MAP_ANONYMOUS) return user_mmap(a[0], a[1], a[2], flags & MAP_KNOWN, NULL, 0);
	struct file *file = file_get(a[4]);
	if (!file) return -EBADF;
	return node_is(file->node, S_IFREG) ? user_mmap(a[0], a[1], a[2], flags & MAP_KNOWN, file->node, a[5])
					    : -ENODEV;
}

i64 sys_mprotect(const u64 *a) { return user_mprotect(a[0], a[1], a[2]); }
i64 sys_munmap(const u64 *a) { return user_munmap(a[0], a[1]); }
i64 sys_brk(const u64 *a) { return user_brk(a[0]); }
i64 sys_madvise(const u64 *a) { return user_madvise(a[0], a[1], a[2]); }

#define CLONE_NEEDED (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_KNOWN \
	(CLONE_NEEDED | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | \
	 CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED)

/* A thread that returns from the same call on another stack. */
i64 sys_clone(const u64 *a) {
	u64 flags = a[0] & ~0xffUL;                                 /* the low byte: a signal at exit */
	if ((flags & CLONE_NEEDED) != CLONE_NEEDED) return -ENOSYS; /* a process */
	if (flags & ~CLONE_KNOWN || (flags & CLONE_SETTLS && a[4] >= USER_TOP)) return -EINVAL;
	struct thread *thread = thread_new();
	if (!thread) return -EAGAIN;
	struct trap_frame *frame = thread_frame(thread);
	*frame = *thread_frame(current);
	frame->rax = 0;
	if (a[1]) frame->rsp = a[1];
	extended_state_save(thread->extended_state);
	thread->fs_base = flags & CLONE_SETTLS ? a[4] : current->fs_base;
	thread->signal_mask = current->signal_mask;
	memcpy(thread->name, current->name, sizeof thread->name);
	if (flags & CLONE_CHILD_CLEARTID) thread->clear_tid = a[3];
	/* As in Linux, a bad pointer here harms nobody but the caller. */
	if (flags & CLONE_PARENT_SETTID) put_user(thread->id, a[2]);
	if (flags & CLONE_CHILD_SETTID) put_user(thread->id, a[3]);
	thread_wake(thread);
	return thread->id;
}

i64 sys_exit_group(const u64 *a) {
	trace_counts();
	power_off(a[0] & 0xff);
}

i64 sys_exit(const u64 *a) {
	if (threads == current && !current->next) sys_exit_group(a);
	thread_exit();
}

i64 sys_sched_yield(const u64 *a) {
	reschedule = true;
	return 0;
}

i64 sys_sched_getaffinity(const u64 *a) {
	if (a[1] < sizeof(u64) || a[1] % sizeof(u64)) return -EINVAL;
	return put_user(1UL, a[2]) ? -EFAULT : (i64)sizeof(u64);
}

i64 sys_arch_prctl(const u64 *a) {
	if (a[0] != ARCH_SET_FS) return -EINVAL;
	if (a[1] >= USER_TOP) return -EPERM;
	current->fs_base = a[1];
	write_msr(MSR_FS_BASE, a[1]);
	return 0;
}

i64 sys_gettid(const u64 *a) { return current->id; }

i64 sys_set_tid_address(const u64 *a) {
	current->clear_tid = a[0];
	return current->id;
}

i64 sys_uname(const u64 *a) {
	static const struct utsname name = {"Linux", "tesserae", RELEASE, "#1", "x86_64", ""};
	return put_user(name, a[0]);
}

/* New limits are taken and not heeded: the kernel's own bounds hold anyway. */
i64 sys_prlimit64(const u64 *a) {
	struct rlimit limit = {~0UL, ~0UL};
	if (a[1] >= RLIMIT_COUNT) return -EINVAL;
	if (a[1] == RLIMIT_STACK) limit.soft = STACK_LIMIT;
	if (a[1] == RLIMIT_CORE) limit.soft = limit.hard = 0;
	if (a[1] == RLIMIT_NOFILE) limit.soft = limit.hard = MAX_FILES;
	return a[3] ? put_user(limit, a[3]) : 0;
}

i64 sys_getrusage(const u64 *a) {
	u64 time = (i32)a[0] == RUSAGE_SELF ? process_time() : (i32)a[0] == RUSAGE_THREAD ? thread_time() : 0;
	struct rusage usage = {.user = {time / NANOSECONDS, time % NANOSECONDS / 1000}, .minor_faults = fault_count};
	usage.max_resident = (pages_usable - pages_lowest) * PAGE / KIB;
	return put_user(usage, a[1]);
}

i64 sys_sysinfo(const u64 *a) {
	struct sysinfo info = {.uptime = now() / NANOSECONDS, .processes = 1, .unit = 1};
	info.total_ram = pages_usable * PAGE;
	info.free_ram = pages_free * PAGE;
	return put_user(info, a[0]);
}

/* Cuts the name to size, as Linux does. */
i64 sys_prctl(const u64 *a) {
	if (a[0] != PR_SET_NAME) return -EINVAL;
	/* The last byte stays 0. */
	return string_from_user(current->name, a[1], sizeof current->name - 1) == -EFAULT ? -EFAULT : 0;
}

i64 sys_getrandom(const u64 *a) {
	return a[2] & ~(u64)GETRANDOM_FLAGS ? -EINVAL : random_to_user(a[0], MIN(a[1], GETRANDOM_MOST));
}
