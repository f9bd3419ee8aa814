/*
 * The device window (window.h): all that a driver written in the program's language needs. The program is trusted with
 * the devices, which can write to any memory as it is, but no call of its own reaches the kernel's memory from here.
 */
#include "xen.h"
#include "window.h"

#define PHYSICAL_END (1UL << 52)
#define MESSAGE_BASE 0xfee00000UL
/* A storm: interrupts of a line that nobody has read. It is masked until somebody does. */
enum { SLICE = 256, PORT_END = 0x10000, STORM = 10000 };

size_t window_info(char *to, size_t size) {
	size_t length = format(to, size,
			       "{\"window\":1,\"rsdp\":%lu,\"memory\":%lu,\"free\":%lu,\"tsc\":%lu,\"clock\":\"%s\","
			       "\"hypervisor\":\"%s\",\"apic\":%u,\"seed\":\"%s\",\"map\":[",
			       boot_info.rsdp, pages_total * PAGE, pages_free * PAGE, tsc_frequency, clock_source,
			       cpu.hypervisor, apic_id(), random_seed_source);
	for (u32 i = 0; i < boot_info.map_count; i++) {
		const struct memory_range *range = &boot_info.map[i];
		length += format(to + length, size - length, "%s[%lu,%lu,%u]", i ? "," : "", range->address,
				 range->size, range->type);
	}
	return length + format(to + length, size - length, "]}\n");
}

void device_move(volatile void *to, const volatile void *from, size_t n, bool natural) {
	switch (natural ? n : 1) {
	case 8: *(volatile u64 *)to = *(const volatile u64 *)from; return;
	case 4: *(volatile u32 *)to = *(const volatile u32 *)from; return;
	case 2: *(volatile u16 *)to = *(const volatile u16 *)from; return;
	}
	for (size_t i = 0; i < n; i++) ((volatile u8 *)to)[i] = ((const volatile u8 *)from)[i];
}

/*
 * RAM that is not the program's, the interrupt controllers, for who has these can send the kernel any exception, and
 * what the kernel shares with Xen.
 */
static bool is_kernels(u64 address, u64 n) {
	const struct span xens = {xen_base, xen_base + (xen_guest ? PAGE : 0)};
	const struct span kept[] = {{0xfec00000, 0xfed00000}, {0xfee00000, 0xfef00000}, xens};
	for (u32 i = 0; i < LENGTH(kept); i++)
		if (address < kept[i].end && address + n > kept[i].start) return true;
	return bootinfo_is_ram(address, n) && !dma_owns(address, n);
}

static i64 memory_move(bool writing, u64 user, size_t n, u64 address) {
	bool natural = (n == 1 || n == 2 || n == 4 || n == 8) && address % n == 0;
	bool ram = bootinfo_is_ram(address, n);
	u64 done = 0;
	if (address >= PHYSICAL_END || n > PHYSICAL_END - address || is_kernels(address, n)) return -EFAULT;
	while (done < n) {
		size_t count = MIN(n - done, SLICE - (address + done) % SLICE);
		volatile void *at = ram ? direct(address + done) : device_map(address + done, count);
		u8 bytes[SLICE] __attribute__((aligned(8)));
		if (!at || (writing && copy_from_user(bytes, user + done, count) < 0)) break;
		device_move(writing ? at : bytes, writing ? bytes : at, count, natural);
		if (!writing && copy_to_user(user + done, bytes, count) < 0) break;
		done += count;
		if (reschedule) schedule();
	}
	return done || !n ? (i64)done : -EFAULT;
}

static i64 memory_read(struct file *file, u64 to, size_t n, i64 at) { return memory_move(false, to, n, at); }
static i64 memory_write(struct file *file, u64 from, size_t n, i64 at) { return memory_move(true, from, n, at); }

static bool is_port(u64 port, size_t n) { return (n == 1 || n == 2 || n == 4) && port <= PORT_END - n; }

static i64 port_read(struct file *file, u64 to, size_t n, i64 at) {
	if (!is_port(at, n)) return -EINVAL;
	u32 value = n == 1 ? in8(at) : n == 2 ? in16(at) : in32(at);
	return copy_to_user(to, &value, n) < 0 ? -EFAULT : (i64)n;
}

void port_out(u16 port, size_t n, u32 value) {
	if (n == 1) out8(port, value);
	if (n == 2) out16(port, value);
	if (n == 4) out32(port, value);
}

static i64 port_write(struct file *file, u64 from, size_t n, i64 at) {
	u32 value = 0;
	if (!is_port(at, n)) return -EINVAL;
	if (copy_from_user(&value, from, n) < 0) return -EFAULT;
	port_out(at, n, value);
	return n;
}

static i64 dma_read(struct file *file, u64 to, size_t n, i64 at) {
	u64 device = at < 0 ? 0 : (u64)at, start = ALIGN_UP(to + sizeof(struct window_binding), PAGE);
	struct window_binding binding = {start - to, device, ALIGN_DOWN(to + n, PAGE) - start};
	if ((i64)binding.length <= 0 || device % PAGE || device >= PHYSICAL_END) return -EINVAL;
	if (!user_range(to, n) || put_user(binding, to) < 0) return -EFAULT;
	if (device && (bootinfo_is_ram(device, binding.length) || is_kernels(device, binding.length))) return -EFAULT;
	i64 result = user_bind(start, binding.length, &binding.physical);
	if (result < 0) return result;
	return put_user(binding, to) < 0 ? -EFAULT : (i64)sizeof binding;
}

static i64 dma_write(struct file *file, u64 from, size_t n, i64 at) {
	u64 start = ALIGN_UP(from + sizeof(struct window_binding), PAGE), end = ALIGN_DOWN(from + n, PAGE);
	u32 protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
	return MIN(user_mmap(start, end - start, protection, flags, NULL, 0), 0);
}

static i64 power_write(struct file *file, u64 from, size_t n, i64 at) {
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
};
static struct file *owners[VECTOR_SPURIOUS + 1]; /* by vector; the last has none */

static bool route(const struct interrupt *interrupt, bool masked) {
	const struct window_interrupt_request *request = &interrupt->request;
	return request->line < 0 || ioapic_route(request->line, interrupt->vector, request->flags & WINDOW_INTERRUPT_LEVEL,
						 request->flags & WINDOW_INTERRUPT_ACTIVE_LOW, masked);
}

void window_interrupt(u8 vector) {
	struct file *file = owners[vector];
	if (!file) return;
	struct interrupt *interrupt = file->state;
	if (interrupt->request.flags & WINDOW_INTERRUPT_LEVEL || interrupt->count == STORM) route(interrupt, true);
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
	u8 vector = find_vector(request->line);
	if (!vector) return -EBUSY;
	struct interrupt *interrupt = kmalloc(sizeof *interrupt);
	if (!interrupt) return -ENOMEM;
	*interrupt = (struct interrupt){.request = *request, .vector = vector};
	if (!route(interrupt, false)) {
		kfree(interrupt, sizeof *interrupt);
		return -ENODEV;
	}
	file->state = interrupt;
	owners[vector] = file;
	return 0;
}

static bool is_request(const struct window_interrupt_request *request) {
	return request->line >= -1 && !(request->flags & ~(WINDOW_INTERRUPT_LEVEL | WINDOW_INTERRUPT_ACTIVE_LOW)) &&
	       (request->line >= 0 || !request->flags);
}

/* The first request says what the file is: for an event channel it has other operations from then on. */
static i64 interrupt_write(struct file *file, u64 from, size_t n, i64 at) {
	struct interrupt *interrupt = file->state;
	struct window_interrupt_request request;
	i64 result = 0;
	if (n < sizeof request) return -EINVAL;
	if (get_user(request, from) < 0) return -EFAULT;
	if (interrupt && memcmp(&request, &interrupt->request, sizeof request) != 0) return -EINVAL;
	if (interrupt)
		route(interrupt, false);
	else if (WINDOW_PORT_KIND(request.flags) != WINDOW_PORT_NONE)
		result = xen_port_claim(file, &request);
	else
		result = is_request(&request) ? interrupt_claim(file, &request) : -EINVAL;
	return result < 0 ? result : (i64)sizeof request;
}

static i64 interrupt_read(struct file *file, u64 to, size_t n, i64 at) {
	struct interrupt *interrupt = file->state;
	if (!interrupt || at > 0 || n < sizeof interrupt->count) return -EINVAL;
	const struct window_interrupt_message message = {MESSAGE_BASE | apic_id() << 12, interrupt->vector,
							 interrupt->vector};
	if (at == 0 && n < sizeof message) return -EINVAL;
	if (at == 0) return put_user(message, to) < 0 ? -EFAULT : (i64)sizeof message;
	i64 result = 0;
	while (!result && !interrupt->count) result = file_wait(file);
	if (result < 0) return result;
	if (put_user(interrupt->count, to) < 0) return -EFAULT;
	bool stormed = !(interrupt->request.flags & WINDOW_INTERRUPT_LEVEL) && interrupt->count > STORM;
	interrupt->count = 0;
	if (stormed) route(interrupt, false);
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
	kfree(interrupt, sizeof *interrupt);
}

#define WINDOW_FILE(name, type, ...) \
	const struct file_operations window_##name##_operations = {.positioned = true, .mode = type | 0600, __VA_ARGS__}

WINDOW_FILE(memory, S_IFCHR, .read = memory_read, .write = memory_write);
WINDOW_FILE(port, S_IFCHR, .read = port_read, .write = port_write);
WINDOW_FILE(dma, S_IFCHR, .read = dma_read, .write = dma_write);
WINDOW_FILE(power, S_IFCHR, .write = power_write);
WINDOW_FILE(interrupt, S_IFIFO, .read = interrupt_read, .write = interrupt_write, .poll = interrupt_poll,
	    .close = interrupt_close);
