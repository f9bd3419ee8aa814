/*
 * The time. KVM and Xen publish their clock in a page (Linux, Documentation/virt/kvm/x86/msr.rst; Xen's public/xen.h);
 * elsewhere the processor's time-stamp counter is scaled by the frequency that CPUID tells or that the PIT measures. The
 * date comes from KVM, from Xen or from the CMOS clock.
 */
#include "xen.h"

u64 tsc_frequency;
const char *clock_source;
static u64 boot_time; /* clock_time() at clock_init() */
static u64 boot_date; /* nanoseconds since 1970 when now() was 0 */

enum { KVM_FEATURES = 0x40000001, KVM_CLOCKSOURCE2 = 1 << 3, KVM_CLOCK_ENABLE = 1 };
enum { MSR_KVM_WALL_CLOCK = 0x4b564d00, MSR_KVM_SYSTEM_TIME };

/* Without a hypervisor that tells the kernel fills it in. */
static volatile struct clock_rate own_rate __attribute__((aligned(64))), *rate = &own_rate;

static volatile struct { u32 version, seconds, nanoseconds; } kvm_wall_clock __attribute__((aligned(64)));

static u64 shift(u64 value, int left) { return left < 0 ? value >> -left : value << left; }

u64 clock_time(void) {
	u32 version;
	u64 time;
	do {
		version = rate->version & ~1u; /* odd: never equal below */
		load_fence();
		u64 ticks = shift(read_tsc() - rate->tsc_timestamp, rate->shift);
		time = rate->system_time + (u64)((unsigned __int128)ticks * rate->multiplier >> 32);
		load_fence();
	} while (rate->version != version);
	return time;
}

static bool kvm_init(void) {
	if (strcmp(cpu.hypervisor, "KVMKVMKVM") != 0 || !(cpuid(KVM_FEATURES, 0).eax & KVM_CLOCKSOURCE2)) return false;
	write_msr(MSR_KVM_SYSTEM_TIME, ((u64)&own_rate - KERNEL_BASE) | KVM_CLOCK_ENABLE);
	return rate->multiplier;
}

/* The page tells when KVM's clock was 0; it is written once, here. */
static u64 kvm_date(void) {
	write_msr(MSR_KVM_WALL_CLOCK, (u64)&kvm_wall_clock - KERNEL_BASE);
	return kvm_wall_clock.seconds * NANOSECONDS + kvm_wall_clock.nanoseconds + boot_time;
}

/* The counter's frequency as the hypervisor or the processor states it; 0 when neither does. */
static u64 stated_frequency(void) {
	u32 highest = cpu.hypervisor[0] ? cpuid(0x40000000, 0).eax : 0;
	if (strcmp(cpu.hypervisor, "XenVMMXenVMM") == 0) return cpuid(0x40000003, 0).ecx * 1000UL;
	if (highest >= 0x40000010 && highest < 0x40000100 && cpuid(0x40000010, 0).eax)
		return cpuid(0x40000010, 0).eax * 1000UL;
	struct cpuid crystal = cpuid(0, 0).eax >= 0x15 ? cpuid(0x15, 0) : (struct cpuid){0};
	return crystal.eax ? (u64)crystal.ecx * crystal.ebx / crystal.eax : 0;
}

/* The PIT's channel 0, free-running and read by latching, as not all machines have channel 2's gate. */
enum { PIT_FREQUENCY = 1193182, PIT_CHANNEL0 = 0x40, PIT_COMMAND = 0x43, MEASURE_TICKS = PIT_FREQUENCY / 200 };

struct sample {
	u16 count; /* goes down */
	u64 tsc, uncertainty;
};

/* The best of several, since the host may take the processor away in the middle of one. */
static struct sample pit_sample(void) {
	struct sample best = {.uncertainty = FOREVER};
	for (int i = 0; i < 8; i++) {
		u64 before = read_tsc();
		out8(PIT_COMMAND, 0);
		u64 passed = read_tsc() - before;
		u16 low = in8(PIT_CHANNEL0), count = (u16)(in8(PIT_CHANNEL0) << 8 | low);
		if (passed < best.uncertainty) best = (struct sample){count, before + passed / 2, passed};
	}
	return best;
}

/* Over five milliseconds, so long before the counter wraps; 0 when the PIT stands still. */
static u64 measured_frequency(void) {
	out8(PIT_COMMAND, 0x34); /* mode 2, reload value of 65536 */
	out8(PIT_CHANNEL0, 0);
	out8(PIT_CHANNEL0, 0);
	struct sample start = pit_sample(), end;
	u32 polls = 100000;
	do end = pit_sample();
	while ((u16)(start.count - end.count) < MEASURE_TICKS && --polls);
	out8(PIT_COMMAND, 0x30); /* mode 0 without a count: no more output */
	return polls ? (end.tsc - start.tsc) * PIT_FREQUENCY / (u16)(start.count - end.count) : 0;
}

/* The CMOS clock, as every machine sets it: 24 hours, mostly in decimal digits. */
enum { STATUS_B = 11, STATUS_B_BINARY = 0x04 };

static u8 cmos(u8 reg) {
	out8(0x70, reg);
	return in8(0x71);
}

/* Seconds since 1970; 0 when there is no such clock. What was read while it moved on is not read twice alike. */
static u64 cmos_date(void) {
	static const u8 registers[] = {0, 2, 4, 7, 8, 9};
	u8 v[LENGTH(registers)] = {0}, last[LENGTH(registers)];
	bool binary = cmos(STATUS_B) & STATUS_B_BINARY;
	int tries = 8;
	do {
		memcpy(last, v, sizeof v);
		for (u32 i = 0; i < LENGTH(v); i++) v[i] = cmos(registers[i]);
	} while (memcmp(v, last, sizeof v) != 0 && --tries);
	for (u32 i = 0; i < LENGTH(v) && !binary; i++) v[i] = (v[i] >> 4) * 10 + (v[i] & 15);
	u64 second = v[0], minute = v[1], hour = v[2], day = v[3], month = v[4], year = 2000UL + v[5];
	if (second > 60 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 || month > 12 || year > 2099)
		return 0;
	/* Days of the civil calendar: years begin in March, so that the leap day is a year's last. */
	u64 march_year = month <= 2 ? year - 1 : year;
	u64 march_month = month <= 2 ? month + 9 : month - 3;
	u64 days = 365 * march_year + march_year / 4 - march_year / 100 + march_year / 400 +
		   (march_month * 306 + 5) / 10 + day - 1 - 719468;
	return days * 86400 + hour * 3600 + minute * 60 + second;
}

void clock_init(void) {
	bool kvm = kvm_init();
	clock_source = kvm ? "kvmclock" : xen_guest ? "xen" : "cpuid";
	if (xen_guest) rate = &xen_shared->vcpu[0].time;
	if (kvm || xen_guest) {
		tsc_frequency = shift((NANOSECONDS << 32) / rate->multiplier, -rate->shift);
	} else {
		tsc_frequency = stated_frequency();
		if (!tsc_frequency) clock_source = "pit";
		if (!tsc_frequency) tsc_frequency = measured_frequency();
		if (tsc_frequency < 1000000)
			fail(EXIT_PANIC, "[kernel] boot: nothing tells how fast the processor's clock runs");
		u64 multiplier = (NANOSECONDS << 32) / tsc_frequency;
		for (; multiplier >> 32; multiplier >>= 1) rate->shift++;
		rate->multiplier = (u32)multiplier;
	}
	boot_time = clock_time();
	boot_date = kvm ? kvm_date() : xen_guest ? xen_epoch() + boot_time : cmos_date() * NANOSECONDS;
}

void clock_resume(u64 time) {
	boot_time = clock_time() - time;
	boot_date = xen_epoch() + boot_time;
}

u64 now(void) {
	static u64 latest;
	u64 time = clock_time() - boot_time;
	/* A virtual machine that moved between hosts may see its counter step back. */
	if ((i64)(time - latest) < 0) return latest;
	return latest = time;
}

u64 wall_clock(void) { return boot_date + now(); }
