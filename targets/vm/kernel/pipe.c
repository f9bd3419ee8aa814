/* Pipes: a ring of 64 KiB between two files. A pipe has one file at each end, however many descriptors these have. */
#include "kernel.h"

enum { PIPE_SIZE = 64 * KIB, PIPE_ATOMIC = 4096 }; /* PIPE_BUF: writes up to this are not split */

struct pipe {
	u8 *ring;                     /* NULL until the first write: many pipes never carry a byte */
	u32 taken, put;               /* bytes since the beginning; their difference is what the ring holds */
	struct file *reader, *writer; /* NULL: closed */
};

static u32 held(const struct pipe *pipe) { return pipe->put - pipe->taken; }
static bool is_writable(const struct pipe *pipe) { return PIPE_SIZE - held(pipe) >= PIPE_ATOMIC; }

static u32 pipe_read_poll(struct file *file) {
	struct pipe *pipe = file->state;
	return (held(pipe) ? EPOLLIN : 0) | (pipe->writer ? 0 : EPOLLHUP);
}

static u32 pipe_write_poll(struct file *file) {
	struct pipe *pipe = file->state;
	return (is_writable(pipe) ? EPOLLOUT : 0) | (pipe->reader ? 0 : EPOLLERR);
}

/* Moves bytes, which the ring has or has room for, between it at *at and the program. */
static i64 ring_move(struct pipe *pipe, u32 *at, bool out, u64 user, size_t n) {
	size_t done = 0;
	while (done < n) {
		u8 *bytes = pipe->ring + *at % PIPE_SIZE;
		u32 count = MIN(n - done, PIPE_SIZE - *at % PIPE_SIZE);
		if (out ? copy_to_user(user + done, bytes, count) : copy_from_user(bytes, user + done, count)) break;
		*at += count;
		done += count;
	}
	return done || !n ? (i64)done : -EFAULT;
}

static i64 pipe_read(struct file *file, u64 to, size_t n, i64 position) {
	struct pipe *pipe = file->state;
	i64 result = 0;
	while (n && !result && !held(pipe) && pipe->writer) result = file_wait(file);
	if (result < 0) return result;
	bool was_writable = is_writable(pipe);
	result = ring_move(pipe, &pipe->taken, true, to, MIN(n, held(pipe)));
	if (pipe->writer && !was_writable && is_writable(pipe)) file_event(pipe->writer);
	return result;
}

/* Moves what fits now. 0: nothing fits, or less than all of a write that must not be split. */
static i64 pipe_put(struct pipe *pipe, u64 from, size_t n) {
	u32 room = PIPE_SIZE - held(pipe);
	if (n <= PIPE_ATOMIC && room < n) return 0;
	i64 result = ring_move(pipe, &pipe->put, false, from, MIN(n, room));
	if (result > 0) file_event(pipe->reader);
	return result;
}

static i64 pipe_write(struct file *file, u64 from, size_t n, i64 position) {
	struct pipe *pipe = file->state;
	size_t done = 0;
	if (!pipe->ring) pipe->ring = kmalloc(PIPE_SIZE);
	if (!pipe->ring) return -ENOMEM;
	while (done < n) {
		i64 result = pipe->reader ? pipe_put(pipe, from + done, n - done) : -EPIPE;
		if (result == 0)
			result = file_wait(file);
		else if (result > 0)
			done += result;
		if (result == -EPIPE && !done) signal_send(current, SIGPIPE);
		if (result < 0) return done ? (i64)done : result;
	}
	return done;
}

static void pipe_close(struct file *file) {
	struct pipe *pipe = file->state;
	struct file **end = file == pipe->reader ? &pipe->reader : &pipe->writer;
	struct file *other = file == pipe->reader ? pipe->writer : pipe->reader;
	*end = NULL;
	if (other) return file_event(other);
	kfree(pipe->ring, PIPE_SIZE);
	kfree(pipe, sizeof *pipe);
}

static const struct file_operations read_end = {
	.read = pipe_read, .poll = pipe_read_poll, .close = pipe_close, .mode = S_IFIFO | 0600};
static const struct file_operations write_end = {
	.write = pipe_write, .poll = pipe_write_poll, .close = pipe_close, .mode = S_IFIFO | 0600};

i64 sys_pipe2(const u64 *a) {
	u32 flags = a[1];
	if (flags & ~(O_CLOEXEC | O_NONBLOCK)) return -EINVAL;
	struct pipe *pipe = kmalloc(sizeof *pipe);
	struct file *reader = pipe ? file_new(&read_end, O_RDONLY | flags, 0) : NULL;
	struct file *writer = reader ? file_new(&write_end, O_WRONLY | flags, 0) : NULL;
	if (!writer) {
		kfree(reader, sizeof *reader);
		kfree(pipe, sizeof *pipe);
		return -ENOMEM;
	}
	*pipe = (struct pipe){.reader = reader, .writer = writer};
	reader->state = writer->state = pipe;
	i32 fds[2] = {file_install(reader), file_install(writer)};
	i64 result = MIN(MIN(fds[0], fds[1]), 0);
	if (!result) result = copy_to_user(a[0], fds, sizeof fds);
	for (u32 i = 0; result < 0 && i < 2; i++) file_close(fds[i]);
	return result;
}
