/* eventfd: a counter that threads add to and wait for. It is how libuv wakes a loop. */
#include "kernel.h"

#define COUNT_MAX (~0UL - 1)

static u32 eventfd_poll(struct file *file) {
	u64 count = *(u64 *)file->state;
	return (count ? EPOLLIN : 0) | (count < COUNT_MAX ? EPOLLOUT : 0);
}

static i64 eventfd_read(struct file *file, u64 to, size_t n, i64 position) {
	u64 *count = file->state;
	i64 result = n < sizeof *count ? -EINVAL : 0;
	while (!result && !*count) result = file_wait(file);
	if (result < 0) return result;
	if (put_user(*count, to) < 0) return -EFAULT;
	*count = 0;
	file_event(file); /* writers may have waited for room */
	return sizeof *count;
}

static i64 eventfd_write(struct file *file, u64 from, size_t n, i64 position) {
	u64 *count = file->state, value;
	i64 result = 0;
	if (n < sizeof value) return -EINVAL;
	if (get_user(value, from) < 0) return -EFAULT;
	if (value > COUNT_MAX) return -EINVAL;
	while (!result && value > COUNT_MAX - *count) result = file_wait(file);
	if (result < 0) return result;
	*count += value;
	if (value) file_event(file);
	return sizeof value;
}

static const struct file_operations eventfd_operations = {
	.read = eventfd_read, .write = eventfd_write, .poll = eventfd_poll, .mode = 0600};

i64 sys_eventfd2(const u64 *a) {
	if (a[1] & ~(u64)(O_NONBLOCK | O_CLOEXEC)) return -EINVAL;
	struct file *file = file_new(&eventfd_operations, O_RDWR | (a[1] & O_NONBLOCK), sizeof(u64));
	if (file) *(u64 *)file->state = (u32)a[0];
	return file_install(file);
}
