/* eventfd: a counter that threads add to and wait for. It is how libuv wakes a loop. */
#include "calls.h"
#include "kernel.h"

#define COUNT_MAX (~0UL - 1)

struct event_counter {
	u64 count;
	bool semaphore; /* a read takes 1 instead of all */
};

static u32 eventfd_poll(struct file *file) {
	struct event_counter *counter = file->state;
	return (counter->count ? EPOLLIN : 0) | (counter->count < COUNT_MAX ? EPOLLOUT : 0);
}

static i64 eventfd_read(struct file *file, u64 to, size_t n, i64 position) {
	struct event_counter *counter = file->state;
	(void)position;
	if (n < sizeof counter->count) return -EINVAL;
	while (!counter->count) {
		i64 result = file_wait(file);
		if (result < 0) return result;
	}
	u64 value = counter->semaphore ? 1 : counter->count;
	bool was_full = counter->count == COUNT_MAX;
	if (put_user(value, to) < 0) return -EFAULT;
	counter->count -= value;
	wake(file); /* writers that had no room */
	if (was_full || counter->count) epoll_event(file);
	return sizeof value;
}

static i64 eventfd_write(struct file *file, u64 from, size_t n, i64 position) {
	struct event_counter *counter = file->state;
	u64 value;
	(void)position;
	if (n < sizeof value) return -EINVAL;
	if (get_user(value, from) < 0) return -EFAULT;
	if (value > COUNT_MAX) return -EINVAL;
	while (value > COUNT_MAX - counter->count) {
		i64 result = file_wait(file);
		if (result < 0) return result;
	}
	counter->count += value;
	if (value) file_event(file);
	return sizeof value;
}

static void eventfd_close(struct file *file) { kfree(file->state, sizeof(struct event_counter)); }

static const struct file_operations eventfd_operations = {
    .read = eventfd_read, .write = eventfd_write, .poll = eventfd_poll, .close = eventfd_close, .mode = 0600};

static i64 eventfd_open(u32 count, u32 flags) {
	if (flags & ~(u32)(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC)) return -EINVAL;
	struct event_counter *counter = kmalloc(sizeof *counter);
	struct file *file = counter ? file_new(&eventfd_operations, O_RDWR | (flags & O_NONBLOCK)) : NULL;
	if (!file) {
		kfree(counter, sizeof *counter);
		return -ENOMEM;
	}
	*counter = (struct event_counter){.count = count, .semaphore = flags & EFD_SEMAPHORE};
	file->state = counter;
	return file_install(file, 0, flags & O_CLOEXEC);
}

i64 sys_eventfd(const u64 *a) { return eventfd_open(a[0], 0); }
i64 sys_eventfd2(const u64 *a) { return eventfd_open(a[0], a[1]); }
