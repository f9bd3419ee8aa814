/* System calls about time: clocks and sleeps. */
#include "kernel.h"
#include "calls.h"

#define LATEST (FOREVER - 1) /* nanoseconds; some 584 years */

i64 timespec_from_user(u64 *nanoseconds, u64 address) {
	struct timespec time;
	if (get_user(time, address)) return -EFAULT;
	if (time.seconds < 0 || (u64)time.nanoseconds >= NANOSECONDS) return -EINVAL;
	if ((u64)time.seconds >= LATEST / NANOSECONDS)
		*nanoseconds = LATEST;
	else
		*nanoseconds = (u64)time.seconds * NANOSECONDS + (u64)time.nanoseconds;
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
	u64 wall;
	if (!realtime) return time;
	wall = wall_clock();
	return time > wall ? deadline_after(time - wall) : 0;
}

static bool is_realtime(u64 clock) {
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

/* False for a clock that is not offered. */
static bool clock_read(u32 clock, u64 *time) {
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI: *time = wall_clock(); return true;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME: *time = now(); return true;
	case CLOCK_PROCESS_CPUTIME_ID: *time = process_time(); return true;
	case CLOCK_THREAD_CPUTIME_ID: *time = current->run_time + now() - current->switched_at; return true;
	default: return false;
	}
}

i64 sys_clock_gettime(const u64 *a) {
	u64 time;
	return clock_read(a[0], &time) ? timespec_to_user(a[1], time) : -EINVAL;
}

i64 sys_clock_getres(const u64 *a) {
	u64 time;
	if (!clock_read(a[0], &time)) return -EINVAL;
	return a[1] ? timespec_to_user(a[1], 1) : 0;
}

i64 sys_gettimeofday(const u64 *a) {
	u64 time = wall_clock();
	struct timeval value = {time / NANOSECONDS, time % NANOSECONDS / 1000};
	if (a[0] && put_user(value, a[0])) return -EFAULT;
	return a[1] ? clear_user(a[1], 8) : 0; /* the time zone */
}

i64 sys_time(const u64 *a) {
	u64 seconds = wall_clock() / NANOSECONDS;
	if (a[0] && put_user(seconds, a[0])) return -EFAULT;
	return seconds;
}

/* Sleeps until the deadline; tells the rest of it at `remaining`, unless that is 0, when a signal comes. */
static i64 sleep_until(u64 deadline, u64 remaining) {
	u64 time;
	while (!block_on(current, deadline)) {
		if (!current->interrupted) continue;
		time = now();
		if (remaining && timespec_to_user(remaining, deadline > time ? deadline - time : 0)) return -EFAULT;
		return -EINTR;
	}
	return 0;
}

i64 sys_nanosleep(const u64 *a) {
	u64 time;
	i64 error = timespec_from_user(&time, a[0]);
	return error ? error : sleep_until(deadline_after(time), a[1]);
}

i64 sys_clock_nanosleep(const u64 *a) {
	u64 time, ignored;
	i64 error;
	if (a[0] == CLOCK_THREAD_CPUTIME_ID || !clock_read(a[0], &ignored)) return -EINVAL;
	if (a[0] == CLOCK_PROCESS_CPUTIME_ID) return -EOPNOTSUPP;
	error = timespec_from_user(&time, a[2]);
	if (error) return error;
	if (!(a[1] & TIMER_ABSTIME)) return sleep_until(deadline_after(time), a[3]);
	return sleep_until(deadline_at(time, is_realtime(a[0])), 0);
}
