/*
 * Open files and the descriptors that name them.
 *
 * A file is counted: one reference for each descriptor, one for each call that may sleep in it, so that another thread
 * can close the descriptor meanwhile. What a file does is its operations' business (image-file.c, pipe.c, …).
 */
#include "calls.h"
#include "kernel.h"

#define TRANSFER_MAX 0x7ffff000UL /* Linux's, a page less than 2 GiB */

static struct file *descriptors[MAX_FILES];
static bool closed_on_exec[MAX_FILES];

struct file *file_new(const struct file_operations *operations, u32 flags)
{
	struct file *file = kmalloc(sizeof *file);

	if (!file)
		return NULL;
	file->operations = operations;
	file->flags = flags & (O_ACCMODE | O_NONBLOCK | O_APPEND | O_DIRECTORY);
	file->references = 1;
	return file;
}

struct file *file_get(int fd)
{
	return fd >= 0 && fd < MAX_FILES ? descriptors[fd] : NULL;
}

struct file *file_hold(int fd)
{
	struct file *file = file_get(fd);

	if (file)
		file->references++;
	return file;
}

i64 file_install(struct file *file, int lowest, bool close_on_exec)
{
	for (int fd = lowest; fd < MAX_FILES; fd++) {
		if (descriptors[fd])
			continue;
		descriptors[fd] = file;
		closed_on_exec[fd] = close_on_exec;
		return fd;
	}
	file_release(file);
	return -EMFILE;
}

void file_release(struct file *file)
{
	ASSERT(file->references > 0);
	if (--file->references)
		return;
	epoll_forget(file);
	if (file->operations->close)
		file->operations->close(file);
	kfree(file, sizeof *file);
}

i64 file_close(int fd)
{
	struct file *file = file_get(fd);

	if (!file)
		return -EBADF;
	descriptors[fd] = NULL;
	file_release(file);
	return 0;
}

void file_event(struct file *file)
{
	wake(file);
	epoll_event(file);
}

i64 file_wait(struct file *file)
{
	if (file->flags & O_NONBLOCK)
		return -EAGAIN;
	block_on(file, FOREVER);
	return current->interrupted ? -ERESTART : 0;
}

u32 file_poll(struct file *file)
{
	u32 ready = file->operations->poll ? file->operations->poll(file) : EPOLLIN | EPOLLOUT;

	return ready | (ready & EPOLLIN ? EPOLLRDNORM : 0) | (ready & EPOLLOUT ? EPOLLWRNORM : 0);
}

u32 file_mode(struct file *file)
{
	return file->node ? file->node->mode : file->operations->mode;
}

u64 file_size(struct file *file)
{
	return file->operations->size ? file->operations->size(file) : 0;
}

/* The program starts with the console as standard input, output and error, as after a login. */
void file_init(void)
{
	for (int fd = 0; fd < 3; fd++) {
		struct file *console = console_open();

		ASSERT(console);
		file_install(console, fd, false);
	}
}

/* Holds the file of a descriptor that is open for the direction wanted. */
static i64 hold_for(int fd, bool writing, bool positioned, struct file **held)
{
	struct file *file = file_get(fd);

	if (!file || (file->flags & O_ACCMODE) == (writing ? O_RDONLY : O_WRONLY))
		return -EBADF;
	if (positioned && !file->operations->positioned)
		return -ESPIPE;
	if (writing ? !file->operations->write : !file->operations->read)
		return -EINVAL;
	*held = file_hold(fd);
	return 0;
}

static i64 transfer(struct file *file, bool writing, u64 address, u64 n, i64 position)
{
	n = MIN(n, TRANSFER_MAX);
	if (writing)
		return file->operations->write(file, address, n, position);
	return file->operations->read(file, address, n, position);
}

static i64 transfer_one(const u64 *a, bool writing, bool positioned)
{
	i64 position = positioned ? (i64)a[3] : -1;
	struct file *file;
	i64 result = hold_for(a[0], writing, positioned, &file);

	if (result < 0)
		return result;
	result = positioned && position < 0 ? -EINVAL : transfer(file, writing, a[1], a[2], position);
	file_release(file);
	return result;
}

i64 sys_read(const u64 *a)
{
	return transfer_one(a, false, false);
}

i64 sys_write(const u64 *a)
{
	return transfer_one(a, true, false);
}

i64 sys_pread64(const u64 *a)
{
	return transfer_one(a, false, true);
}

i64 sys_pwrite64(const u64 *a)
{
	return transfer_one(a, true, true);
}

static i64 transfer_all(struct file *file, bool writing, u64 vector, u64 count, i64 position)
{
	i64 total = 0;

	for (u64 i = 0; i < count; i++) {
		struct iovec part;
		i64 result = get_user(part, vector + i * sizeof part);

		if (result == 0 && part.length == 0)
			continue;
		/* Having read something, a read returns rather than sleep for more. */
		if (total && !writing && !(file_poll(file) & EPOLLIN))
			break;
		if (result == 0)
			result = transfer(file, writing, part.base, part.length, position);
		if (result < 0)
			return total ? total : result;
		total += result;
		if (position >= 0)
			position += result;
		if ((u64)result < part.length)
			break;
	}
	return total;
}

static i64 transfer_vector(const u64 *a, bool writing, bool positioned)
{
	i64 position = positioned ? (i64)a[3] : -1;
	struct file *file;
	i64 result = hold_for(a[0], writing, positioned, &file);

	if (result < 0)
		return result;
	if (a[2] > IOV_MAX || (positioned && position < 0))
		result = -EINVAL;
	else
		result = transfer_all(file, writing, a[1], a[2], position);
	file_release(file);
	return result;
}

i64 sys_readv(const u64 *a)
{
	return transfer_vector(a, false, false);
}

i64 sys_writev(const u64 *a)
{
	return transfer_vector(a, true, false);
}

i64 sys_preadv(const u64 *a)
{
	return transfer_vector(a, false, true);
}

i64 sys_pwritev(const u64 *a)
{
	return transfer_vector(a, true, true);
}

i64 sys_lseek(const u64 *a)
{
	struct file *file = file_get(a[0]);
	i64 base;
	i64 target;

	if (!file)
		return -EBADF;
	if (!file->operations->size)
		return -ESPIPE;
	switch ((u32)a[2]) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = file->position;
		break;
	case SEEK_END:
		base = file_size(file);
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, (i64)a[1], &target) || target < 0)
		return -EINVAL;
	file->position = target;
	return target;
}

i64 sys_close(const u64 *a)
{
	return file_close(a[0]);
}

static i64 duplicate(int fd, int lowest, bool close_on_exec)
{
	struct file *file = file_get(fd);

	if (!file)
		return -EBADF;
	if (lowest < 0 || lowest >= MAX_FILES)
		return -EINVAL;
	return file_install(file_hold(fd), lowest, close_on_exec);
}

static i64 duplicate_onto(int fd, int target, bool close_on_exec)
{
	if (!file_get(fd) || target < 0 || target >= MAX_FILES)
		return -EBADF;
	if (file_get(target))
		file_close(target);
	return file_install(file_hold(fd), target, close_on_exec);
}

i64 sys_dup(const u64 *a)
{
	return duplicate(a[0], 0, false);
}

i64 sys_dup2(const u64 *a)
{
	if ((int)a[0] == (int)a[1])
		return file_get(a[0]) ? (i64)a[0] : -EBADF;
	return duplicate_onto(a[0], a[1], false);
}

i64 sys_dup3(const u64 *a)
{
	if ((int)a[0] == (int)a[1] || a[2] & ~(u64)O_CLOEXEC)
		return -EINVAL;
	return duplicate_onto(a[0], a[1], a[2] & O_CLOEXEC);
}

i64 sys_fcntl(const u64 *a)
{
	const u32 changeable = O_NONBLOCK | O_APPEND;
	int fd = a[0];
	struct file *file = file_get(fd);

	if (!file)
		return -EBADF;
	switch ((u32)a[1]) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return duplicate(fd, a[2], a[1] == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return closed_on_exec[fd] ? FD_CLOEXEC : 0;
	case F_SETFD:
		closed_on_exec[fd] = a[2] & FD_CLOEXEC;
		return 0;
	case F_GETFL:
		return file->flags;
	case F_SETFL:
		file->flags = (file->flags & ~changeable) | (a[2] & changeable);
		return 0;
	default:
		return -EINVAL;
	}
}

i64 sys_ioctl(const u64 *a)
{
	int fd = a[0];
	struct file *file = file_get(fd);
	i32 on;

	if (!file)
		return -EBADF;
	switch ((u32)a[1]) {
	case FIOCLEX:
	case FIONCLEX:
		closed_on_exec[fd] = a[1] == FIOCLEX;
		return 0;
	case FIONBIO:
		if (get_user(on, a[2]) < 0)
			return -EFAULT;
		file->flags = on ? file->flags | O_NONBLOCK : file->flags & ~O_NONBLOCK;
		return 0;
	default:
		return file->operations->control ? file->operations->control(file, a[1], a[2]) : -ENOTTY;
	}
}
