/*
 * Files that are not in the image: devices, the device window, and what /proc tells about the process and the machine.
 * The contents of a text file are made when it is opened.
 */
#include "calls.h"
#include "kernel.h"

#define SLICE 256
#define KIB_OF(pages) ((pages) * (PAGE / KIB))
#define AREA_LINE 384 /* as area_describe() prints one: addresses, and a path of the image */
#define WINDOW_INFO (512 + MAX_MEMORY_RANGES * 64)
#define CLOCK_TICKS 100 /* a second, as AT_CLKTCK says */

struct text {
	size_t size, capacity;
	char bytes[];
};

static i64 text_read(struct file *file, u64 to, size_t n, i64 position)
{
	struct text *text = file->state;
	u64 offset = position < 0 ? file->position : (u64)position;

	if (offset >= text->size)
		return 0;
	n = MIN(n, text->size - offset);
	if (copy_to_user(to, text->bytes + offset, n) < 0)
		return -EFAULT;
	if (position < 0)
		file->position = offset + n;
	return n;
}

static u64 text_size(struct file *file)
{
	return ((struct text *)file->state)->size;
}

static void text_close(struct file *file)
{
	struct text *text = file->state;

	kfree(text, sizeof *text + text->capacity);
}

static const struct file_operations text_operations = {
	.read = text_read,
	.size = text_size,
	.close = text_close,
	.positioned = true,
	.mode = S_IFREG | 0444,
};

/* How much room the longest text of a file takes. */
static size_t text_capacity(size_t (*write)(char *to, size_t size))
{
	if (write == area_describe)
		return (area_count + 1) * AREA_LINE;
	if (write == window_info)
		return WINDOW_INFO;
	return PAGE - sizeof(struct text);
}

static struct file *text_open(size_t (*write)(char *to, size_t size))
{
	size_t capacity = text_capacity(write);
	struct text *text = kmalloc(sizeof *text + capacity);
	struct file *file = text ? file_new(&text_operations, O_RDONLY) : NULL;

	if (!file) {
		if (text)
			kfree(text, sizeof *text + capacity);
		return NULL;
	}
	text->capacity = capacity;
	text->size = MIN(write(text->bytes, capacity), capacity - 1);
	file->state = text;
	return file;
}

static i64 no_bytes(struct file *file, u64 to, size_t n, i64 position)
{
	(void)file, (void)to, (void)n, (void)position;
	return 0;
}

static i64 all_bytes(struct file *file, u64 from, size_t n, i64 position)
{
	(void)file, (void)from, (void)position;
	return n;
}

static i64 zero_bytes(struct file *file, u64 to, size_t n, i64 position)
{
	(void)file, (void)position;
	return clear_user(to, n) < 0 ? -EFAULT : (i64)n;
}

static i64 random_read(struct file *file, u64 to, size_t n, i64 position)
{
	u8 bytes[SLICE];
	size_t done = 0;

	(void)file, (void)position;
	while (done < n) {
		size_t count = MIN(n - done, sizeof bytes);

		random_bytes(bytes, count);
		if (copy_to_user(to + done, bytes, count) < 0)
			return done ? (i64)done : -EFAULT;
		done += count;
		if (reschedule)
			schedule();
	}
	return done;
}

static i64 random_write(struct file *file, u64 from, size_t n, i64 position)
{
	u8 bytes[SLICE];

	(void)file, (void)position;
	n = MIN(n, sizeof bytes); /* whoever has more entropy writes again */
	if (copy_from_user(bytes, from, n) < 0)
		return -EFAULT;
	random_add(bytes, n);
	return n;
}

static const struct file_operations null_operations = {
	.read = no_bytes,
	.write = all_bytes,
	.positioned = true,
	.mode = S_IFCHR | 0666,
};
static const struct file_operations zero_operations = {
	.read = zero_bytes,
	.write = all_bytes,
	.positioned = true,
	.mode = S_IFCHR | 0666,
};
static const struct file_operations random_operations = {
	.read = random_read,
	.write = random_write,
	.positioned = true,
	.mode = S_IFCHR | 0666,
};

/* What the program has taken of the memory that was free for it. */
static u64 pages_used(void)
{
	return pages_usable - pages_free;
}

static u64 seconds(u64 nanoseconds)
{
	return nanoseconds / NANOSECONDS;
}

static u64 hundredths(u64 nanoseconds)
{
	return nanoseconds / (NANOSECONDS / 100) % 100;
}

static u64 ticks(u64 nanoseconds)
{
	return nanoseconds / (NANOSECONDS / CLOCK_TICKS);
}

static size_t write_meminfo(char *to, size_t size)
{
	return format(to, size,
		      "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\n"
		      "Buffers:               0 kB\nCached:                0 kB\nSwapTotal:             0 kB\n"
		      "SwapFree:              0 kB\n",
		      KIB_OF(pages_usable), KIB_OF(pages_free), KIB_OF(pages_free));
}

static size_t write_process_stat(char *to, size_t size)
{
	u32 count = 0;

	for (struct thread *thread = threads; thread; thread = thread->next)
		count++;
	/* Field 14 is the time used, 20 the threads, 23 and 24 the memory, virtual and real. */
	return format(to, size,
		      "1 (program) R 0 1 1 0 -1 0 %lu 0 0 0 %lu 0 0 0 20 0 %u 0 0 %lu %lu 0 0 0 0 0 0 0 0 0 0 0 0 "
		      "17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		      fault_count, ticks(process_time()), count, pages_used() * PAGE, pages_used());
}

static size_t write_statm(char *to, size_t size)
{
	return format(to, size, "%lu %lu 0 0 0 %lu 0\n", pages_used(), pages_used(), pages_used());
}

static size_t write_status(char *to, size_t size)
{
	u64 used = KIB_OF(pages_used());
	u64 peak = KIB_OF(pages_usable - pages_lowest);

	return format(to, size,
		      "Name:\tprogram\nState:\tR (running)\nPid:\t1\nPPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n"
		      "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n",
		      peak, used, peak, used);
}

static size_t write_uptime(char *to, size_t size)
{
	u64 up = now();
	u64 idle = up - MIN(up, process_time());

	return format(to, size, "%lu.%02lu %lu.%02lu\n", seconds(up), hundredths(up), seconds(idle), hundredths(idle));
}

static size_t write_stat(char *to, size_t size)
{
	u64 busy = ticks(process_time());
	u64 idle = ticks(now()) - MIN(busy, ticks(now()));

	return format(to, size, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\ncpu0 %lu 0 0 %lu 0 0 0 0 0 0\nbtime %lu\n", busy, idle,
		      busy, idle, seconds(wall_clock() - now()));
}

static size_t write_cpuinfo(char *to, size_t size)
{
	u64 kilohertz = tsc_frequency / 1000;

	return format(to, size, "processor\t: 0\nmodel name\t: x86-64 %s\ncpu MHz\t\t: %lu.%03lu\n\n", cpu.hypervisor,
		      kilohertz / 1000, kilohertz % 1000);
}

static size_t write_command_line(char *to, size_t size)
{
	return format(to, size, "%s\n", boot_info.command_line);
}

struct special {
	const char *path;
	const struct file_operations *operations;
	size_t (*write)(char *to, size_t size); /* of a text file */
};
static const struct special specials[] = {
	{ "/dev/null", &null_operations, NULL },
	{ "/dev/zero", &zero_operations, NULL },
	{ "/dev/random", &random_operations, NULL },
	{ "/dev/urandom", &random_operations, NULL },
	{ "/dev/console", &console_operations, NULL },
	{ "/dev/tty", &console_operations, NULL },
	{ "/dev/stdin", &console_operations, NULL },
	{ "/dev/stdout", &console_operations, NULL },
	{ "/dev/stderr", &console_operations, NULL },
	{ "/dev/window/info", &text_operations, window_info },
	{ "/dev/window/memory", &window_memory_operations, NULL },
	{ "/dev/window/port", &window_port_operations, NULL },
	{ "/dev/window/dma", &window_dma_operations, NULL },
	{ "/dev/window/interrupt", &window_interrupt_operations, NULL },
	{ "/dev/window/power", &window_power_operations, NULL },
	{ "/proc/self/maps", &text_operations, area_describe },
	{ "/proc/self/stat", &text_operations, write_process_stat },
	{ "/proc/self/statm", &text_operations, write_statm },
	{ "/proc/self/status", &text_operations, write_status },
	{ "/proc/meminfo", &text_operations, write_meminfo },
	{ "/proc/cpuinfo", &text_operations, write_cpuinfo },
	{ "/proc/cmdline", &text_operations, write_command_line },
	{ "/proc/stat", &text_operations, write_stat },
	{ "/proc/uptime", &text_operations, write_uptime },
};

static const struct special *find(const char *path)
{
	if (strncmp(path, "/dev/", 5) != 0 && strncmp(path, "/proc/", 6) != 0)
		return NULL;
	for (u32 i = 0; i < LENGTH(specials); i++) {
		if (strcmp(path, specials[i].path) == 0)
			return &specials[i];
	}
	return NULL;
}

bool special_exists(const char *path, u32 *mode)
{
	const struct special *special = find(path);

	if (special)
		*mode = special->operations->mode;
	else if (strcmp(path, "/proc/self/exe") == 0)
		*mode = S_IFLNK | 0777;
	else
		return false;
	return true;
}

struct file *special_open(const char *path, u32 flags, i64 *error)
{
	const struct special *special = find(path);
	struct file *file;

	*error = special ? -EROFS : -ENOENT;
	if (!special || (special->write && flags & O_ACCMODE))
		return NULL;
	if (special->write)
		file = text_open(special->write);
	else if (special->operations == &console_operations)
		file = console_open();
	else
		file = file_new(special->operations, flags);
	*error = -ENOMEM;
	return file;
}
