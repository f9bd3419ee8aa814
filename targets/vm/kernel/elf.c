/*
 * Maps an ELF program or interpreter: x86-64, little-endian, at a fixed address or position-independent. The file
 * comes with the image, but its headers are read as if a stranger had written them.
 */
#include "kernel.h"

enum { ET_EXEC = 2, ET_DYN = 3, EM_X86_64 = 62, MAX_PROGRAM_HEADERS = 64 };
enum { PT_LOAD = 1, PT_INTERP = 3, PF_X = 1, PF_W = 2, PF_R = 4 };

struct elf_header {
	u8 identity[16];
	u16 type, machine;
	u32 version;
	u64 entry, program_headers, section_headers;
	u32 flags;
	u16 size, program_header_size, program_header_count, section_header_size, section_header_count, names;
};
struct program_header {
	u32 type, flags;
	u64 offset, address, physical_address, file_size, memory_size, alignment;
};
_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct program_header) == 56, "ELF64");

static bool check_header(const struct elf_header *header) {
	return !memcmp(header->identity, "\177ELF\2\1\1", 7) && header->machine == EM_X86_64 &&
	       (header->type == ET_EXEC || header->type == ET_DYN) &&
	       header->program_header_size == sizeof(struct program_header) && header->program_header_count &&
	       header->program_header_count <= MAX_PROGRAM_HEADERS;
}

static bool check_segment(const struct program_header *p, const struct node *file) {
	return p->memory_size && p->memory_size >= p->file_size && p->address < USER_TOP && p->memory_size < USER_TOP &&
	       p->offset <= file->size && p->file_size <= file->size - p->offset &&
	       ((p->address ^ p->offset) & (PAGE - 1)) == 0 && (p->flags & (PF_W | PF_X)) != (PF_W | PF_X) &&
	       (p->flags & PF_W || p->memory_size == p->file_size);
}

static i64 map_segment(const struct program_header *p, struct node *file, u64 bias) {
	u32 protection = (p->flags & PF_R ? PROT_READ : 0) | (p->flags & PF_W ? PROT_WRITE : 0) |
			 (p->flags & PF_X ? PROT_EXEC : 0);
	u64 start = ALIGN_DOWN(p->address + bias, PAGE);
	u64 file_end = p->address + bias + p->file_size, file_top = ALIGN_UP(file_end, PAGE);
	u64 top = ALIGN_UP(p->address + bias + p->memory_size, PAGE);
	i64 result = 0;
	if (!p->file_size) file_end = file_top = start;
	if (file_top > start)
		result = user_mmap(start, file_top - start, protection, MAP_PRIVATE | MAP_FIXED_NOREPLACE, file,
				   ALIGN_DOWN(p->offset, PAGE));
	if (result >= 0 && top > file_top)
		result = user_mmap(file_top, top - file_top, protection, MAP_PRIVATE | MAP_FIXED_NOREPLACE, NULL, 0);
	if (result >= 0 && p->memory_size > p->file_size)
		result = copy_to_user(file_end, zero_page, file_top - file_end);
	return MIN(result, 0);
}

/* How far position-independent code is moved, so that its lowest page comes to `base` or into a gap. */
static i64 choose_bias(const struct program_header *headers, u32 count, u64 base, u64 *bias) {
	u64 low = ~0UL, high = 0;
	for (u32 i = 0; i < count; i++) {
		if (headers[i].type != PT_LOAD) continue;
		low = MIN(low, ALIGN_DOWN(headers[i].address, PAGE));
		high = MAX(high, headers[i].address + headers[i].memory_size);
	}
	if (!base && low < high) base = area_gap(high - low, PAGE);
	*bias = ALIGN_DOWN(base, PAGE) - low;
	return base ? 0 : -ENOMEM;
}

static i64 read_interpreter(const struct program_header *p, struct node *file, struct loaded *out) {
	if (!p->file_size || p->file_size > sizeof out->interpreter || p->offset > file->size) return -ENOEXEC;
	if (image_read(file, p->offset, out->interpreter, p->file_size) != (i64)p->file_size) return -ENOEXEC;
	return out->interpreter[p->file_size - 1] ? -ENOEXEC : 0;
}

i64 elf_load(struct node *file, u64 base, struct loaded *out) {
	struct elf_header header;
	struct program_header headers[MAX_PROGRAM_HEADERS];
	i64 size, error = 0;
	*out = (struct loaded){0};
	if (image_read(file, 0, &header, sizeof header) != sizeof header || !check_header(&header)) return -ENOEXEC;
	size = header.program_header_count * (i64)sizeof headers[0];
	if (image_read(file, header.program_headers, headers, (size_t)size) != size) return -ENOEXEC;
	for (u32 i = 0; i < header.program_header_count; i++)
		if (headers[i].type == PT_LOAD && !check_segment(&headers[i], file)) return -ENOEXEC;
	if (header.type == ET_DYN) error = choose_bias(headers, header.program_header_count, base, &out->bias);
	for (u32 i = 0; !error && i < header.program_header_count; i++) {
		const struct program_header *p = &headers[i];
		if (p->type == PT_INTERP) error = read_interpreter(p, file, out);
		if (p->type != PT_LOAD) continue;
		error = map_segment(p, file, out->bias);
		if (p->offset <= header.program_headers && header.program_headers - p->offset < p->file_size)
			out->headers = p->address + out->bias + header.program_headers - p->offset;
	}
	out->entry = header.entry + out->bias;
	out->header_count = header.program_header_count;
	/* A return to an address that is none at all would fault in the kernel. */
	return error || area_find(out->entry) ? error : -ENOEXEC;
}
