/* The instructions that C has no word for. */
#pragma once
#include "types.h"
/* clang-format off */

enum { MSR_APIC_BASE = 0x1b, MSR_FS_BASE = 0xc0000100 };
enum { MSR_STAR = 0xc0000081, MSR_LSTAR, MSR_FMASK = 0xc0000084 }; /* system calls */
enum { CR4_PGE = 1 << 7, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_UMIP = 1 << 11 };
enum { CR4_OSXSAVE = 1 << 18, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21 };
#define CR0_WP (1UL << 16)

enum { RFLAGS_FIXED = 1 << 1, RFLAGS_TF = 1 << 8, RFLAGS_IF = 1 << 9, RFLAGS_DF = 1 << 10, RFLAGS_IOPL = 3 << 12 };
enum { RFLAGS_NT = 1 << 14, RFLAGS_RF = 1 << 16, RFLAGS_AC = 1 << 18 };

/* Selectors. */
enum { KERNEL_CODE = 0x08, KERNEL_DATA = 0x10, USER_DATA = 0x23, USER_CODE = 0x2b, TASK_STATE = 0x30 };

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
/* Loads after it are not made before those before it. */
static inline void load_fence(void) { asm volatile("lfence" ::: "memory"); }
static inline u64 read_tsc(void) { return __builtin_ia32_rdtsc(); }
struct cpuid { u32 eax, ebx, ecx, edx; };
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
/*
 * Sleeps until one interrupt was handled: trap_dispatch() returns with interrupts off. sti takes effect after hlt began,
 * so none is lost between; where it does not, trap_dispatch() passes over hlt.
 */
static inline void wait_for_interrupt(void) { asm volatile("sti; hlt; cli" ::: "memory"); }
