/*
 * The processor: what it can do, its control registers, and the tables that say where system calls and traps go
 * (GDT, TSS, IDT: Intel SDM volume 3, chapters 3, 6 and 8).
 */
#include "kernel.h"

struct cpu_features cpu;
u64 kernel_stack_top, program_stack; /* for entry.S */
_Static_assert(__builtin_offsetof(struct cpu_features, smap) == 0, "entry.S tests the first byte");

/* Nothing, the kernel's code and data, nothing, the program's data and code, and two for TASK_STATE. */
static u64 gdt[8] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0x00cff3000000ffff, 0x00affb000000ffff};

static struct {
	u32 reserved0;
	u64 stack[3], reserved1, interrupt_stack[7], reserved2; /* stack: by ring */
	u16 reserved3, port_bitmap;
} __attribute__((packed)) task_state;

static u64 idt[256][2] __attribute__((aligned(16)));

enum { INTERRUPT_GATE = 0x8e, PROGRAM_GATE = 0xee }; /* the latter: reachable with int3 */

struct table_pointer {
	u16 limit;
	u64 address;
} __attribute__((packed));

/* A double fault may mean a stack without room, and the two others come at any time: they have stacks of their own. */
static u8 double_fault_stack[8192] __attribute__((aligned(16))), emergency_stack[8192] __attribute__((aligned(16)));

static void find_features(void) {
	struct cpuid basic = cpuid(1, 0), who = cpuid(0x40000000, 0);
	/* Each that has XSAVE has leaf 13, and 7 with it. */
	if (cpuid(0, 0).eax < 13 || !(basic.ecx >> 26 & 1))
		fail(EXIT_PANIC, "[kernel] boot: the processor lacks XSAVE");
	cpu.x2apic = basic.ecx >> 21 & 1;
	cpu.rdrand = basic.ecx >> 30 & 1;
	cpu.smap = cpuid(7, 0).ebx >> 20 & 1;
	if (basic.ecx >> 31) memcpy(cpu.hypervisor, &who.ebx, 12);
}

static void load_tables(void) {
	u64 base = (u64)&task_state, limit = sizeof task_state - 1;
	gdt[TASK_STATE / 8] = limit | (base & 0xffffff) << 16 | 0x89UL << 40 | (base >> 24 & 0xff) << 56;
	gdt[TASK_STATE / 8 + 1] = base >> 32;
	task_state.port_bitmap = sizeof task_state; /* beyond the limit: the program has no ports */
	task_state.interrupt_stack[0] = (u64)double_fault_stack + sizeof double_fault_stack;
	task_state.interrupt_stack[1] = (u64)emergency_stack + sizeof emergency_stack;

	for (u32 vector = 0; vector < LENGTH(idt); vector++) {
		u64 stub = (u64)trap_stubs + vector * 16;
		u64 stack = vector == TRAP_DOUBLE_FAULT ? 1 : 0; /* 0: the current one, or the thread's */
		if (vector == TRAP_NMI || vector == TRAP_MACHINE_CHECK) stack = 2;
		u64 type = vector == TRAP_BREAKPOINT ? PROGRAM_GATE : INTERRUPT_GATE;
		idt[vector][0] =
			(stub & 0xffff) | KERNEL_CODE << 16 | stack << 32 | type << 40 | (stub >> 16 & 0xffff) << 48;
		idt[vector][1] = stub >> 32;
	}
	struct table_pointer gdt_pointer = {sizeof gdt - 1, (u64)gdt}, idt_pointer = {sizeof idt - 1, (u64)idt};
	asm volatile("lgdt %0" ::"m"(gdt_pointer));
	asm volatile("ltr %w0" ::"r"(TASK_STATE));
	asm volatile("lidt %0" ::"m"(idt_pointer));
}

void processor_init(void) {
	struct cpuid extended = cpuid(7, 0);
	load_tables();
	find_features();
	u64 cr4 = read_cr4() | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	if (extended.ebx >> 7 & 1) cr4 |= CR4_SMEP;
	if (cpu.smap) cr4 |= CR4_SMAP;
	if (extended.ecx >> 2 & 1) cr4 |= CR4_UMIP;
	write_cr4(cr4);
	write_cr0(read_cr0() | CR0_WP);

	/* STAR: system calls enter with KERNEL_CODE. They leave by iret. */
	write_msr(MSR_STAR, (u64)KERNEL_CODE << 32);
	write_msr(MSR_LSTAR, (u64)syscall_entry);
	write_msr(MSR_FMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC);
}

void processor_set_kernel_stack(u64 top) {
	kernel_stack_top = top;
	task_state.stack[0] = top;
}
