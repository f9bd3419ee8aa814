/*
 * The UEFI loader's assembly: the header of the PE32+ file (Microsoft's "PE Format"), whose offsets in the file are the
 * addresses in memory, and the way from 64-bit mode into the kernel's 32-bit entry.
 */
#define MACHINE_X64 0x8664
#define EXECUTABLE_STRIPPED 0x0206              /* executable, no line numbers, no debug information */
#define PE32_PLUS 0x20b
#define SUBSYSTEM_EFI_APPLICATION 10
#define NX_COMPATIBLE 0x100
#define CODE 0x60000020                         /* code, execute, read */
#define DATA 0xc0000040                         /* data, read, write */
#define RELOCATIONS 0x42000040                  /* data, discardable, read */

	.section .header, "a"
	.ascii "MZ"
	.skip 58
	.long 64                                /* where the PE header is */
	.ascii "PE\0\0"
	.word MACHINE_X64
	.word 3                                 /* sections */
	.long 0, 0, 0
	.word section_table - optional_header
	.word EXECUTABLE_STRIPPED
optional_header:
	.word PE32_PLUS
	.byte 2, 0
	.long text_size
	.long data_size
	.long 0
	.long uefi_main
	.long text_start
	.quad 0                                 /* may be loaded anywhere: the code is position-independent */
	.long 4096                              /* alignment in memory */
	.long 4096                              /* alignment in the file */
	.word 0, 0, 0, 0, 2, 0
	.long 0
	.long image_size
	.long text_start                        /* size of the headers */
	.long 0
	.word SUBSYSTEM_EFI_APPLICATION
	.word NX_COMPATIBLE
	.quad 0, 0, 0, 0                        /* stack and heap: the firmware's */
	.long 0
	.long 6                                 /* directories */
	.quad 0, 0, 0, 0, 0
	.long relocations, 12
section_table:
	.ascii ".text\0\0\0"
	.long text_size, text_start, text_size, text_start
	.long 0, 0, 0, CODE
	.ascii ".data\0\0\0"
	.long data_size, data_start, data_size, data_start
	.long 0, 0, 0, DATA
	.ascii ".reloc\0\0"
	.long 12, relocations, relocations_size, relocations
	.long 0, 0, 0, RELOCATIONS

	/* Firmware wants the section, even with nothing in it: one block without a relocation. */
	.section .relocations, "a"
relocations:
	.long 0, 12, 0

/*
 * Leaves 64-bit mode: %rdi = start information, %esi = the kernel's entry, %rdx = where this is. It must run below
 * 4 GiB in identity-mapped memory, as it turns paging off.
 */
	.section .text.trampoline, "ax"
	.globl trampoline, trampoline_end
	.code64
trampoline:
	cli
	movl %edi, %ebx
	leaq (gdt - trampoline)(%rdx), %rax
	movq %rax, (gdt_pointer + 2 - trampoline)(%rdx)
	lgdt (gdt_pointer - trampoline)(%rdx)
	leaq (1f - trampoline)(%rdx), %rax
	pushq $8
	pushq %rax
	lretq
	.code32
1:	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	movl $0x11, %eax                        /* CR0: no paging, protected mode, 387 present */
	movl %eax, %cr0
	movl $0xc0000080, %ecx                  /* EFER: no long mode */
	rdmsr
	andl $~0x100, %eax
	wrmsr
	xorl %eax, %eax
	movl %eax, %cr4
	jmp *%esi
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff                /* code, 32 bits */
	.quad 0x00cf93000000ffff                /* data, 32 bits */
gdt_pointer:
	.word . - gdt - 1
	.quad 0
trampoline_end:
	.section .note.GNU-stack, "", @progbits
