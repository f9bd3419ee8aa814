/*
 * Files that are not in the image: devices, the device window, and what /proc tells about the process and the machine.
 * The contents of a text file are made when it is opened.
 */
#include "kernel.h"

/*
 * Bytes of a line as area_describe() prints one: addresses, and a path of the image; of the other text files, of which
 * window_info() is the longest; nanoseconds of a tick, as AT_CLKTCK says.
 */
enum { SLICE = 256, AREA_LINE = 384, TEXT_MOST = 512 + MAX_MEMORY_RANGES * 64, CLOCK_TICK = NANOSECONDS / 100 };
#define KIB_OF(pages) ((pages) * (PAGE / KIB))

static u64 text_size(struct file *file) { return strlen(file->state); }

static i64 text_read(struct file *file, u64 to, size_t n, i64 position) {
	u64 offset = position, size = text_size(file);
	n = offset < size ? MIN(n, size - offset) : 0;
	return copy_to_user(to, (const char *)file->state + offset, n) < 0 ? -EFAULT : (i64)n;
}

static const struct file_operations text_operations = {
	.read = text_read, .size = text_size, .positioned = true, .mode = S_IFREG | 0444};

static struct file *text_open(size_t (*write)(char *to, size_t size)) {
	size_t capacity = write == area_describe ? (area_count + 1) * AREA_LINE : TEXT_MOST;
	struct file *file = file_new(&text_operations, O_RDONLY, capacity);
	char *text = file ? file->state : NULL;
	if (file) text[MIN(write(text, capacity), capacity - 1)] = 0;
	return file;
}

static i64 null_read(struct file *file, u64 to, size_t n, i64 position) { return 0; }
static i64 null_write(struct file *file, u64 from, size_t n, i64 position) { return n; }

i64 random_to_user(u64 to, u64 n) {
	u8 bytes[SLICE];
	u64 done = 0;
	while (done < n) {
		size_t count = MIN(n - done, sizeof bytes);
		random_bytes(bytes, count);
		if (copy_to_user(to + done, bytes, count) < 0) break;
		done += count;
		if (reschedule) schedule();
	}
	wipe(bytes, sizeof bytes);
	return done || !n ? (i64)done : -EFAULT;
}

static i64 random_read(struct file *file, u64 to, size_t n, i64 position) { return random_to_user(to, n); }

static i64 random_write(struct file *file, u64 from, size_t n, i64 position) {
	u8 bytes[SLICE];
	n = MIN(n, sizeof bytes); /* whoever has more entropy writes again */
	if (copy_from_user(bytes, from, n) < 0) return -EFAULT;
	random_add(bytes, n);
	return n;
}

static const struct file_operations null_operations = {
	.read = null_read, .write = null_write, .positioned = true, .mode = S_IFCHR | 0666};
static const struct file_operations random_operations = {
	.read = random_read, .write = random_write, .positioned = true, .mode = S_IFCHR | 0666};

static size_t write_meminfo(char *to, size_t size) {
	return format(to, size, "MemTotal: %8lu kB\nMemFree: %8lu kB\nMemAvailable: %8lu kB\n", KIB_OF(pages_usable),
		      KIB_OF(pages_free), KIB_OF(pages_free));
}

/* Field 10 counts faults, 14 is the time used, 23 and 24 the memory taken of what was free, virtual and real. */
static size_t write_process_stat(char *to, size_t size) {
	u64 used = pages_usable - pages_free;
	return format(to, size, "1 (program) R 0 1 1 0 -1 0 %lu 0 0 0 %lu 0 0 0 20 0 1 0 0 %lu %lu 0\n", fault_count,
		      process_time() / CLOCK_TICK, used * PAGE, used);
}

/* In hundredths: what Node.js tells in seconds otherwise is behind the time since its own start. */
static size_t write_uptime(char *to, size_t size) {
	return format(to, size, "%lu.%02lu 0.00\n", now() / NANOSECONDS, now() / CLOCK_TICK % 100);
}

static size_t write_stat(char *to, size_t size) {
	u64 up = now() / CLOCK_TICK, busy = process_time() / CLOCK_TICK, idle = up - MIN(up, busy);
	return format(to, size, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\ncpu0 %lu 0 0 %lu 0 0 0 0 0 0\n", busy, idle, busy, idle);
}

static size_t write_cpuinfo(char *to, size_t size) {
	return format(to, size, "processor\t: 0\nmodel name\t: x86-64 %s\ncpu MHz\t\t: %lu.000\n\n", cpu.hypervisor,
		      tsc_frequency / 1000000);
}

static size_t write_command_line(char *to, size_t size) { return format(to, size, "%s\n", boot_info.command_line); }

static const struct special {
	const char *path;
	const struct file_operations *operations;
	size_t (*write)(char *to, size_t size); /* of a text file */
} specials[] = {
	{"/dev/null", &null_operations, NULL},
	{"/dev/random", &random_operations, NULL},
	{"/dev/urandom", &random_operations, NULL},
	{"/dev/console", &console_operations, NULL},
	{"/dev/window/info", &text_operations, window_info},
	{"/dev/window/memory", &window_memory_operations, NULL},
	{"/dev/window/port", &window_port_operations, NULL},
	{"/dev/window/dma", &window_dma_operations, NULL},
	{"/dev/window/interrupt", &window_interrupt_operations, NULL},
	{"/dev/window/power", &window_power_operations, NULL},
	{"/dev/window/xen", &window_xen_operations, NULL},
	{"/proc/self/maps", &text_operations, area_describe},
	{"/proc/self/stat", &text_operations, write_process_stat},
	{"/proc/meminfo", &text_operations, write_meminfo},
	{"/proc/cpuinfo", &text_operations, write_cpuinfo},
	{"/proc/cmdline", &text_operations, write_command_line},
	{"/proc/stat", &text_operations, write_stat},
	{"/proc/uptime", &text_operations, write_uptime},
};

static const struct special *find(const char *path) {
	for (const struct special *special = specials; special < specials + LENGTH(specials); special++)
		if (strcmp(path, special->path) == 0) return special;
	return NULL;
}

bool special_exists(const char *path, u32 *mode) {
	const struct special *special = find(path);
	*mode = special ? special->operations->mode : S_IFLNK | 0777;
	return special || strcmp(path, "/proc/self/exe") == 0; /* path.c knows where this leads */
}

i64 special_open(const char *path, u32 flags) {
	const struct special *special = find(path);
	if (!special) return -ENOENT;
	if (special->write) return flags & O_ACCMODE ? -EROFS : file_install(text_open(special->write));
	if (special->operations == &console_operations) return file_install(&console);
	return file_install(file_new(special->operations, flags, 0));
}
