/*
 * Open files and the descriptors that name them.
 *
 * A file is counted: one reference for each descriptor, one for each call that may sleep in it, so that another thread
 * can close the descriptor meanwhile. What a file does is its operations' business (image-file.c, pipe.c, …).
 */
#include "kernel.h"

#define TRANSFER_MAX 0x7ffff000UL /* Linux's, a page less than 2 GiB */

static struct file *descriptors[MAX_FILES];

struct file *file_new(const struct file_operations *operations, u32 flags, size_t state_size) {
	struct file *file = kmalloc(sizeof *file + state_size);
	if (!file) return NULL;
	*file = (struct file){
		.operations = operations, .state = state_size ? file + 1 : NULL, .state_size = state_size};
	file->flags = flags & (O_ACCMODE | O_NONBLOCK | O_APPEND | O_DIRECTORY);
	return file;
}

struct file *file_get(int fd) { return fd >= 0 && fd < MAX_FILES ? descriptors[fd] : NULL; }

i64 file_install(struct file *file) {
	int fd = 0;
	if (!file) return -ENOMEM;
	file->references++;
	while (fd < MAX_FILES && descriptors[fd]) fd++;
	if (fd < MAX_FILES)
		descriptors[fd] = file;
	else
		file_release(file);
	return fd < MAX_FILES ? fd : -EMFILE;
}

void file_release(struct file *file) {
	ASSERT(file->references > 0);
	if (--file->references) return;
	epoll_forget(file);
	if (file->operations->close) file->operations->close(file);
	kfree(file, sizeof *file + file->state_size);
}

i64 file_close(int fd) {
	struct file *file = file_get(fd);
	if (!file) return -EBADF;
	descriptors[fd] = NULL;
	file_release(file);
	return 0;
}

i64 file_wait(struct file *file) {
	if (file->flags & O_NONBLOCK) return -EAGAIN;
	block_on(file, FOREVER);
	return current->interrupted ? -ERESTART : 0;
}

u32 file_poll(struct file *file) { return file->operations->poll ? file->operations->poll(file) : EPOLLIN | EPOLLOUT; }

/* The program starts with the console as standard input, output and error, as after a login. */
void file_init(void) {
	for (int fd = 0; fd < 3; fd++) ASSERT(file_install(fd == 0 ? &console : &console_output) == fd);
}

enum { READ = 0, WRITE = 1, VECTOR = 2, POSITION = 4 };

/*
 * Moves the parts one after the other until one comes up short. Having read something, a read returns rather than
 * sleep for more; having failed after a success, it reports the success.
 */
static i64 transfer_parts(struct file *file, const u64 *a, u32 kind, i64 position) {
	i64 (*move)(struct file *, u64, size_t, i64);
	struct iovec part = {a[1], a[2]};
	u64 count = kind & VECTOR ? a[2] : 1;
	i64 total = 0;
	for (u64 i = 0; i < count; i++) {
		i64 result = kind & VECTOR ? get_user(part, a[1] + i * sizeof part) : 0;
		if (result == 0 && kind & VECTOR && !part.length) continue;
		if (total && !(kind & WRITE) && !(file_poll(file) & EPOLLIN)) break;
		part.length = MIN(part.length, TRANSFER_MAX);
		/* Looked up for each part: a write may give the file other operations, see window.c. */
		move = kind & WRITE ? file->operations->write : file->operations->read;
		if (result == 0) result = move(file, part.base, part.length, position);
		if (result < 0) return total ? total : result;
		total += result;
		position += position >= 0 ? result : 0;
		if ((u64)result < part.length) break;
	}
	return total;
}

static i64 transfer(const u64 *a, u32 kind) {
	struct file *file = file_get(a[0]);
	if (!file || (file->flags & O_ACCMODE) == (kind & WRITE ? O_RDONLY : O_WRONLY)) return -EBADF;
	const struct file_operations *operations = file->operations;
	i64 position = kind & POSITION ? (i64)a[3] : operations->size ? file->position : -1;
	if (kind & POSITION && !operations->positioned) return -ESPIPE;
	if (kind & WRITE ? !operations->write : !operations->read) return -EINVAL;
	if ((kind & POSITION && position < 0) || (kind & VECTOR && a[2] > IOV_MAX)) return -EINVAL;
	file->references++;
	i64 result = transfer_parts(file, a, kind, position);
	if (!(kind & POSITION) && operations->size && result > 0) file->position = position + result;
	file_release(file);
	return result;
}

i64 sys_read(const u64 *a) { return transfer(a, READ); }
i64 sys_write(const u64 *a) { return transfer(a, WRITE); }
i64 sys_pread64(const u64 *a) { return transfer(a, READ | POSITION); }
i64 sys_pwrite64(const u64 *a) { return transfer(a, WRITE | POSITION); }
i64 sys_readv(const u64 *a) { return transfer(a, READ | VECTOR); }
i64 sys_writev(const u64 *a) { return transfer(a, WRITE | VECTOR); }
i64 sys_preadv(const u64 *a) { return transfer(a, READ | VECTOR | POSITION); }
i64 sys_pwritev(const u64 *a) { return transfer(a, WRITE | VECTOR | POSITION); }

i64 sys_close(const u64 *a) { return file_close(a[0]); }

/* Nothing is ever executed: whether a descriptor would be closed then is not kept. */
i64 sys_fcntl(const u64 *a) {
	const u32 changeable = O_NONBLOCK | O_APPEND;
	struct file *file = file_get(a[0]);
	if (!file) return -EBADF;
	u32 command = a[1];
	if (command == F_GETFL) return file->flags;
	if (command == F_SETFL) file->flags = (file->flags & ~changeable) | (a[2] & changeable);
	return command == F_SETFL || command == F_GETFD || command == F_SETFD ? 0 : -EINVAL;
}

i64 sys_ioctl(const u64 *a) {
	struct file *file = file_get(a[0]);
	u32 request = a[1], on;
	if (!file) return -EBADF;
	if (request == FIOCLEX || request == FIONCLEX) return 0;
	if (request != FIONBIO) return file->operations->control ? file->operations->control(file, request, a[2]) : -ENOTTY;
	if (get_user(on, a[2]) < 0) return -EFAULT;
	file->flags = on ? file->flags | O_NONBLOCK : file->flags & ~O_NONBLOCK;
	return 0;
}
