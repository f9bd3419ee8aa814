/* What the files of the BIOS loader offer each other. */
#pragma once
#include "loader.h"

#define SECTOR 512u
#define PARTITION_SECTOR 2048u /* where the FAT32 partition begins; also in disk-image.ts */

/* bios.S. All pointers in the registers must be below 64 KiB: take variables on the stack. */
struct bios_registers {
	u32 eax, ebx, ecx, edx, esi, edi, flags;
};
void bios_call(u32 number, struct bios_registers *registers);
void enter_kernel(u32 entry, const struct start_info *start) __attribute__((noreturn));

/* bios.c */
void bios_main(u32 drive);
void disk_read(u32 first, u32 count, void *to);

/* fat.c: a file in the root directory, by its name as FAT keeps it: "KERNEL  ELF". */
struct fat_file {
	u32 cluster, size;
};
void fat_mount(void);
bool fat_find(const char *name, struct fat_file *file);
/* Reads whole sectors: `to` must have room for the size rounded up. */
void fat_read(const struct fat_file *file, void *to);
