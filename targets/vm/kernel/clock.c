/*
 * The time. KVM publishes its clock in a page (Linux, Documentation/virt/kvm/x86/msr.rst); elsewhere the processor's
 * time-stamp counter is scaled by the frequency that CPUID tells or that the PIT measures. The date comes from KVM or
 * from the CMOS clock.
 */
#include "kernel.h"

u64 tsc_frequency;
const char *clock_source;
static u64 boot_time; /* the source's reading at clock_init() */
static u64 boot_date; /* nanoseconds since 1970 when now() was 0 */

/* KVM's clock. */
#define KVM_FEATURES        0x40000001
#define KVM_CLOCKSOURCE2    (1u << 3)
#define MSR_KVM_WALL_CLOCK  0x4b564d00
#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define KVM_CLOCK_ENABLE    1

static volatile struct {
	u32 version; /* odd while the hypervisor writes */
	u32 padding0;
	u64 tsc_timestamp, system_time;
	u32 multiplier;
	i8 shift;
	u8 flags, padding1[2];
} kvm_clock __attribute__((aligned(64)));

static volatile struct { u32 version, seconds, nanoseconds; } kvm_wall_clock __attribute__((aligned(64)));

static bool kvm;
static u64 tsc_multiplier; /* nanoseconds per tick, 32 bits of fraction */

static u64 scale(u64 ticks, u64 multiplier) { return (u64)((unsigned __int128)ticks * multiplier >> 32); }

static u64 kvm_time(void) {
	u32 version;
	u64 time;
	do {
		version = kvm_clock.version & ~1u; /* odd: never equal below */
		asm volatile("lfence" ::: "memory");
		u64 ticks = read_tsc() - kvm_clock.tsc_timestamp;
		if (kvm_clock.shift < 0)
			ticks >>= -kvm_clock.shift;
		else
			ticks <<= kvm_clock.shift;
		time = kvm_clock.system_time + scale(ticks, kvm_clock.multiplier);
		asm volatile("lfence" ::: "memory");
	} while (kvm_clock.version != version);
	return time;
}

static bool kvm_init(void) {
	if (strcmp(cpu.hypervisor, "KVMKVMKVM") != 0 || !(cpuid(KVM_FEATURES, 0).eax & KVM_CLOCKSOURCE2)) return false;
	write_msr(MSR_KVM_SYSTEM_TIME, ((u64)&kvm_clock - KERNEL_BASE) | KVM_CLOCK_ENABLE);
	if (!kvm_clock.multiplier) return false;
	tsc_frequency = (NANOSECONDS << 32) / kvm_clock.multiplier;
	if (kvm_clock.shift < 0)
		tsc_frequency <<= -kvm_clock.shift;
	else
		tsc_frequency >>= kvm_clock.shift;
	return true;
}

static u64 kvm_date(void) {
	u32 version;
	u64 date;
	write_msr(MSR_KVM_WALL_CLOCK, (u64)&kvm_wall_clock - KERNEL_BASE);
	do {
		version = kvm_wall_clock.version & ~1u;
		asm volatile("lfence" ::: "memory");
		date = kvm_wall_clock.seconds * NANOSECONDS + kvm_wall_clock.nanoseconds;
		asm volatile("lfence" ::: "memory");
	} while (kvm_wall_clock.version != version);
	return date + boot_time; /* the page tells when KVM's clock was 0 */
}

/* The counter's frequency as the hypervisor or the processor states it; 0 when neither does. */
static u64 stated_frequency(void) {
	if (cpu.hypervisor[0]) {
		u32 highest = cpuid(0x40000000, 0).eax;
		if (strcmp(cpu.hypervisor, "XenVMMXenVMM") == 0) return cpuid(0x40000003, 0).ecx * 1000UL;
		if (highest >= 0x40000010 && highest < 0x40000100 && cpuid(0x40000010, 0).eax)
			return cpuid(0x40000010, 0).eax * 1000UL;
	}
	u32 highest = cpuid(0, 0).eax;
	if (highest >= 0x15) {
		struct cpuid r = cpuid(0x15, 0);
		if (r.eax && r.ebx && r.ecx) return (u64)r.ecx * r.ebx / r.eax;
	}
	if (highest >= 0x16) return (cpuid(0x16, 0).eax & 0xffff) * 1000000UL;
	return 0;
}

/* The PIT's channel 0, free-running and read by latching, as not all machines have channel 2's gate. */
#define PIT_FREQUENCY 1193182
#define PIT_CHANNEL0  0x40
#define PIT_COMMAND   0x43
#define MEASURE_TICKS (PIT_FREQUENCY / 200)

struct sample {
	u16 count; /* goes down */
	u64 tsc, uncertainty;
};

static struct sample pit_sample(void) {
	struct sample s;
	u64 before = read_tsc();
	out8(PIT_COMMAND, 0);
	u64 after = read_tsc();
	s.count = in8(PIT_CHANNEL0);
	s.count |= (u16)(in8(PIT_CHANNEL0) << 8);
	s.tsc = before + (after - before) / 2;
	s.uncertainty = after - before;
	return s;
}

/* The best of several, since the host may take the processor away in the middle of one. */
static struct sample pit_sharp_sample(void) {
	struct sample best = pit_sample();
	for (int i = 0; i < 8; i++) {
		struct sample s = pit_sample();
		if (s.uncertainty < best.uncertainty) best = s;
	}
	return best;
}

/* Over five milliseconds; 0 when the PIT stands still. */
static u64 measure_once(void) {
	struct sample start = pit_sharp_sample(), end;
	u32 polls = 100000;
	do end = pit_sample();
	while ((u16)(start.count - end.count) < MEASURE_TICKS && --polls);
	end = pit_sharp_sample();
	u16 ticks = (u16)(start.count - end.count);
	return polls && ticks ? (end.tsc - start.tsc) * PIT_FREQUENCY / ticks : 0;
}

/* The counter wraps after 55 ms, which a busy host may have taken in one piece: two results must agree. */
static u64 measured_frequency(void) {
	out8(PIT_COMMAND, 0x34); /* mode 2, reload value of 65536 */
	out8(PIT_CHANNEL0, 0);
	out8(PIT_CHANNEL0, 0);
	u64 last = measure_once(), next = last;
	for (int tries = 16; last && tries; tries--) {
		next = measure_once();
		u64 difference = next > last ? next - last : last - next;
		if (difference <= next / 2048) break;
		last = next;
	}
	out8(PIT_COMMAND, 0x30); /* mode 0 without a count: no more output */
	return last / 2 + next / 2;
}

/* The CMOS clock. */
static u8 cmos(u8 reg) {
	out8(0x70, reg);
	return in8(0x71);
}

enum { SECOND = 0, MINUTE = 2, HOUR = 4, DAY = 7, MONTH = 8, YEAR = 9, STATUS_A = 10, STATUS_B = 11 };
#define STATUS_A_UPDATING 0x80
#define STATUS_B_BINARY   0x04
#define STATUS_B_24_HOURS 0x02
#define HOUR_PM           0x80

static const u8 cmos_fields[] = {SECOND, MINUTE, HOUR, DAY, MONTH, YEAR};

static void cmos_read(u8 values[LENGTH(cmos_fields)]) {
	for (u32 polls = 100000; polls && cmos(STATUS_A) & STATUS_A_UPDATING; polls--) cpu_pause();
	for (u32 i = 0; i < LENGTH(cmos_fields); i++) values[i] = cmos(cmos_fields[i]);
}

static u64 from_bcd(u8 value, bool binary) { return binary ? value : (value >> 4) * 10u + (value & 15); }

/* Seconds since 1970; 0 when there is no such clock. */
static u64 cmos_date(void) {
	u8 v[LENGTH(cmos_fields)], again[LENGTH(cmos_fields)];
	int tries = 4;
	do {
		cmos_read(v);
		cmos_read(again);
	} while (memcmp(v, again, sizeof v) != 0 && --tries);

	u8 status = cmos(STATUS_B);
	bool binary = status & STATUS_B_BINARY;
	u64 hour = from_bcd(v[2] & (status & STATUS_B_24_HOURS ? 0xff : 0x7f), binary);
	if (!(status & STATUS_B_24_HOURS)) hour = hour % 12 + (v[2] & HOUR_PM ? 12 : 0);
	u64 second = from_bcd(v[0], binary), minute = from_bcd(v[1], binary);
	u64 day = from_bcd(v[3], binary), month = from_bcd(v[4], binary), year = 2000 + from_bcd(v[5], binary);
	if (second > 60 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 || month > 12 || year > 2099)
		return 0;

	/* Days of the civil calendar: years begin in March, so that the leap day is a year's last. */
	u64 march_year = month <= 2 ? year - 1 : year;
	u64 march_month = month <= 2 ? month + 9 : month - 3;
	u64 days = 365 * march_year + march_year / 4 - march_year / 100 + march_year / 400 +
		   (march_month * 306 + 5) / 10 + day - 1 - 719468;
	return days * 86400 + hour * 3600 + minute * 60 + second;
}

static u64 source_time(void) { return kvm ? kvm_time() : scale(read_tsc(), tsc_multiplier); }

void clock_init(void) {
	kvm = kvm_init();
	clock_source = "kvmclock";
	if (!kvm) {
		clock_source = "cpuid";
		tsc_frequency = stated_frequency();
		if (!tsc_frequency) {
			clock_source = "pit";
			tsc_frequency = measured_frequency();
		}
		if (tsc_frequency < 1000000)
			fail(EXIT_PANIC, "[kernel] boot: nothing tells how fast the processor's clock runs");
		tsc_multiplier = (NANOSECONDS << 32) / tsc_frequency;
	}
	boot_time = source_time();
	boot_date = kvm ? kvm_date() : cmos_date() * NANOSECONDS;
}

u64 now(void) {
	static u64 latest;
	u64 time = source_time() - boot_time;
	/* A virtual machine that moved between hosts may see its counter step back. */
	if ((i64)(time - latest) < 0) return latest;
	return latest = time;
}

u64 wall_clock(void) { return boot_date + now(); }
