/*
 * What the loaders of a raw disk share: both read kernel.elf, image.bin and cmdline.txt from the FAT32 partition, put
 * them into memory as a hypervisor would, and enter the kernel by PVH. bios.c runs in 32-bit protected mode, uefi.c in
 * the firmware's 64-bit mode; handover.c is compiled for either.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef __UINTPTR_TYPE__ uptr;
typedef __SIZE_TYPE__ size_t;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

#define PAGE 4096u
#define MIB (1024u * 1024u)
#define GIB (1024ull * MIB)
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define ALIGN_UP(x, a) (((x) + (a) - 1) & ~((u64)(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((u64)(a) - 1))

/* The kernel occupies memory from 1 MiB on; nothing of ours is put below this. */
#define KERNEL_LIMIT (8 * MIB)
#define COMMAND_LINE_SIZE 4096u
#define MAX_COMMAND_TEXT 16384u /* cmdline.txt with its comments, in bytes */

/* Types of memory, as E820 has them. */
#define MEMORY_RAM 1u
#define MEMORY_RESERVED 2u
#define MEMORY_ACPI 3u
#define MEMORY_NVS 4u
#define MAX_RANGES 128u /* the kernel reads no more */

/* Xen's public/arch-x86/hvm/start_info.h, version 1. */
struct memory_range {
	u64 address, size;
	u32 type, reserved;
};
struct module {
	u64 address, size, command_line, reserved;
};
struct start_info {
	u32 magic, version, flags, module_count;
	u64 modules, command_line, rsdp, memory_map;
	u32 memory_map_entries, reserved;
};

/* What the kernel is handed, in one piece below 4 GiB. */
struct handover {
	struct start_info start;
	struct module image;
	struct memory_range map[MAX_RANGES];
	u32 map_count;
	char command_line[COMMAND_LINE_SIZE];
};

/* A kernel whose headers were checked. */
struct kernel {
	const u8 *file;
	u32 entry;       /* physical */
	u64 start, end;  /* what its segments occupy, physical */
};

/* bios.c, uefi.c: says what went wrong, in one line, and stops the machine. */
void fail(const char *what) __attribute__((noreturn));

/* handover.c */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
/* Adds a range, in order and joined with its neighbours of the same type. */
void map_add(struct handover *handover, u64 address, u64 size, u32 type);
/* The highest page-aligned place for `size` bytes of RAM in [KERNEL_LIMIT, below); 0 when there is none. */
u64 map_place(const struct handover *handover, u64 size, u64 below);
struct kernel kernel_check(const void *file, u64 size);
/* Copies the segments to where they run. */
void kernel_place(const struct kernel *kernel);
/* Takes the text of cmdline.txt: lines become words, and what follows a # is a comment. */
void command_line_set(struct handover *handover, const char *text, u32 size);
void handover_finish(struct handover *handover, u64 image, u64 image_size, u64 rsdp);
