/*
 * What the files of the kernel offer each other, a section a file.
 *
 * One processor, one address space, interrupts off inside the kernel: no locks anywhere. A thread gives up the
 * processor only in schedule(), so whatever is read before a call that may block must be read again after it.
 */
#pragma once
#include "types.h"
#include "cpu.h"
#include "calls.h"
/* clang-format off */

#define NORETURN __attribute__((noreturn))
#define PRINTF_FROM(argument) __attribute__((format(printf, argument, argument + 1)))

/*
 * The address space.
 *   0000000000001000 … 00007fffffffefff  the program (a guard page on either side)
 *   ffff800000000000 …                   physical memory ("direct map"): RAM read-write, never executable, with the
 *                                        kernel's text and constants and the image read-only; device registers,
 *                                        uncached, once device_map() was asked for them; nothing else
 *   ffffc90000000000 …                   kernel stacks with guard pages
 *   ffffffff80100000 …                   the kernel: text (r-x), rodata (r--), data (rw-)
 */
#define USER_BOTTOM     0x10000UL
#define USER_TOP        0x00007ffffffff000UL
#define DIRECT_MAP      0xffff800000000000UL
#define DIRECT_MAP_SIZE (1UL << 46)
#define KERNEL_MAPPINGS 0xffffc90000000000UL
#define KERNEL_BASE     0xffffffff80000000UL

static inline void *direct(u64 physical) { return (void *)(physical + DIRECT_MAP); }
static inline u64 physical(const void *direct_address) { return (u64)direct_address - DIRECT_MAP; }

/* Exit codes of the machine beside the program's own; see power.c. The last: more the signal's number. */
enum { EXIT_PANIC = 101, EXIT_OUT_OF_MEMORY = 102, EXIT_BAD_IMAGE = 103, EXIT_SIGNAL = 64 };

/* string.c */
void *memcpy(void *to, const void *from, size_t n), *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
size_t strlen(const char *s), strnlen(const char *s, size_t limit);
int memcmp(const void *a, const void *b, size_t n), strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

/*
 * print.c: %s %d %u %x, l for 64 bits, width and the flag 0. format() returns the length that it would have had.
 * print() is for the console, where a line of the kernel's own begins with "[kernel] ".
 */
typedef __builtin_va_list va_list;
int format(char *to, size_t size, const char *format, ...) PRINTF_FROM(3);
void print(const char *format, ...) PRINTF_FROM(1);

/*
 * console.c: the 16550 at COM1. Output is polled, input comes by interrupt once console_start() has run.
 * console_flush() waits, not for ever, until all that was written has left.
 */
void console_init(void), console_start(void), console_interrupt(void), console_flush(void);
void console_write(const char *bytes, size_t n);
size_t console_read(char *to, size_t n); /* moves received bytes out of the queue; 0 when there are none */
bool console_readable(void);
extern bool console_line_open; /* the last byte written was no newline */

/*
 * panic.c: the end. panic() prints one line, then registers and a symbolised trace, and turns the machine off. fail()
 * stops with its line ("[kernel] …", no newline) and a status: what went wrong is not the kernel's fault.
 */
struct trap_frame;
#define fail(code, ...) (print(__VA_ARGS__), print("\n"), power_off(code))
#define panic(...)      (panic_begin(), print("[kernel] panic: " __VA_ARGS__), print("\n"), panic_end())
void panic_begin(void), panic_end(void) NORETURN, panic_frame(struct trap_frame *frame, const char *what) NORETURN;
void print_registers(const struct trap_frame *frame);
#define ASSERT(condition) ((condition) ? (void)0 : panic("%s:%d: %s does not hold", __FILE__, __LINE__, #condition))
/* symbols.c, generated at build time: function names by offset from kernel_start, ascending. */
extern const struct symbol { u32 offset; const char *name; } kernel_symbols[];
extern const u32 kernel_symbol_count;

/* bootinfo.c: what the loader handed over, copied, or one line that says why it makes no sense. */
enum { MEMORY_RAM = 1, MAX_MEMORY_RANGES = 128 };
struct memory_range { u64 address, size; u32 type, reserved; }; /* E820 */
extern struct boot_info {
	struct memory_range map[MAX_MEMORY_RANGES];
	u32 map_count;
	u64 image, image_size, rsdp; /* physical */
	char command_line[4096];
} boot_info;
void bootinfo_init(u64 start_info), pmem_init(void);
/*
 * The value of the word `key=value`, not in quotes, of the command line; false when absent. `key` alone is "".
 * RAM: any byte of it, or of the image.
 */
bool bootinfo_option(const char *key, char *value, size_t size), bootinfo_is_ram(u64 address, u64 length);
/* An image linked behind the kernel, for machines that load one file: the image builder fills it in. Size 0: none. */
extern const volatile struct embedded_image { char magic[8]; u64 physical, size; } embedded_image; /* "TSEMBED" */

/* processor.c: GDT, TSS, IDT, control registers, features. */
extern struct cpu_features {
	bool smap, rdrand, x2apic; /* smap comes first: entry.S reads it */
	char hypervisor[13];
} cpu;
void processor_init(void), processor_set_kernel_stack(u64 top); /* where traps and calls of the program begin */

/* trap.c. Exceptions: Intel SDM volume 3, table 6-1. */
struct trap_frame {
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 vector, error, rip, cs, rflags, rsp, ss;
};
enum {
	TRAP_DIVIDE = 0, TRAP_DEBUG = 1, TRAP_NMI = 2, TRAP_BREAKPOINT = 3, TRAP_INVALID_OPCODE = 6,
	TRAP_DOUBLE_FAULT = 8, TRAP_NO_SEGMENT = 11, TRAP_STACK = 12, TRAP_PROTECTION = 13, TRAP_PAGE_FAULT = 14,
	TRAP_FLOATING_POINT = 16, TRAP_ALIGNMENT = 17, TRAP_MACHINE_CHECK = 18, TRAP_SIMD = 19,
	VECTOR_TIMER = 32, VECTOR_CONSOLE = 33, VECTOR_XEN = 34, VECTOR_FIRST_FREE = 48, VECTOR_SPURIOUS = 255,
};
void trap_dispatch(struct trap_frame *frame); /* called by entry.S */
static inline bool from_user(const struct trap_frame *frame) { return (frame->cs & 3) != 0; }

/*
 * entry.S, boot.S, link.ld. switch_context() pushes rbx, rbp, r12 … r15, stores rsp in *save, takes next for rsp, pops
 * them and returns there; trap_return is a new thread's first return, and pops the trap frame at rsp.
 */
void switch_context(u64 *save, u64 next), trap_return(void), syscall_entry(void);
/*
 * Copies n bytes with access to the program's pages allowed: 0, or -EFAULT from copy_user_fault, where
 * trap.c sends faults in [copy_user_start, copy_user_end). It checks no range.
 */
i64 copy_user(void *to, const void *from, size_t n);
extern char copy_user_start[], copy_user_end[], copy_user_fault[], trap_stubs[]; /* 256 entries of 16 bytes */
extern char kernel_start[], kernel_text_end[], kernel_rodata_end[], kernel_end[]; /* page-aligned */
extern u64 kernel_stack_top;

/* apic.c: the timer is for one shot, in nanoseconds; 0 stops it. */
void apic_init(void), apic_acknowledge(void), apic_timer(u64 nanoseconds);
u32 apic_id(void);
/* Routes a line of any I/O APIC. False when there is no such line. */
bool ioapic_route(u32 line, u8 vector, bool level, bool active_low, bool masked);

/*
 * clock.c: nanoseconds, since boot and since 1970; clock_time() is the hypervisor's own, from any origin. Resume: the
 * hypervisor may be another; the time since boot goes on at `time`.
 */
#define FOREVER (~0UL)
struct clock_rate { /* how to make nanoseconds of the time-stamp counter: as KVM and Xen publish it */
	u32 version, padding0; /* odd while the hypervisor writes */
	u64 tsc_timestamp, system_time;
	u32 multiplier; /* nanoseconds per tick, 32 bits of fraction, once it is shifted */
	i8 shift;
	u8 flags, padding1[2];
};
void clock_init(void), clock_resume(u64 time);
u64 now(void), wall_clock(void), clock_time(void);
extern u64 tsc_frequency;
extern const char *clock_source;

/* random.c: ChaCha20, fast key erasure. Usable after random_init(), which comes before the first program runs. */
void random_init(void), random_bytes(void *to, size_t n), random_add(const void *entropy, size_t n);
/* Stir: from trap.c, an interrupt came now. Wipe: forgets a secret in a way that the compiler keeps. */
void random_stir(void), wipe(void *secret, size_t n);
u64 random_u64(void);
extern const char *random_seed_source;

extern bool xen_guest; /* xen.c: the machine is a guest of Xen's, PVH. What else Xen's files offer is in xen.h */

/* power.c */
struct window_power;
i64 power_configure(const struct window_power *how);
void power_off(int code) NORETURN, power_reset(void) NORETURN;

/* page.c: physical pages, buddy allocator. Order o is 2^o pages. NULL when there are none. */
#define RAM_LIMIT (1024 * GIB) /* what lies above is left alone */
#define MAX_ORDER 14
void page_init(void), page_add(u64 from, u64 to); /* RAM below 4 GiB, which the loader maps; more, once it is mapped */
/* An address in the direct map: zeroed, or as it is; a count of pages for DMA is contiguous, zeroed and never freed. */
void *page_alloc(u32 order), *page_alloc_dirty(u32 order), *page_alloc_device(u64 count);
void page_free(void *page, u32 order);
struct span { u64 start, end; };
/*
 * The next range of the boot map, from *i on, that has whole pages of RAM in [from, to): those. False: no more.
 * dma_owns(): wholly inside pages that page_alloc_device() gave.
 */
bool page_span(u32 *i, u64 from, u64 to, struct span *out), dma_owns(u64 address, u64 length);
u32 page_order(u64 bytes); /* the least that holds them; MAX_ORDER + 1: too many */
extern u64 pages_total, pages_usable, pages_free, pages_lowest;

/* heap.c: kernel objects, zeroed; NULL when memory is out. kfree needs the size given to kmalloc. */
void *kmalloc(size_t n);
void kfree(void *object, size_t n);

/* pagetable.c. BORROWED: the frame is not the page allocator's to free. COPY: before the first write. */
enum {
	PTE_PRESENT = 1, PTE_WRITE = 2, PTE_USER = 4, PTE_WRITE_THROUGH = 8, PTE_UNCACHED = 16, PTE_LARGE = 128,
	PTE_GLOBAL = 256, PTE_BORROWED = 512, PTE_COPY = 1024,
	PTE_KIND = PTE_BORROWED | PTE_COPY | PTE_UNCACHED | PTE_WRITE_THROUGH,
};
#define PTE_NO_EXECUTE (1UL << 63)
#define PTE_ADDRESS    0x000ffffffffff000UL
/* Builds the final kernel mappings (W^X, direct map) and drops the loader's identity map. */
void pagetable_init(void), tlb_flush(u64 start, u64 end);
/* Made: NULL when memory is out. Next: the first entry at or after *address that a table exists for. */
u64 *pte_make(u64 address), *pte_next(u64 *address, u64 end);
/* Points an entry at a frame (kind: of PTE_KIND), or frees the frame if it is ours. Flushes nothing. */
void pte_set(u64 *pte, u64 frame, u64 kind, u32 protection), pte_clear(u64 *pte);
/* Unmapping frees frames that are ours and empty tables. Both flush. */
void pte_protect(u64 start, u64 end, u32 protection), pte_unmap(u64 start, u64 end);
/* Kernel mappings: n pages with a guard page below; NULL when memory is out. */
void *kernel_stack_alloc(u32 pages);
void kernel_stack_free(void *stack, u32 pages);
/* Device registers, uncached; mapped once and for all. NULL beyond the processor's reach or without memory. */
volatile void *device_map(u64 address, u64 length);

/* vma.c: the program's address space as a sorted set of areas. */
struct node;
extern struct area {
	u64 start, end;
	u32 protection, flags; /* PROT_…; MAP_SHARED | AREA_… */
	struct node *file;     /* NULL: anonymous */
	u64 offset;            /* in the file, or physical address for AREA_DEVICE */
} *areas; /* an insertion moves them */
/* AREA_DEVICE was bound through the device window: never freed, never paged. */
enum { AREA_DEVICE = 0x10000000, AREA_STACK = 0x20000000, MAX_AREAS = 65530 };
extern u32 area_count;
extern u64 mmap_base, brk_start;
struct area *area_find(u64 address); /* the one that holds it, or NULL */
u32 area_index(u64 address);         /* first area with end > address */
i64 area_insert(u64 start, u64 end, u32 protection, u32 flags, struct node *file, u64 offset), area_split(u64 at);
bool area_reserve(void); /* makes sure that the next area_insert() succeeds */
/* Picks mmap_base (ASLR); removes, after splits at both ends; joins what can be at the borders in [start, end]. */
void area_init(void), area_remove(u64 start, u64 end), area_merge(u64 start, u64 end);
u64 area_gap(u64 length, u64 alignment); /* top down below mmap_base; 0 when there is none */
size_t area_describe(char *to, size_t size); /* as /proc/self/maps */

/* mmap.c: system calls on areas; negative errno. */
i64 user_mmap(u64 address, u64 length, u32 protection, u32 flags, struct node *file, u64 offset);
i64 user_munmap(u64 address, u64 length), user_mprotect(u64 address, u64 length, u32 protection);
/* Bind replaces the whole pages [address, +length) by RAM (*at == 0, receives the address) or registers at *at. */
i64 user_bind(u64 address, u64 length, u64 *at), user_madvise(u64 address, u64 length, int advice), user_brk(u64 to);

/* fault.c: true when the fault is mended and the instruction can run again. Out of memory ends the machine. */
enum { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4, FAULT_RESERVED = 8, FAULT_FETCH = 16 };
bool page_fault(u64 address, u64 error);
extern u64 fault_count;
extern const u8 zero_page[];

/*
 * usercopy.c, entry.S: the only ways to touch the program's memory. Each returns 0 or -EFAULT, and never faults the
 * kernel: a bad pointer is caught by range and then by the fault handler's table.
 */
i64 copy_from_user(void *to, u64 from, size_t n), copy_to_user(u64 to, const void *from, size_t n);
/* Copies a NUL-terminated string of at most size-1 bytes: its length, -EFAULT or -ENAMETOOLONG. */
i64 string_from_user(char *to, u64 from, size_t size);
#define get_user(variable, address) copy_from_user(&(variable), (address), sizeof(variable))
#define put_user(value, address) \
	({ __typeof__(value) put_value = (value); copy_to_user((address), &put_value, sizeof put_value); })
bool user_range(u64 address, u64 length); /* inside the program's half */

/* image.c: the read-only tree of files that came with the kernel. */
struct node {
	const char *path;
	u32 mode, inode, parent;
	bool sparse;
	u64 size, physical, stored;
};
static inline bool node_is(const struct node *node, u32 type) { return node && (node->mode & S_IFMT) == type; }
void image_init(void); /* fails with one line for a damaged or truncated image */
/* Follows symbolic links, at most 8, the last of the path only if `follow`. */
/* Of image_child(), *cursor starts at 0; NULL at the end. */
struct node *image_lookup(const char *absolute_path, bool follow), *image_child(struct node *directory, u32 *cursor);
u64 image_page(struct node *node, u64 offset);                     /* physical address of the byte at the offset */
i64 image_read(struct node *node, u64 offset, void *to, size_t n); /* into kernel memory; bytes read */

/* elf.c, program.c: loads /boot/argv's program at random addresses and never returns. */
struct loaded {
	u64 entry, bias, headers; /* headers: address of the program headers in memory */
	u16 header_count;
	char interpreter[256];
};
i64 elf_load(struct node *file, u64 base, struct loaded *out); /* base of what may lie anywhere; 0: in a gap */
void program_start(void) NORETURN;
extern struct node *program_node; /* what runs */

/* thread.c */
extern struct thread {
	u64 kernel_sp, kernel_stack, fs_base;
	void *extended_state; /* XSAVE area */
	enum { THREAD_READY, THREAD_RUNNING, THREAD_BLOCKED, THREAD_DEAD } state;
	i32 id;
	u64 deadline; /* of block_on(); FOREVER is none */
	const void *channel;
	bool timed_out, interrupted;
	u64 futex, clear_tid; /* address waited on, or 0; address to zero and wake at exit */
	u64 signal_mask, signal_pending;
	struct sigaltstack alternate_stack;
	u64 run_time, switched_at; /* nanoseconds on the processor until switched_at */
	u32 last_call;
	char name[16];
	struct thread *next, *run_next;
} *current, *threads;
enum { MAX_THREADS = 512, KERNEL_STACK_PAGES = 4 };
extern bool reschedule; /* set by the timer: give way on the return to the program */
extern u64 extended_state_size, extended_state_parts; /* bytes; bits of XCR0 */
struct thread *thread_new(void), *thread_find(i32 id); /* new: blocked; NULL at MAX_THREADS or out of memory */
struct trap_frame *thread_frame(struct thread *thread); /* the program's registers, at the top of its kernel stack */
void thread_init(void), schedule(void), timer_tick(void), thread_wake(struct thread *thread), wake(const void *channel);
void thread_exit(void) NORETURN;
/* Sleeps until wake(channel), the deadline (true) or a signal (current->interrupted). */
bool block_on(const void *channel, u64 deadline);
u64 process_time(void); /* of all threads, nanoseconds */
/*
 * Areas are extended_state_size bytes at a multiple of 64. Reset: as a new thread has it. Garbage that is loaded faults
 * the kernel: see clean_xstate() in signal.c.
 */
void extended_state_save(void *to), extended_state_reset(void *area), extended_state_load(const void *from);

/* futex.c */
void futex_thread_exit(void); /* clear_tid of a thread that ends */

/* signal.c: on the way back to the program from a trap, and from a system call, which is restarted or not. */
void signal_deliver_pending(struct trap_frame *frame), signal_after_call(struct trap_frame *frame, u64 number);
/* Delivers a signal that the current instruction caused; false when the program has no handler for it. */
bool signal_fault(struct trap_frame *frame, int signal, int code, u64 address), signal_is_pending(void);
void signal_send(struct thread *thread, int signal);

/*
 * syscall.c: the table of calls.h. entry.S calls it with the frame; it puts the result into frame->rax. A handler
 * that block_on() left with current->interrupted returns -ERESTART when the call may simply start again after the
 * signal (read, write), -EINTR when not (epoll_wait, sleeps).
 */
void syscall_dispatch(struct trap_frame *frame), trace_init(void), trace_counts(void); /* kernel.trace=N; at exit */

/* time-calls.c: a timespec of the program as nanoseconds; -EFAULT or -EINVAL. Saturates below FOREVER. */
i64 timespec_from_user(u64 *nanoseconds, u64 address);
/* For block_on(); `time` is on the monotonic clock, or since 1970. thread_time(): the current one's run time. */
u64 deadline_after(u64 nanoseconds), deadline_at(u64 time, bool realtime), thread_time(void);

/* file.c: open files and descriptors. */
struct file;
struct file_operations {
	/* at: -1 in files without a size, but for pread. Buffers: user addresses. NULL: EINVAL. */
	i64 (*read)(struct file *file, u64 to, size_t n, i64 at), (*write)(struct file *, u64 from, size_t n, i64 at);
	u32 (*poll)(struct file *file); /* EPOLL…; NULL: always readable and writable, and epoll refuses it */
	i64 (*control)(struct file *file, u32 request, u64 argument); /* ioctl; NULL: ENOTTY */
	u64 (*size)(struct file *file); /* of the contents, in bytes; NULL: the file has none */
	void (*close)(struct file *file);
	bool positioned; /* pread and pwrite make sense */
	u32 mode;        /* for stat */
};
struct file {
	const struct file_operations *operations;
	u32 references, flags; /* O_… */
	i64 position;
	struct node *node; /* image files and directories */
	void *state;       /* what the operations keep: behind the file, or where they like */
	size_t state_size;
};
enum { MAX_FILES = 1024, COPY_SLICE = 256 * KIB }; /* long copies look for a reason to give way that often */
/* Without references, with zeroed state of that size (0: none); NULL when memory is out. */
struct file *file_new(const struct file_operations *operations, u32 flags, size_t state_size);
struct file *file_get(int fd); /* NULL: EBADF. A call that may sleep counts a reference, and releases it */
/*
 * Installed is a file in the lowest free descriptor, or it is freed; NULL: -ENOMEM. To wait is for the next event: 0,
 * -EAGAIN if the file is non-blocking, -ERESTART for a signal.
 */
i64 file_install(struct file *file), file_wait(struct file *file), file_close(int fd);
void file_init(void), file_release(struct file *file); /* descriptors 0, 1, 2 */
u32 file_poll(struct file *file);

/* epoll.c: a file's readiness changed, for file_wait() and all that poll it; out of all sets, and all out of it. */
void file_event(struct file *file), epoll_forget(struct file *file);

/* console-file.c, image-file.c. The console is one file, kept for ever, and one more for output alone. */
extern const struct file_operations console_operations, image_operations;
extern struct file console, console_output;
void console_input_event(void); /* from console.c's interrupt, after it queued input */

/* path.c. Paths longer than MAX_PATH - 1 bytes are refused: two of them fit on a kernel stack. */
#define MAX_PATH 1024
struct place {
	struct node *node; /* NULL: a special file */
	u32 mode;
	char path[MAX_PATH];
};
/* Makes `path`, relative to `directory`, absolute, without "." and ".." and double slashes. False: too long. */
bool path_normalize(const char *directory, const char *path, char *to, size_t size);
i64 path_find(int directory, u64 path_address, bool follow, struct place *place); /* what a path argument names */

/* process-files.c: files that are not in the image: /proc, /dev and the device window. Opened: a descriptor. */
i64 special_open(const char *path, u32 flags), random_to_user(u64 to, u64 n); /* bytes written */
bool special_exists(const char *path, u32 *mode);

/* window.c: see window.h. An interrupt comes from trap.c, before it is acknowledged. */
extern const struct file_operations window_memory_operations, window_port_operations, window_dma_operations;
extern const struct file_operations window_interrupt_operations, window_power_operations, window_xen_operations;
size_t window_info(char *to, size_t size);
void window_interrupt(u8 vector), port_out(u16 port, size_t n, u32 value); /* 1, 2 or 4 bytes */
/* One access of the width asked for where that is natural; else byte by byte. */
void device_move(volatile void *to, const volatile void *from, size_t n, bool natural);
