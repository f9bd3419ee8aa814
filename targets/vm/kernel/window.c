/*
 * The device window (window.h): all that a driver written in the program's language needs. The program is trusted with
 * the devices, which can write to any memory as it is, but no call of its own reaches the kernel's memory from here.
 */
#include "calls.h"
#include "kernel.h"
#include "window.h"

#define SLICE        256
#define PHYSICAL_END (1UL << 52)
#define PORT_END     0x10000UL
#define MESSAGE_BASE 0xfee00000UL
#define STORM        10000 /* interrupts of a line that nobody has read: it is masked until somebody does */

size_t window_info(char *to, size_t size) {
	char hypervisor[sizeof cpu.hypervisor];
	size_t length;
	/* Whatever the hypervisor calls itself, it is a JSON string. */
	for (u32 i = 0; i < sizeof hypervisor; i++) {
		char c = cpu.hypervisor[i];
		hypervisor[i] = c && (c < ' ' || c > '~' || c == '"' || c == '\\') ? '?' : c;
	}
	length = format(to, size,
			"{\"window\":1,\"rsdp\":%lu,\"memory\":%lu,\"free\":%lu,\"tsc\":%lu,\"clock\":\"%s\","
			"\"hypervisor\":\"%s\",\"apic\":%u,\"seed\":\"%s\",\"map\":[",
			boot_info.rsdp, pages_total * PAGE, pages_free * PAGE, tsc_frequency, clock_source, hypervisor,
			apic_id(), random_seed_source);
	for (u32 i = 0; i < boot_info.map_count; i++) {
		const struct memory_range *range = &boot_info.map[i];
		length += format(to + length, size - length, "%s[%lu,%lu,%u]", i ? "," : "", range->address,
				 range->size, range->type);
	}
	return length + format(to + length, size - length, "]}\n");
}

/* One access of the width asked for where that is natural; else byte by byte. */
static void move(volatile void *to, const volatile void *from, size_t n, bool natural) {
	if (natural && n == 8)
		*(volatile u64 *)to = *(const volatile u64 *)from;
	else if (natural && n == 4)
		*(volatile u32 *)to = *(const volatile u32 *)from;
	else if (natural && n == 2)
		*(volatile u16 *)to = *(const volatile u16 *)from;
	else
		for (size_t i = 0; i < n; i++) ((volatile u8 *)to)[i] = ((const volatile u8 *)from)[i];
}

/* RAM that is not the program's, and the interrupt controllers: who has these can send the kernel any exception. */
static bool is_kernels(u64 address, u64 n) {
	const struct { u64 start, end; } controllers[] = {{0xfec00000, 0xfed00000}, {0xfee00000, 0xfef00000}};
	for (u32 i = 0; i < LENGTH(controllers); i++) {
		if (address < controllers[i].end && address + n > controllers[i].start) return true;
	}
	return bootinfo_is_ram(address, n) && !dma_owns(address, n);
}

static i64 memory_transfer(bool writing, u64 user, size_t n, i64 position) {
	u64 address = position;
	bool natural = (n == 1 || n == 2 || n == 4 || n == 8) && address % n == 0;
	bool ram = bootinfo_is_ram(address, n);
	u64 done = 0;
	if (address >= PHYSICAL_END || n > PHYSICAL_END - address || is_kernels(address, n)) return -EFAULT;
	while (done < n) {
		size_t count = MIN(n - done, SLICE - (address + done) % SLICE);
		volatile void *at = ram ? direct(address + done) : device_map(address + done, count);
		u8 bytes[SLICE] __attribute__((aligned(8)));
		if (!at || (writing && copy_from_user(bytes, user + done, count) < 0)) break;
		move(writing ? at : bytes, writing ? bytes : at, count, natural);
		if (!writing && copy_to_user(user + done, bytes, count) < 0) break;
		done += count;
		if (reschedule) schedule();
	}
	return done || !n ? (i64)done : -EFAULT;
}

static i64 memory_read(struct file *file, u64 to, size_t n, i64 position) {
	return memory_transfer(false, to, n, position);
}

static i64 memory_write(struct file *file, u64 from, size_t n, i64 position) {
	return memory_transfer(true, from, n, position);
}

static i64 port_read(struct file *file, u64 to, size_t n, i64 position) {
	u64 port = position;
	if (n != 1 && n != 2 && n != 4) return -EINVAL;
	if (port > PORT_END - n) return -EFAULT;
	u32 value = n == 1 ? in8(port) : n == 2 ? in16(port) : in32(port);
	return copy_to_user(to, &value, n) < 0 ? -EFAULT : (i64)n;
}

static i64 port_write(struct file *file, u64 from, size_t n, i64 position) {
	u64 port = position;
	u32 value = 0;
	if (n != 1 && n != 2 && n != 4) return -EINVAL;
	if (port > PORT_END - n || copy_from_user(&value, from, n) < 0) return -EFAULT;
	if (n == 1)
		out8(port, value);
	else if (n == 2)
		out16(port, value);
	else
		out32(port, value);
	return n;
}

static i64 dma_read(struct file *file, u64 to, size_t n, i64 position) {
	struct window_binding binding = {0};
	u64 start = ALIGN_UP(to + sizeof binding, PAGE);
	u64 end = ALIGN_DOWN(to + n, PAGE);
	u64 device = position < 0 ? 0 : (u64)position;
	if (!user_range(to, n) || copy_to_user(to, &binding, MIN(n, sizeof binding)) < 0) return -EFAULT;
	if (n < sizeof binding || start >= end || device % PAGE) return -EINVAL;
	binding.offset = start - to;
	binding.length = end - start;
	binding.physical = device;
	if (device &&
	    (device >= PHYSICAL_END || bootinfo_is_ram(device, binding.length) || is_kernels(device, binding.length)))
		return -EFAULT;
	i64 result = user_bind(start, binding.length, &binding.physical);
	if (result < 0) return result;
	return copy_to_user(to, &binding, sizeof binding) < 0 ? -EFAULT : (i64)sizeof binding;
}

static i64 power_write(struct file *file, u64 from, size_t n, i64 position) {
	struct window_power how;
	if (n < sizeof how) return -EINVAL;
	if (get_user(how, from) < 0) return -EFAULT;
	i64 result = power_configure(&how);
	return result < 0 ? result : (i64)sizeof how;
}

struct interrupt {
	u64 count; /* since the last read */
	struct window_interrupt_request request;
	u8 vector;
	bool stormed;
};
static struct file *owners[VECTOR_SPURIOUS]; /* by vector */

static bool route(const struct interrupt *interrupt, bool masked) {
	u32 flags = interrupt->request.flags;
	if (interrupt->request.line < 0) return true;
	return ioapic_route(interrupt->request.line, interrupt->vector, flags & WINDOW_INTERRUPT_LEVEL,
			    flags & WINDOW_INTERRUPT_ACTIVE_LOW, masked);
}

void window_interrupt(u8 vector) {
	struct file *file = vector < VECTOR_SPURIOUS ? owners[vector] : NULL;
	if (!file) return;
	struct interrupt *interrupt = file->state;
	if (interrupt->request.flags & WINDOW_INTERRUPT_LEVEL) {
		route(interrupt, true);
	} else if (interrupt->count == STORM) {
		interrupt->stormed = true;
		route(interrupt, true);
	}
	if (interrupt->count++ == 0) file_event(file);
}

/* The vector of the line, a free one for -1, 0 when there is none or the line has an owner. */
static u8 find_vector(i32 line) {
	u8 free = 0;
	for (u32 vector = VECTOR_SPURIOUS - 1; vector >= VECTOR_FIRST_FREE; vector--) {
		if (!owners[vector])
			free = vector;
		else if (line >= 0 && ((struct interrupt *)owners[vector]->state)->request.line == line)
			return 0;
	}
	return free;
}

static i64 interrupt_claim(struct file *file, const struct window_interrupt_request *request) {
	struct interrupt *interrupt = kmalloc(sizeof *interrupt);
	if (!interrupt) return -ENOMEM;
	interrupt->request = *request;
	interrupt->vector = find_vector(request->line);
	if (!interrupt->vector || !route(interrupt, false)) {
		i64 error = interrupt->vector ? -ENODEV : -EBUSY;
		kfree(interrupt, sizeof *interrupt);
		return error;
	}
	file->state = interrupt;
	file->state_size = sizeof *interrupt;
	owners[interrupt->vector] = file;
	return 0;
}

static i64 interrupt_write(struct file *file, u64 from, size_t n, i64 position) {
	struct interrupt *interrupt = file->state;
	struct window_interrupt_request request;
	i64 result = 0;
	if (n < sizeof request) return -EINVAL;
	if (get_user(request, from) < 0) return -EFAULT;
	if (request.line < -1 || request.flags & ~(WINDOW_INTERRUPT_LEVEL | WINDOW_INTERRUPT_ACTIVE_LOW) ||
	    (request.line < 0 && request.flags))
		return -EINVAL;
	if (!interrupt)
		result = interrupt_claim(file, &request);
	else if (memcmp(&request, &interrupt->request, sizeof request) != 0)
		result = -EINVAL;
	else
		route(interrupt, false);
	return result < 0 ? result : (i64)sizeof request;
}

static i64 interrupt_message(const struct interrupt *interrupt, u64 to, size_t n) {
	const struct window_interrupt_message message = {
		.address = MESSAGE_BASE | apic_id() << 12,
		.data = interrupt->vector,
		.vector = interrupt->vector,
	};
	if (n < sizeof message) return -EINVAL;
	return put_user(message, to) < 0 ? -EFAULT : (i64)sizeof message;
}

static i64 interrupt_read(struct file *file, u64 to, size_t n, i64 position) {
	struct interrupt *interrupt = file->state;
	if (!interrupt || position > 0 || n < sizeof interrupt->count) return -EINVAL;
	if (position == 0) return interrupt_message(interrupt, to, n);
	while (!interrupt->count) {
		i64 result = file_wait(file);
		if (result < 0) return result;
	}
	if (put_user(interrupt->count, to) < 0) return -EFAULT;
	interrupt->count = 0;
	if (interrupt->stormed) route(interrupt, false);
	interrupt->stormed = false;
	return sizeof interrupt->count;
}

static u32 interrupt_poll(struct file *file) {
	const struct interrupt *interrupt = file->state;
	return interrupt && interrupt->count ? EPOLLIN : 0;
}

/* A device may go on sending its message: the vector then has no owner, or another, which hears of one too many. */
static void interrupt_close(struct file *file) {
	struct interrupt *interrupt = file->state;
	if (!interrupt) return;
	route(interrupt, true);
	owners[interrupt->vector] = NULL;
}

const struct file_operations window_memory_operations = {
	.read = memory_read, .write = memory_write, .positioned = true, .mode = S_IFCHR | 0600};
const struct file_operations window_port_operations = {
	.read = port_read, .write = port_write, .positioned = true, .mode = S_IFCHR | 0600};
const struct file_operations window_dma_operations = {.read = dma_read, .positioned = true, .mode = S_IFCHR | 0600};
const struct file_operations window_power_operations = {.write = power_write, .mode = S_IFCHR | 0600};
const struct file_operations window_interrupt_operations = {.read = interrupt_read,
							    .write = interrupt_write,
							    .poll = interrupt_poll,
							    .close = interrupt_close,
							    .positioned = true,
							    .mode = S_IFIFO | 0600};
