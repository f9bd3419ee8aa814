/*
 * The hand-over to the kernel: a memory map, an ELF file whose segments are put in place, and an hvm_start_info that
 * names the image, the command line and the ACPI tables.
 *
 * The kernel's file comes from our own disk, but a disk rots and people edit: every offset is checked.
 */
#include "loader.h"

#define START_INFO_MAGIC 0x336ec578u
#define SEGMENT_LOAD 1u
#define SEGMENT_NOTE 4u
#define XEN_ELFNOTE_PHYS32_ENTRY 18u
#define MAX_SEGMENTS 16u

struct elf_header {
	u8 identity[16];
	u16 type, machine;
	u32 version;
	u64 entry, segments, sections;
	u32 flags;
	u16 size, segment_size, segment_count, section_size, section_count, names;
};
struct elf_segment {
	u32 type, flags;
	u64 offset, address, physical, file_size, memory_size, alignment;
};

void *memcpy(void *to, const void *from, size_t n)
{
	void *at = to;
	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	void *at = to;
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *left = a, *right = b;
	for (size_t i = 0; i < n; i++) {
		if (left[i] != right[i])
			return left[i] - right[i];
	}
	return 0;
}

static void remove_range(struct handover *handover, u32 i)
{
	handover->map_count--;
	for (; i < handover->map_count; i++)
		handover->map[i] = handover->map[i + 1];
}

void map_add(struct handover *handover, u64 address, u64 size, u32 type)
{
	struct memory_range *map = handover->map;
	u32 i = handover->map_count;
	if (!size || address + size < address)
		return;
	if (handover->map_count == MAX_RANGES)
		fail("the memory map has too many ranges");
	for (; i > 0 && map[i - 1].address > address; i--)
		map[i] = map[i - 1];
	map[i] = (struct memory_range){ address, size, type, 0 };
	handover->map_count++;
	if (i + 1 < handover->map_count && map[i + 1].type == type && map[i + 1].address == address + size) {
		map[i].size += map[i + 1].size;
		remove_range(handover, i + 1);
	}
	if (i > 0 && map[i - 1].type == type && map[i - 1].address + map[i - 1].size == address) {
		map[i - 1].size += map[i].size;
		remove_range(handover, i);
	}
}

u64 map_place(const struct handover *handover, u64 size, u64 below)
{
	for (u32 i = handover->map_count; i > 0; i--) {
		const struct memory_range *range = &handover->map[i - 1];
		u64 start = range->address > KERNEL_LIMIT ? range->address : KERNEL_LIMIT;
		u64 end = range->address + range->size < below ? range->address + range->size : below;
		if (range->type != MEMORY_RAM || end < start || end - start < size + PAGE)
			continue;
		return ALIGN_DOWN(end - size, PAGE);
	}
	return 0;
}

/* The address in a note of the type that PVH looks for; 0 when this segment has none. */
static u32 find_entry(const u8 *notes, u64 size)
{
	u64 at = 0;
	while (at + 12 <= size) {
		u32 words[3]; /* length of the name, length of the value, type */
		u64 name, value;
		memcpy(words, notes + at, sizeof words);
		name = at + 12;
		value = name + ALIGN_UP((u64)words[0], 4);
		at = value + ALIGN_UP((u64)words[1], 4);
		if (at > size)
			return 0;
		if (words[0] == 4 && words[1] >= 4 && words[2] == XEN_ELFNOTE_PHYS32_ENTRY &&
		    !memcmp(notes + name, "Xen", 4)) {
			u32 entry;
			memcpy(&entry, notes + value, sizeof entry);
			return entry;
		}
	}
	return 0;
}

static const struct elf_segment *segment_at(const struct kernel *kernel, u32 i)
{
	const struct elf_header *header = (const void *)kernel->file;
	return (const struct elf_segment *)(kernel->file + header->segments) + i;
}

struct kernel kernel_check(const void *file, u64 size)
{
	const struct elf_header *header = file;
	struct kernel kernel = { file, 0, ~0ull, 0 };
	if (size < sizeof *header || memcmp(header->identity, "\x7f" "ELF\2\1", 6) || header->machine != 62)
		fail("kernel.elf is no ELF file for x86-64");
	if (header->segment_size != sizeof(struct elf_segment) || header->segment_count > MAX_SEGMENTS ||
	    header->segments > size || header->segment_count * sizeof(struct elf_segment) > size - header->segments)
		fail("kernel.elf is damaged: its program headers make no sense");
	for (u32 i = 0; i < header->segment_count; i++) {
		const struct elf_segment *segment = segment_at(&kernel, i);
		if (segment->offset > size || segment->file_size > size - segment->offset)
			fail("kernel.elf is damaged: a segment lies outside of it");
		if (segment->type == SEGMENT_NOTE && !kernel.entry)
			kernel.entry = find_entry(kernel.file + segment->offset, segment->file_size);
		if (segment->type != SEGMENT_LOAD || !segment->memory_size)
			continue;
		if (segment->physical < MIB || segment->physical > KERNEL_LIMIT ||
		    segment->memory_size > KERNEL_LIMIT - segment->physical || segment->file_size > segment->memory_size)
			fail("kernel.elf is damaged: a segment is not between 1 and 8 MiB");
		if (segment->physical < kernel.start)
			kernel.start = segment->physical;
		if (segment->physical + segment->memory_size > kernel.end)
			kernel.end = segment->physical + segment->memory_size;
	}
	if (!kernel.entry || kernel.entry < kernel.start || kernel.entry >= kernel.end)
		fail("kernel.elf has no PVH entry");
	return kernel;
}

void kernel_place(const struct kernel *kernel)
{
	const struct elf_header *header = (const void *)kernel->file;
	for (u32 i = 0; i < header->segment_count; i++) {
		const struct elf_segment *segment = segment_at(kernel, i);
		u8 *to = (u8 *)(uptr)segment->physical;
		if (segment->type != SEGMENT_LOAD)
			continue;
		memcpy(to, kernel->file + segment->offset, (size_t)segment->file_size);
		memset(to + segment->file_size, 0, (size_t)(segment->memory_size - segment->file_size));
	}
}

void command_line_set(struct handover *handover, const char *text, u32 size)
{
	u32 length = 0;
	bool comment = false;
	for (u32 i = 0; i < size && text[i]; i++) {
		char c = text[i];
		if (c == '\n' || c == '\r') {
			comment = false;
			c = ' ';
		}
		if (c == '#' && (!length || handover->command_line[length - 1] == ' '))
			comment = true;
		if (comment || (c == ' ' && (!length || handover->command_line[length - 1] == ' ')))
			continue;
		if (length + 1 == COMMAND_LINE_SIZE)
			fail("cmdline.txt is longer than 4095 characters");
		handover->command_line[length++] = c;
	}
	while (length && handover->command_line[length - 1] == ' ')
		length--;
	handover->command_line[length] = '\0';
}

void handover_finish(struct handover *handover, u64 image, u64 image_size, u64 rsdp)
{
	handover->image = (struct module){ image, image_size, 0, 0 };
	handover->start = (struct start_info){
		.magic = START_INFO_MAGIC,
		.version = 1,
		.module_count = 1,
		.modules = (uptr)&handover->image,
		.command_line = (uptr)handover->command_line,
		.rsdp = rsdp,
		.memory_map = (uptr)handover->map,
		.memory_map_entries = handover->map_count,
	};
}
