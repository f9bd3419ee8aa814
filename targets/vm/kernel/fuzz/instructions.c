/* Instructions that a program may not run, or that harm it. */
#include "worker.h"

/* Each of these must end as a signal, or do nothing. */
void instruction_step(struct worker *w) {
	u64 bad = bad_address(w) | 1UL << 62, *words = (u64 *)own_words(w);
	switch (below(w, 24)) {
	case 0: asm volatile("int3"); break;
	case 1: asm volatile("ud2"); break;
	case 2: asm volatile("int $0x80"); break;
	case 3: asm volatile("int $32"); break;
	case 4: asm volatile("int $14"); break;
	case 5: asm volatile("hlt"); break;
	case 6: asm volatile("cli"); break;
	case 7: asm volatile("out %%al, $0x80" ::"a"(0)); break;
	case 8: asm volatile("rdmsr" ::"c"(0xc0000080) : "rax", "rdx"); break;
	case 9: asm volatile("mov %%rax, %%cr3" ::"a"(0)); break;
	case 10: asm volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; div %%ecx" ::"a"(1) : "rcx", "rdx"); break;
	case 11: asm volatile("jmp *%0" ::"r"(bad)); break;
	case 12: asm volatile("push %0; popfq" ::"r"(next(w) & 0x257fd5) : "memory", "cc"); break;
	case 13: asm volatile("mov %0, %%rsp; push %%rax; jmp resume_loop" ::"r"(bad)); break;
	case 14: asm volatile("mov %0, %%rsp; mov $39, %%eax; syscall; jmp resume_loop" ::"r"(bad)); break;
	case 15: asm volatile("mov %0, %%ds" ::"r"(next(w) & 0x3b)); break;
	case 16: asm volatile("mov %0, %%gs" ::"r"(next(w) & 0x3b)); break;
	case 17: asm volatile("wrgsbase %0" ::"r"(bad_address(w))); break;
	case 18: asm volatile("xrstor64 (%0)" ::"r"(w->xstate), "a"(~0u), "d"(~0u) : "memory"); break;
	case 19: asm volatile("ldmxcsr (%0)" ::"r"(words)); break;
	case 20: asm volatile("fldcw (%0); fldpi; fldz; fdivrp; fwait" ::"r"(words)); break;
	case 21: asm volatile("pushq $0x2b; pushq %0; iretq" ::"r"(bad) : "memory"); break;
	case 22: asm volatile("pushq %0; lretq" ::"r"(bad) : "memory"); break;
	default: asm volatile("sysenter"); break;
	}
}
