/*
 * The loader for BIOS machines, in protected mode: memory map from the BIOS (E820), files from the FAT32 partition by
 * the BIOS's disk reads, ACPI's tables by searching where BIOSes put them.
 */
#include "bios.h"

#define COM1 0x3f8
#define EXIT_PORT 0xf4
#define EXIT_BAD_IMAGE 103
#define CARRY 1u
#define SMAP 0x534d4150u /* "SMAP" */
#define BUFFER ((u8 *)0x20000)
#define BUFFER_SECTORS 127u /* the most that every BIOS reads at once */

struct disk_packet {
	u8 size, zero;
	u16 sectors, offset, segment;
	u64 first;
};

static struct handover handover;
static u32 disk;

static void out(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}

static u8 in(u16 port)
{
	u8 value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
	return value;
}

static void put_serial(const char *text)
{
	for (; *text; text++) {
		for (u32 tries = 0; tries < 100000 && !(in(COM1 + 5) & 0x20); tries++)
			;
		out(COM1, (u8)*text);
	}
}

static void put_screen(const char *text)
{
	for (; *text; text++) {
		struct bios_registers registers = { .eax = 0x0e00u | (u8)*text, .ebx = 7 };
		bios_call(0x10, &registers);
	}
}

void fail(const char *what)
{
	put_serial("[loader] ");
	put_serial(what);
	put_serial("\r\n");
	put_screen("[loader] ");
	put_screen(what);
	put_screen("\r\n");
	out(EXIT_PORT, EXIT_BAD_IMAGE);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void disk_read(u32 first, u32 count, void *to)
{
	u8 *at = to;
	while (count) {
		u32 part = count < BUFFER_SECTORS ? count : BUFFER_SECTORS;
		struct disk_packet packet = {
			sizeof packet, 0, (u16)part, 0, (u16)((uptr)BUFFER >> 4), first,
		};
		struct bios_registers registers = { .eax = 0x4200, .edx = disk, .esi = (uptr)&packet };
		bios_call(0x13, &registers);
		if (registers.flags & CARRY)
			fail("the disk cannot be read");
		memcpy(at, BUFFER, part * SECTOR);
		at += part * SECTOR;
		first += part;
		count -= part;
	}
}

static void open_gate_a20(void)
{
	struct bios_registers registers = { .eax = 0x2401 };
	bios_call(0x15, &registers);
	if (registers.flags & CARRY)
		out(0x92, (in(0x92) | 2) & 0xfe);
}

static void read_memory_map(void)
{
	struct memory_range range;
	u32 next = 0;
	do {
		struct bios_registers registers = {
			.eax = 0xe820, .ebx = next, .ecx = 20, .edx = SMAP, .edi = (uptr)&range,
		};
		bios_call(0x15, &registers);
		if (registers.eax != SMAP || registers.flags & CARRY)
			break;
		map_add(&handover, range.address, range.size, range.type);
		next = registers.ebx;
	} while (next);
	if (!handover.map_count)
		fail("the BIOS gives no memory map");
}

static u64 find_rsdp(u32 from, u32 to)
{
	for (u32 at = from; at + 20 <= to; at += 16) {
		const u8 *table = (const u8 *)at;
		u8 sum = 0;
		if (memcmp(table, "RSD PTR ", 8))
			continue;
		for (u32 i = 0; i < 20; i++)
			sum += table[i];
		if (!sum)
			return at;
	}
	return 0;
}

/* ACPI 6.5, 5.2.5.1: in the first KiB of the extended BIOS data area, else in the BIOS's ROM. */
static u64 rsdp(void)
{
	u16 segment;
	u64 found = 0;
	__asm__ volatile("movw 0x40e, %0" : "=r"(segment));
	if (segment >= 0x8000)
		found = find_rsdp(segment * 16u, segment * 16u + 1024);
	return found ? found : find_rsdp(0xe0000, 0x100000);
}

static void *load(const char *name, const char *missing, u64 below, u32 *size)
{
	struct fat_file file;
	u64 at;
	if (!fat_find(name, &file))
		fail(missing);
	at = map_place(&handover, ALIGN_UP((u64)file.size, SECTOR), below);
	if (!at)
		fail("the machine has too little memory for the image");
	fat_read(&file, (void *)(uptr)at);
	*size = file.size;
	return (void *)(uptr)at;
}

static void load_command_line(u64 below)
{
	struct fat_file file;
	const char *text;
	u32 size;
	if (!fat_find("CMDLINE TXT", &file))
		return;
	if (file.size > MAX_COMMAND_TEXT)
		fail("cmdline.txt is too long");
	text = load("CMDLINE TXT", "there is no cmdline.txt on the disk", below, &size);
	command_line_set(&handover, text, size);
}

void bios_main(u32 drive)
{
	struct kernel kernel;
	u32 image_size, kernel_size;
	u8 *image, *file;
	disk = drive;
	open_gate_a20();
	read_memory_map();
	fat_mount();
	image = load("IMAGE   BIN", "there is no image.bin on the disk", 4 * GIB, &image_size);
	file = load("KERNEL  ELF", "there is no kernel.elf on the disk", (uptr)image, &kernel_size);
	kernel = kernel_check(file, kernel_size);
	load_command_line((uptr)file);
	kernel_place(&kernel);
	handover_finish(&handover, (uptr)image, image_size, rsdp());
	enter_kernel(kernel.entry, &handover.start);
}
