/*
 * The BIOS loader's assembly. The first 440 bytes go into the master boot record; the BIOS puts them at 0x7c00, and they
 * read the rest behind themselves. From then on bios.c runs in protected mode and comes back here for each BIOS call.
 *
 *   00000500 … 00007bff   stack
 *   00007c00 … 00007dff   the master boot record
 *   00007e00 …            the rest, .bss behind it
 *   00020000 … 0002ffff   what the BIOS reads into
 */
#define CODE_32 0x08
#define DATA_32 0x10
#define CODE_16 0x18
#define DATA_16 0x20
#define REST_SECTOR 34                          /* the first one behind the partition table; also in disk-image.ts */

	.section .record, "ax"
	.code16
	.globl record
record:
	cli
	cld
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $record, %sp
	sti
	ljmp $0, $1f
1:	movb %dl, drive
	movw $0x55aa, %bx                       /* are there reads by 64-bit sector numbers? */
	movb $0x41, %ah
	int $0x13
	jc too_old
	cmpw $0xaa55, %bx
	jne too_old
	movw $packet, %si
	movb $0x42, %ah
	movb drive, %dl
	int $0x13
	jc unreadable
	jmp rest
too_old:
	movw $too_old_text, %si
	jmp 2f
unreadable:
	movw $unreadable_text, %si
2:	lodsb
	testb %al, %al
	jz 3f
	movw $0x0007, %bx
	movb $0x0e, %ah
	int $0x10
	jmp 2b
3:	hlt
	jmp 3b
too_old_text:
	.asciz "[loader] the BIOS reads no large disks\r\n"
unreadable_text:
	.asciz "[loader] the disk cannot be read\r\n"
	.balign 4
packet:
	.byte 16, 0
	.word rest_sectors
	.word rest, 0
	.quad REST_SECTOR
drive:                                          /* here, as the rest is read over what is there before */
	.byte 0
	.globl record_end
record_end:

	.section .rest, "ax"
	.globl rest
rest:
	cli
	lgdt gdt_pointer
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $CODE_32, $4f
	.code32
4:	movw $DATA_32, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw %ax, %fs
	movw %ax, %gs
	movl $record, %esp
	movl $bss_start, %edi
	movl $bss_end, %ecx
	subl %edi, %ecx
	xorl %eax, %eax
	rep stosb
	movzbl drive, %eax
	pushl %eax
	call bios_main
	hlt

/* void bios_call(u32 number, struct bios_registers *registers): interrupt `number` of the BIOS, in real mode. */
	.globl bios_call
bios_call:
	pushal
	movl 36(%esp), %eax
	movb %al, interrupt_number
	movl 40(%esp), %eax
	movl %eax, registers_at
	movl %esp, stack_at
	ljmp $CODE_16, $5f
	.code16
5:	movw $DATA_16, %ax                      /* real mode keeps the limits that segments have now */
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl %cr0, %eax
	andb $0xfe, %al
	movl %eax, %cr0
	ljmp $0, $6f
6:	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw %ax, %fs
	movw %ax, %gs
	lidt real_idt
	movw registers_at, %bp                  /* it is on the stack, below 64 KiB */
	movl (%bp), %eax
	movl 4(%bp), %ebx
	movl 8(%bp), %ecx
	movl 12(%bp), %edx
	movl 16(%bp), %esi
	movl 20(%bp), %edi
	sti
	.byte 0xcd                              /* int */
interrupt_number:
	.byte 0
	cli
	pushfl
	movw %cs:registers_at, %bp              /* the BIOS keeps %cs and %ss for sure */
	movl %eax, (%bp)
	movl %ebx, 4(%bp)
	movl %ecx, 8(%bp)
	movl %edx, 12(%bp)
	movl %esi, 16(%bp)
	movl %edi, 20(%bp)
	popl 24(%bp)
	lgdt %cs:gdt_pointer
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $CODE_32, $7f
	.code32
7:	movw $DATA_32, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw %ax, %fs
	movw %ax, %gs
	movl stack_at, %esp
	popal
	cld
	ret

/* void enter_kernel(u32 entry, const struct start_info *start), as PVH wants it. */
	.globl enter_kernel
enter_kernel:
	cli
	movl 4(%esp), %eax
	movl 8(%esp), %ebx
	jmp *%eax

	.section .rest.data, "aw"
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff                /* code, 32 bits */
	.quad 0x00cf93000000ffff                /* data, 32 bits */
	.quad 0x00009b000000ffff                /* code, 16 bits */
	.quad 0x000093000000ffff                /* data, 16 bits */
gdt_pointer:
	.word . - gdt - 1
	.long gdt
real_idt:
	.word 0x3ff
	.long 0
	.balign 4
registers_at:
	.long 0
stack_at:
	.long 0
	.section .note.GNU-stack, "", @progbits
