/*
 * The console as a terminal. Output goes to the serial line; input comes as the other end sends it, with a carriage
 * return made a line feed. There is no echo and no editing of lines, whatever settings the program asks
 * for: what is at the other end is another program as often as a terminal.
 */
#include "kernel.h"

#define SLICE 256

/* ICRNL; OPOST, ONLCR; CS8, CREAD, B115200. Others are taken and not heeded. */
static const struct termios settings = {.input = 0400, .output = 05, .control = 010262};
static const struct { u16 rows, columns, width, height; } window_size = {.rows = 25, .columns = 80};

static i64 tty_read(struct file *file, u64 to, size_t n, i64 position) {
	char bytes[SLICE];
	i64 result = 0;
	while (n && !result && !console_readable()) result = file_wait(file);
	if (result < 0) return result;
	if (!user_range(to, n)) return -EFAULT;
	size_t count = console_read(bytes, MIN(n, sizeof bytes));
	for (size_t i = 0; i < count; i++)
		if (bytes[i] == '\r') bytes[i] = '\n';
	return copy_to_user(to, bytes, count) < 0 ? -EFAULT : (i64)count;
}

static i64 tty_write(struct file *file, u64 from, size_t n, i64 position) {
	char bytes[SLICE];
	size_t done = 0;
	while (done < n) {
		size_t count = MIN(n - done, sizeof bytes);
		if (copy_from_user(bytes, from + done, count) < 0) return done ? (i64)done : -EFAULT;
		console_write(bytes, count);
		done += count;
		if (reschedule) schedule();
	}
	return done;
}

static u32 tty_poll(struct file *file) { return (console_readable() ? EPOLLIN : 0) | EPOLLOUT; }

static i64 tty_control(struct file *file, u32 request, u64 argument) {
	if (request == TCGETS) return put_user(settings, argument);
	if (request == TIOCGWINSZ) return put_user(window_size, argument);
	if (request != TCSETS && request != TCSETSW && request != TCSETSF) return -ENOTTY;
	return user_range(argument, sizeof settings) ? 0 : -EFAULT;
}

const struct file_operations console_operations = {
	.read = tty_read, .write = tty_write, .poll = tty_poll, .control = tty_control, .mode = S_IFCHR | 0620};

/* No terminal to the program: what it prints is a log, which wants no colours, and Node.js starts sooner. */
static const struct file_operations output_operations = {.write = tty_write, .mode = S_IFCHR | 0620};

/* One reference is ours: they are never freed. There is one queue of input, however often the console is opened. */
struct file console = {.operations = &console_operations, .references = 1, .flags = O_RDWR};
struct file console_output = {.operations = &output_operations, .references = 1, .flags = O_WRONLY};

void console_input_event(void) { file_event(&console); }
