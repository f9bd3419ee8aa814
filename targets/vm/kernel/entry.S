/*
 * Between the program and the kernel: system calls, traps, the switch of threads, and the copy loop that may touch
 * the program's pages. There is one processor, so the kernel's stack pointer is a plain variable and %gs is the
 * program's alone.
 */
	.macro FUNCTION name
	.globl \name
	.type \name, @function                 /* so that traces know it */
\name:
	.endm

	.macro PUSH registers:vararg
	.irp register, \registers
	pushq %\register
	.endr
	.endm
	.macro POP registers:vararg
	.irp register, \registers
	popq %\register
	.endr
	.endm
/* In the order of struct trap_frame, from its end. */
	.macro SAVE_REGISTERS
	PUSH rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
	.endm

/* stac and clac are invalid where the processor has no SMAP. cpu_features.smap is the first byte. */
	.macro WITH_SMAP instruction
	testb $1, cpu(%rip)
	jz 771f
	\instruction
771:
	.endm

	.text
	FUNCTION syscall_entry
	movq %rsp, program_stack(%rip)
	movq kernel_stack_top(%rip), %rsp
	pushq $0x23                             /* USER_DATA */
	pushq program_stack(%rip)
	pushq %r11                              /* its flags */
	pushq $0x2b                             /* USER_CODE */
	pushq %rcx                              /* where it goes on */
	pushq $0                                /* error */
	pushq $0x80                             /* vector */
	SAVE_REGISTERS
	xorl %ebp, %ebp                         /* a backtrace ends here */
	movq %rsp, %rdi
	call syscall_dispatch
	jmp trap_return                         /* not sysret, which must not be given every rip and flag */

	FUNCTION trap_common
	WITH_SMAP clac                          /* a fault inside copy_user comes here with access allowed */
	SAVE_REGISTERS
	cld
	testb $3, 120+24(%rsp)                  /* from the program: its frame pointer means nothing here */
	jz 1f
	xorl %ebp, %ebp
1:	movq %rsp, %rdi
	call trap_dispatch
	FUNCTION trap_return
	POP r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
	addq $16, %rsp
	iretq

	FUNCTION switch_context
	PUSH rbx, rbp, r12, r13, r14, r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	POP r15, r14, r13, r12, rbp, rbx
	ret

/* i64 copy_user(void *to, const void *from, size_t n) */
	.globl copy_user_start, copy_user_end, copy_user_fault
	FUNCTION copy_user
	WITH_SMAP stac
	movq %rdx, %rcx
	shrq $3, %rcx
	andl $7, %edx
copy_user_start:
	rep movsq
	movl %edx, %ecx
	rep movsb
copy_user_end:
	WITH_SMAP clac
	xorl %eax, %eax
	ret
copy_user_fault:
	WITH_SMAP clac
	movq $-14, %rax                         /* -EFAULT */
	ret

/* The processor pushes an error code for some exceptions; the others get a 0, so that all frames look alike. */
	.align 16
	FUNCTION trap_stubs
	.set vector, 0
	.rept 256
	.align 16
	.if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector != 29 && vector != 30
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr
	.section .note.GNU-stack, "", @progbits
