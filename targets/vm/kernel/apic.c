/*
 * Interrupts: the local APIC (Intel SDM volume 3, chapter 11; by memory or, as x2APIC, by MSR), its timer, and the
 * I/O APICs. No table is read: the first I/O APIC is where all PCs have it, the second where QEMU's microvm has one.
 */
#include "xen.h"

enum { APIC_BASE_ENABLE = 1 << 11, APIC_BASE_X2APIC = 1 << 10, X2APIC_MSR = 0x800 };
/* Registers, as offsets in memory, and what goes into them. */
enum { APIC_ID = 0x20, APIC_TASK_PRIORITY = 0x80, APIC_END_OF_INTERRUPT = 0xb0, APIC_SPURIOUS = 0xf0 };
enum { APIC_TIMER = 0x320, APIC_TIMER_INITIAL = 0x380, APIC_TIMER_CURRENT = 0x390, APIC_TIMER_DIVIDE = 0x3e0 };
enum { APIC_LINT0 = 0x350, APIC_LINT1 = 0x360, APIC_ERROR = 0x370 };
enum { DELIVER_NMI = 4 << 8, ACTIVE_LOW = 1 << 13, LEVEL = 1 << 15, MASKED = 1 << 16, DIVIDE_BY_1 = 0xb };
enum { IOAPIC_VERSION = 1, IOAPIC_REDIRECTION = 0x10, MAX_LINES = 240 };

static const u64 ioapic_addresses[] = {0xfec00000, 0xfec10000};
static struct ioapic {
	volatile u32 *registers; /* [0] selects, [4] is the window */
	u32 first, lines;        /* global system interrupts */
} ioapics[LENGTH(ioapic_addresses)];

static volatile u32 *local; /* NULL: x2APIC */
static u64 timer_frequency;

static u32 local_read(u32 reg) { return local ? local[reg / 4] : (u32)read_msr(X2APIC_MSR + reg / 16); }

static void local_write(u32 reg, u32 value) {
	if (local)
		local[reg / 4] = value;
	else
		write_msr(X2APIC_MSR + reg / 16, value);
}

static void ioapic_write(const struct ioapic *ioapic, u32 reg, u32 value) {
	ioapic->registers[0] = reg;
	ioapic->registers[4] = value;
}

static void find_ioapics(void) {
	u32 first = 0;
	for (u32 i = 0; i < LENGTH(ioapics); i++) {
		struct ioapic *ioapic = &ioapics[i];
		ioapic->registers = device_map(ioapic_addresses[i], PAGE);
		if (!ioapic->registers) continue;
		ioapic->registers[0] = IOAPIC_VERSION;
		u32 version = ioapic->registers[4], lines = (version >> 16 & 0xff) + 1;
		if (version == 0 || version == ~0u || lines > MAX_LINES) continue;
		ioapic->first = first;
		ioapic->lines = lines;
		first += lines;
		for (u32 line = 0; line < lines; line++) ioapic_write(ioapic, IOAPIC_REDIRECTION + 2 * line, MASKED);
	}
}

bool ioapic_route(u32 line, u8 vector, bool level, bool active_low, bool masked) {
	for (u32 i = 0; i < LENGTH(ioapics); i++) {
		const struct ioapic *ioapic = &ioapics[i];
		if (line - ioapic->first >= ioapic->lines) continue;
		u32 reg = IOAPIC_REDIRECTION + 2 * (line - ioapic->first);
		ioapic_write(ioapic, reg + 1, apic_id() << 24);
		u32 mode = (level ? LEVEL : 0) | (active_low ? ACTIVE_LOW : 0) | (masked ? MASKED : 0);
		ioapic_write(ioapic, reg, vector | mode);
		return true;
	}
	return false;
}

/* The timer's input clock is measured against now(): a millisecond is exact enough, as an early tick is set anew. */
static void measure_timer(void) {
	local_write(APIC_TIMER_INITIAL, ~0u);
	u64 start = now(), elapsed;
	do elapsed = now() - start;
	while (elapsed < NANOSECONDS / 1000);
	u32 ticks = ~0u - local_read(APIC_TIMER_CURRENT);
	local_write(APIC_TIMER_INITIAL, 0);
	timer_frequency = ticks * NANOSECONDS / elapsed;
	if (!timer_frequency) fail(EXIT_PANIC, "[kernel] boot: the local APIC's timer stands still");
}

void apic_init(void) {
	if (xen_guest) return; /* all comes by event channels, and needs no acknowledgement */
	/* The two old interrupt controllers stay silent. */
	out8(0x21, 0xff);
	out8(0xa1, 0xff);

	u64 base = read_msr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
	write_msr(MSR_APIC_BASE, base);
	if (cpu.x2apic)
		write_msr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	else if (!(local = device_map(base & PTE_ADDRESS, PAGE)))
		fail(EXIT_OUT_OF_MEMORY, "[kernel] boot: no memory to map the local APIC");
	local_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
	local_write(APIC_TASK_PRIORITY, 0);
	local_write(APIC_LINT0, MASKED);
	local_write(APIC_LINT1, DELIVER_NMI); /* QEMU's `nmi` asks a hung machine where it is */
	local_write(APIC_ERROR, MASKED);
	local_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	local_write(APIC_TIMER, VECTOR_TIMER | MASKED);
	measure_timer();
	local_write(APIC_TIMER, VECTOR_TIMER);
	find_ioapics();
}

u32 apic_id(void) { return xen_guest ? 0 : local ? local_read(APIC_ID) >> 24 : local_read(APIC_ID); }

void apic_acknowledge(void) { local_write(APIC_END_OF_INTERRUPT, 0); }

void apic_timer(u64 nanoseconds) {
	if (xen_guest) return xen_timer(nanoseconds);
	/* A deadline further off is reached in several ticks: timer_tick() sets the next. */
	u64 ticks = MIN(nanoseconds, NANOSECONDS) * (timer_frequency / 1000) / (NANOSECONDS / 1000);
	local_write(APIC_TIMER_INITIAL, nanoseconds ? (u32)MAX(MIN(ticks, 0xffffffffUL), 1UL) : 0);
}
