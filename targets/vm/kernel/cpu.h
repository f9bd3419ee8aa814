/* The instructions that C has no word for. */
#pragma once
#include "types.h"

#define MSR_APIC_BASE    0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_EFER         0xc0000080
#define MSR_STAR         0xc0000081
#define MSR_LSTAR        0xc0000082
#define MSR_FMASK        0xc0000084
#define MSR_FS_BASE      0xc0000100
#define MSR_GS_BASE      0xc0000101

#define CR0_TS         (1UL << 3)
#define CR0_WP         (1UL << 16)
#define CR4_PGE        (1UL << 7)
#define CR4_OSFXSR     (1UL << 9)
#define CR4_OSXMMEXCPT (1UL << 10)
#define CR4_UMIP       (1UL << 11)
#define CR4_FSGSBASE   (1UL << 16)
#define CR4_OSXSAVE    (1UL << 18)
#define CR4_SMEP       (1UL << 20)
#define CR4_SMAP       (1UL << 21)

#define RFLAGS_CF    (1UL << 0)
#define RFLAGS_FIXED (1UL << 1)
#define RFLAGS_TF    (1UL << 8)
#define RFLAGS_IF    (1UL << 9)
#define RFLAGS_DF    (1UL << 10)
#define RFLAGS_IOPL  (3UL << 12)
#define RFLAGS_NT    (1UL << 14)
#define RFLAGS_RF    (1UL << 16)
#define RFLAGS_AC    (1UL << 18)

/* Selectors. sysret fixes the order of the program's two. */
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_DATA   0x23
#define USER_CODE   0x2b
#define TASK_STATE  0x30

/* out8(port, value), in8(port), and the same for 16 and 32 bits. */
#define PORT_ACCESS(bits, suffix) \
	static inline void out##bits(u16 port, u##bits value) { \
		asm volatile("out" suffix " %0, %1" ::"a"(value), "Nd"(port)); \
	} \
	static inline u##bits in##bits(u16 port) { \
		u##bits value; \
		asm volatile("in" suffix " %1, %0" : "=a"(value) : "Nd"(port)); \
		return value; \
	}
PORT_ACCESS(8, "b")
PORT_ACCESS(16, "w")
PORT_ACCESS(32, "l")
#undef PORT_ACCESS

static inline u64 read_msr(u32 msr) {
	u32 low, high;
	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (u64)high << 32 | low;
}
static inline void write_msr(u32 msr, u64 value) {
	asm volatile("wrmsr" ::"c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}
static inline u64 read_tsc(void) {
	u32 low, high;
	asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (u64)high << 32 | low;
}
struct cpuid {
	u32 eax, ebx, ecx, edx;
};
static inline struct cpuid cpuid(u32 leaf, u32 subleaf) {
	struct cpuid r;
	asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
	return r;
}

#define CONTROL_REGISTER(n) \
	static inline u64 read_cr##n(void) { \
		u64 value; \
		asm volatile("mov %%cr" #n ", %0" : "=r"(value)); \
		return value; \
	} \
	static inline void write_cr##n(u64 value) { asm volatile("mov %0, %%cr" #n ::"r"(value) : "memory"); }
CONTROL_REGISTER(0)
CONTROL_REGISTER(2)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)
#undef CONTROL_REGISTER

static inline void write_xcr0(u64 value) { asm volatile("xsetbv" ::"c"(0), "a"((u32)value), "d"((u32)(value >> 32))); }
static inline void invalidate_page(u64 address) { asm volatile("invlpg (%0)" ::"r"(address) : "memory"); }
static inline void interrupts_off(void) { asm volatile("cli" ::: "memory"); }
static inline void cpu_pause(void) { asm volatile("pause" ::: "memory"); }
/* Sleeps until an interrupt was handled. sti takes effect after hlt began, so none is lost between. */
static inline void wait_for_interrupt(void) { asm volatile("sti; hlt; cli" ::: "memory"); }
