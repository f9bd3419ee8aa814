/* System calls about time: clocks and sleeps. */
#include "kernel.h"

#define LATEST (FOREVER - 1) /* nanoseconds; some 584 years */

i64 timespec_from_user(u64 *nanoseconds, u64 address) {
	struct timespec time;
	if (get_user(time, address)) return -EFAULT;
	if (time.seconds < 0 || (u64)time.nanoseconds >= NANOSECONDS) return -EINVAL;
	*nanoseconds = LATEST;
	if ((u64)time.seconds < LATEST / NANOSECONDS) *nanoseconds = time.seconds * NANOSECONDS + time.nanoseconds;
	return 0;
}

static i64 timespec_to_user(u64 address, u64 nanoseconds) {
	struct timespec time = {nanoseconds / NANOSECONDS, nanoseconds % NANOSECONDS};
	return put_user(time, address);
}

u64 deadline_after(u64 nanoseconds) {
	u64 time = now();
	return nanoseconds < LATEST - time ? time + nanoseconds : LATEST;
}

u64 deadline_at(u64 time, bool realtime) {
	u64 wall = realtime ? wall_clock() : 0;
	return !realtime ? time : time > wall ? deadline_after(time - wall) : 0;
}

u64 thread_time(void) { return current->run_time + now() - current->switched_at; }

/* FOREVER: a clock that is not offered. */
static u64 clock_read(u32 clock) {
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) return wall_clock();
	if (clock == CLOCK_PROCESS_CPUTIME_ID) return process_time();
	if (clock == CLOCK_THREAD_CPUTIME_ID) return thread_time();
	return clock <= CLOCK_BOOTTIME ? now() : FOREVER; /* the monotonic ones */
}

i64 sys_clock_gettime(const u64 *a) {
	u64 time = clock_read(a[0]);
	return time == FOREVER ? -EINVAL : timespec_to_user(a[1], time);
}

i64 sys_clock_getres(const u64 *a) {
	if (clock_read(a[0]) == FOREVER) return -EINVAL;
	return a[1] ? timespec_to_user(a[1], 1) : 0;
}

i64 sys_gettimeofday(const u64 *a) {
	u64 time = wall_clock();
	struct timeval value = {time / NANOSECONDS, time % NANOSECONDS / 1000};
	return put_user(value, a[0]);
}

i64 sys_time(const u64 *a) {
	u64 seconds = wall_clock() / NANOSECONDS;
	return a[0] && put_user(seconds, a[0]) ? -EFAULT : (i64)seconds;
}

/* Sleeps until the deadline; tells the rest of it at `remaining`, unless that is 0, when a signal comes. */
static i64 sleep_until(u64 deadline, u64 remaining) {
	while (!block_on(current, deadline)) {
		if (!current->interrupted) continue;
		u64 time = now();
		if (remaining && timespec_to_user(remaining, deadline > time ? deadline - time : 0)) return -EFAULT;
		return -EINTR;
	}
	return 0;
}

i64 sys_clock_nanosleep(const u64 *a) {
	u64 time;
	if (a[0] != CLOCK_REALTIME && a[0] != CLOCK_MONOTONIC) return -EINVAL;
	i64 error = timespec_from_user(&time, a[2]);
	if (error) return error;
	if (!(a[1] & TIMER_ABSTIME)) return sleep_until(deadline_after(time), a[3]);
	return sleep_until(deadline_at(time, a[0] == CLOCK_REALTIME), 0);
}

i64 sys_nanosleep(const u64 *a) { return sys_clock_nanosleep((const u64[]){CLOCK_MONOTONIC, 0, a[0], a[1]}); }
