/*
 * The way in: PVH, which is 32-bit protected mode without paging and %ebx = the physical address of an
 * hvm_start_info. Hypervisors come here by the ELF note; our own disk loaders do as they do. It maps the first
 * 4 GiB at 0, at the direct map and (1 GiB) at KERNEL_BASE in large pages, enters long mode and calls kmain().
 * pagetable_init() builds the lasting tables and forgets these.
 */
#define KERNEL_BASE 0xffffffff80000000
#define PHYSICAL(x) ((x) - KERNEL_BASE)
#define XEN_ELFNOTE_PHYS32_ENTRY 18

	.section .note.Xen, "a", @note
	.align 4
	.long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad PHYSICAL(boot_entry)

	.globl boot_entry_physical
	.set boot_entry_physical, PHYSICAL(boot_entry)

/* Writes entries of a table that lead to one address after the other. */
	.macro FILL table, first, step, count
	movl $PHYSICAL(\table), %edi
	movl $(\first), %eax
	movl $\count, %ecx
771:	movl %eax, (%edi)
	addl $\step, %eax
	addl $8, %edi
	loop 771b
	.endm

	/* Filled in by Xen, where it is there: see xen.c. */
	.section .hypercalls, "ax"
	.globl hypercall_page
hypercall_page:
	.skip 4096, 0xcc

	.section .boot, "ax"
	.code32
	.globl boot_entry
boot_entry:
	cli
	cld
	movl $PHYSICAL(boot_stack_top), %esp
	movl %ebx, %ebp

	/* .bss, which the tables are in, is zero: every loader of ELF files clears what a segment has no bytes for. */
	/* 2,048 pages of 2 MiB, present, writable, large. All three maps share them, and the directory above. */
	FILL boot_large_pages, 0x83, 0x200000, 2048
	FILL boot_directory, PHYSICAL(boot_large_pages) + 3, 4096, 4
	movl $(PHYSICAL(boot_large_pages) + 3), PHYSICAL(boot_directory) + 510 * 8
	movl $(PHYSICAL(boot_directory) + 3), %eax
	movl %eax, PHYSICAL(boot_root)
	movl %eax, PHYSICAL(boot_root) + 256 * 8
	movl %eax, PHYSICAL(boot_root) + 511 * 8

	movl $(1 << 5), %eax                    /* PAE; processor_init() sets the rest */
	movl %eax, %cr4
	movl $PHYSICAL(boot_root), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx                  /* EFER: syscall, long mode, no-execute */
	rdmsr
	orl $(1 << 0 | 1 << 8 | 1 << 11), %eax
	wrmsr
	movl $0x80000033, %eax                  /* CR0: paging, NE, ET, MP, PE; WP comes with the lasting tables */
	movl %eax, %cr0
	lgdt PHYSICAL(boot_gdt_pointer)
	ljmp $8, $PHYSICAL(long_mode)

	.align 8
boot_gdt:
	.quad 0, 0x00af9b000000ffff             /* code, 64 bits */
boot_gdt_pointer:
	.word . - boot_gdt - 1
	.long PHYSICAL(boot_gdt)

	.code64
long_mode:
	movabsq $1f, %rax                       /* from the identity map to the kernel's addresses */
	jmp *%rax
	/*
	 * Long mode needs no selectors of data. One that the loader left in fs or gs would be taken from the program at its
	 * first return, with the base of its threads' storage; ds and es have none to lose.
	 */
1:	xorl %eax, %eax
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	lldt %ax
	movq $boot_stack_top, %rsp
	movl %ebp, %edi
	xorl %ebp, %ebp                         /* ends the chain of frames */
	call kmain
	ud2

	.bss
	.align 4096
boot_root: .skip 4096
boot_directory: .skip 4096
boot_large_pages: .skip 4 * 4096
boot_stack: .skip 2 * 4096
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
