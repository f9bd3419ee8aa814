/*
 * System calls about memory (the checks before mmap.c), threads, the process and the machine. There is one
 * process, number 1, of user 0, on one processor.
 */
#include "kernel.h"
#include "calls.h"

#define RELEASE             "6.1.0-tesserae" /* glibc refuses to run on kernels that look too old */
#define PROTECTION          (PROT_READ | PROT_WRITE | PROT_EXEC)
#define STACK_LIMIT         (8 * MIB)
#define UNLIMITED           (~0UL)
#define CLONE_ARGUMENTS_MIN 64 /* size of the first version of struct clone_arguments */
#define CAPABILITY_VERSION  0x20080522u
#define TICKS               100 /* a second, for times() */

/* The flags that mmap.c knows. Others of Linux's are hints; those above it are the kernel's own. */
#define MAP_KNOWN (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE)

i64 sys_mmap(const u64 *a) {
	u32 flags = a[3], type = flags & MAP_TYPE;
	struct file *file;
	if (type == MAP_SHARED_VALIDATE) type = MAP_SHARED;
	if ((type != MAP_SHARED && type != MAP_PRIVATE) || a[2] & ~(u64)PROTECTION || a[5] % PAGE) return -EINVAL;
	if (flags & MAP_HUGETLB) return -ENOMEM;
	flags = (flags & MAP_KNOWN & ~MAP_TYPE) | type;
	if (flags & MAP_ANONYMOUS) return user_mmap(a[0], a[1], a[2], flags, NULL, 0);
	file = file_get(a[4]);
	if (!file) return -EBADF;
	if (!file->node || (file->node->mode & S_IFMT) != S_IFREG) return -ENODEV;
	if (type == MAP_SHARED && a[2] & PROT_WRITE) return -EACCES;
	return user_mmap(a[0], a[1], a[2], flags, file->node, a[5]);
}

i64 sys_mprotect(const u64 *a) { return a[2] & ~(u64)PROTECTION ? -EINVAL : user_mprotect(a[0], a[1], a[2]); }

i64 sys_munmap(const u64 *a) { return user_munmap(a[0], a[1]); }

i64 sys_brk(const u64 *a) { return user_brk(a[0]); }

i64 sys_mremap(const u64 *a) { return user_mremap(a[0], a[1], a[2], a[3], a[4]); }

i64 sys_mincore(const u64 *a) { return user_mincore(a[0], a[1], (u8 *)a[2]); }

i64 sys_madvise(const u64 *a) { return user_madvise(a[0], a[1], a[2]); }

#define CLONE_NEEDED (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_KNOWN \
	(CLONE_NEEDED | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | \
	 CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED)

/* A thread that returns from the same call on another stack. */
static i64 clone_thread(u64 flags, u64 stack, u64 parent_tid, u64 child_tid, u64 tls) {
	struct thread *thread;
	struct trap_frame *frame;
	if ((flags & CLONE_NEEDED) != CLONE_NEEDED) return -ENOSYS; /* a process */
	if (flags & ~CLONE_KNOWN || (flags & CLONE_SETTLS && tls >= USER_TOP)) return -EINVAL;
	thread = thread_new();
	if (!thread) return -EAGAIN;
	frame = thread_frame(thread);
	*frame = *thread_frame(current);
	frame->rax = 0;
	if (stack) frame->rsp = stack;
	extended_state_save(thread->extended_state);
	thread->fs_base = flags & CLONE_SETTLS ? tls : read_msr(MSR_FS_BASE);
	thread->gs_base = read_msr(MSR_GS_BASE);
	thread->signal_mask = current->signal_mask;
	memcpy(thread->name, current->name, sizeof thread->name);
	if (flags & CLONE_CHILD_CLEARTID) thread->clear_tid = child_tid;
	/* As in Linux, a bad pointer here harms nobody but the caller. */
	if (flags & CLONE_PARENT_SETTID) put_user(thread->id, parent_tid);
	if (flags & CLONE_CHILD_SETTID) put_user(thread->id, child_tid);
	thread_start(thread);
	return thread->id;
}

i64 sys_clone(const u64 *a) {
	return clone_thread(a[0] & ~0xffUL, a[1], a[2], a[3], a[4]); /* the low byte: a signal at exit */
}

i64 sys_clone3(const u64 *a) {
	struct clone_arguments arguments;
	if (a[1] < CLONE_ARGUMENTS_MIN) return -EINVAL;
	if (a[1] > PAGE) return -E2BIG;
	if (copy_from_user(&arguments, a[0], sizeof arguments)) return -EFAULT;
	return clone_thread(arguments.flags, arguments.stack + arguments.stack_size, arguments.parent_tid,
			    arguments.child_tid, arguments.tls);
}

i64 sys_exit(const u64 *a) {
	if (threads == current && !current->next) thread_exit_all(a[0]);
	thread_exit();
}

i64 sys_exit_group(const u64 *a) { thread_exit_all(a[0]); }

i64 sys_sched_yield(const u64 *a) {
	(void)a;
	reschedule = true;
	return 0;
}

i64 sys_sched_getparam(const u64 *a) { return put_user(0, a[1]); }

i64 sys_sched_getaffinity(const u64 *a) {
	if (a[1] < sizeof(u64) || a[1] % sizeof(u64)) return -EINVAL;
	return put_user(1UL, a[2]) ? -EFAULT : (i64)sizeof(u64);
}

static i64 set_base(u64 *kept, u32 msr, u64 address) {
	if (address >= USER_TOP) return -EPERM;
	*kept = address;
	write_msr(msr, address);
	return 0;
}

i64 sys_arch_prctl(const u64 *a) {
	switch (a[0]) {
	case ARCH_SET_FS: return set_base(&current->fs_base, MSR_FS_BASE, a[1]);
	case ARCH_SET_GS: return set_base(&current->gs_base, MSR_GS_BASE, a[1]);
	case ARCH_GET_FS: return put_user(read_msr(MSR_FS_BASE), a[1]);
	case ARCH_GET_GS: return put_user(read_msr(MSR_GS_BASE), a[1]);
	default: return -EINVAL;
	}
}

i64 sys_gettid(const u64 *a) {
	(void)a;
	return current->id;
}

i64 sys_set_tid_address(const u64 *a) {
	current->clear_tid = a[0];
	return current->id;
}

i64 sys_getcpu(const u64 *a) {
	if (a[0] && put_user(0, a[0])) return -EFAULT;
	return a[1] ? put_user(0, a[1]) : 0;
}

i64 sys_uname(const u64 *a) {
	static const struct utsname name = {
	    .system = "Linux",
	    .node = "tesserae",
	    .release = RELEASE,
	    .version = "#1",
	    .machine = "x86_64",
	};
	return put_user(name, a[0]);
}

static i64 limit_to_user(u64 resource, u64 address) {
	struct rlimit limit = {UNLIMITED, UNLIMITED};
	if (resource >= RLIMIT_COUNT) return -EINVAL;
	if (resource == RLIMIT_STACK) limit.soft = STACK_LIMIT;
	if (resource == RLIMIT_CORE) limit.soft = limit.hard = 0;
	if (resource == RLIMIT_NOFILE) limit.soft = limit.hard = MAX_FILES;
	return put_user(limit, address);
}

i64 sys_getrlimit(const u64 *a) { return limit_to_user(a[0], a[1]); }

/* New limits are taken and not heeded: the kernel's own bounds hold anyway. */
i64 sys_prlimit64(const u64 *a) {
	struct rlimit new;
	if (a[0] > 1) return -ESRCH;
	if (a[1] >= RLIMIT_COUNT) return -EINVAL;
	if (a[2] && get_user(new, a[2])) return -EFAULT;
	if (a[2] && new.soft > new.hard) return -EINVAL;
	return a[3] ? limit_to_user(a[1], a[3]) : 0;
}

#define RUSAGE_SELF     0
#define RUSAGE_CHILDREN -1
#define RUSAGE_THREAD   1

i64 sys_getrusage(const u64 *a) {
	struct rusage usage = {0};
	u64 time = 0;
	if ((i32)a[0] == RUSAGE_SELF)
		time = process_time();
	else if ((i32)a[0] == RUSAGE_THREAD)
		time = current->run_time + now() - current->switched_at;
	else if ((i32)a[0] != RUSAGE_CHILDREN)
		return -EINVAL;
	usage.user.seconds = time / NANOSECONDS;
	usage.user.microseconds = time % NANOSECONDS / 1000;
	usage.max_resident = (pages_usable - pages_lowest) * PAGE / KIB;
	usage.minor_faults = fault_count;
	return put_user(usage, a[1]);
}

i64 sys_sysinfo(const u64 *a) {
	struct sysinfo info = {
	    .uptime = now() / NANOSECONDS,
	    .total_ram = pages_usable * PAGE,
	    .free_ram = pages_free * PAGE,
	    .processes = 1,
	    .unit = 1,
	};
	return put_user(info, a[0]);
}

i64 sys_times(const u64 *a) {
	u64 times[4] = {process_time() / (NANOSECONDS / TICKS)};
	if (a[0] && copy_to_user(a[0], times, sizeof times)) return -EFAULT;
	return now() / (NANOSECONDS / TICKS);
}

/* No capabilities: there is nothing here that Linux's would allow. */
i64 sys_capget(const u64 *a) {
	u32 version;
	if (get_user(version, a[0])) return -EFAULT;
	if (version != CAPABILITY_VERSION) return put_user(CAPABILITY_VERSION, a[0]) ? -EFAULT : -EINVAL;
	return a[1] ? clear_user(a[1], 24) : 0;
}

/* Cuts the name to size, as Linux does. */
static i64 set_name(u64 address) {
	char name[sizeof current->name] = "";
	for (u32 i = 0; i < sizeof name - 1; i++) {
		if (get_user(name[i], address + i)) return -EFAULT;
		if (!name[i]) break;
	}
	memcpy(current->name, name, sizeof name);
	return 0;
}

i64 sys_prctl(const u64 *a) {
	switch (a[0]) {
	case PR_SET_NAME: return set_name(a[1]);
	case PR_GET_NAME: return copy_to_user(a[1], current->name, sizeof current->name);
	case PR_GET_DUMPABLE:
	case PR_SET_DUMPABLE: return 0;
	default: return -EINVAL;
	}
}

#define GETRANDOM_FLAGS 7UL
#define GETRANDOM_MOST  (64 * KIB) /* a call; callers loop */

i64 sys_getrandom(const u64 *a) {
	u8 bytes[256];
	u64 wanted = MIN(a[1], GETRANDOM_MOST), done = 0;
	if (a[2] & ~GETRANDOM_FLAGS) return -EINVAL;
	while (done < wanted) {
		u64 n = MIN(wanted - done, sizeof bytes);

		random_bytes(bytes, n);
		if (copy_to_user(a[0] + done, bytes, n)) break;
		done += n;
	}
	memset(bytes, 0, sizeof bytes);
	asm volatile("" ::"r"(bytes) : "memory"); /* or the compiler drops the wiping */
	return done || !wanted ? (i64)done : -EFAULT;
}

/* GLOBAL, its EXPEDITED, PRIVATE_EXPEDITED, its SYNC_CORE, and their registrations */
#define MEMBARRIER_COMMANDS 0x7fUL

/* One processor: the return from the kernel is the barrier. */
i64 sys_membarrier(const u64 *a) {
	if (a[1]) return -EINVAL;
	if (a[0] == 0) return MEMBARRIER_COMMANDS;
	return a[0] & ~MEMBARRIER_COMMANDS || a[0] & (a[0] - 1) ? -EINVAL : 0;
}
