/*
 * The program's address space as areas: a sorted array, searched by halving. What fails for want of memory
 * fails before anything changed, or leaves an area in two parts that mean the same.
 */
#include "kernel.h"

#define FIRST_CAPACITY 256
/* mmap_base lies in the topmost quarter. It is a multiple of what a leaf table maps: finer would cost tables. */
#define BASE_STEP  (2 * MIB)
#define BASE_STEPS (1UL << 24)

struct area *areas;
u32 area_count;
u64 mmap_base;
static u32 capacity;

void area_init(void) { mmap_base = ALIGN_DOWN(USER_TOP, BASE_STEP) - GIB * 64 - random_u64() % BASE_STEPS * BASE_STEP; }

u32 area_index(u64 address) {
	u32 low = 0, high = area_count;
	while (low < high) {
		u32 middle = (low + high) / 2;
		if (areas[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct area *area_find(u64 address) {
	u32 i = area_index(address);
	return i < area_count && areas[i].start <= address ? &areas[i] : NULL;
}

bool area_reserve(void) {
	if (area_count < capacity) return true;
	u32 wanted = capacity ? 2 * capacity : FIRST_CAPACITY;
	struct area *bigger = area_count < MAX_AREAS ? kmalloc(wanted * sizeof *bigger) : NULL;
	if (!bigger) return false;
	memcpy(bigger, areas, area_count * sizeof *areas);
	kfree(areas, capacity * sizeof *areas);
	areas = bigger;
	capacity = wanted;
	return true;
}

i64 area_insert(u64 start, u64 end, u32 protection, u32 flags, struct node *file, u64 offset) {
	u32 i = area_index(start);
	if (!area_reserve()) return -ENOMEM;
	ASSERT(start < end && (i == area_count || areas[i].start >= end));
	if (!file && !(flags & AREA_DEVICE)) offset = start; /* so that all areas are split and joined alike */
	memmove(&areas[i + 1], &areas[i], (area_count++ - i) * sizeof *areas);
	areas[i] = (struct area){start, end, protection, flags, file, offset};
	return 0;
}

i64 area_split(u64 at) {
	u32 i = area_index(at);
	if (i == area_count || areas[i].start >= at) return 0;
	if (!area_reserve()) return -ENOMEM;
	struct area old = areas[i];
	areas[i].end = at;
	return area_insert(at, old.end, old.protection, old.flags, old.file, old.offset + (at - old.start));
}

static void remove(u32 first, u32 count) {
	area_count -= count;
	memmove(&areas[first], &areas[first + count], (area_count - first) * sizeof *areas);
}

void area_remove(u64 start, u64 end) {
	u32 first = area_index(start), last = first;
	while (last < area_count && areas[last].start < end) last++;
	remove(first, last - first);
}

static bool can_join(const struct area *a, const struct area *b) {
	return a->end == b->start && a->protection == b->protection && a->flags == b->flags && a->file == b->file &&
	       a->offset + (a->end - a->start) == b->offset;
}

void area_merge(u64 start, u64 end) {
	u32 i = area_index(start ? start - 1 : 0);
	while (i + 1 < area_count && areas[i].end <= end) {
		if (can_join(&areas[i], &areas[i + 1])) {
			areas[i].end = areas[i + 1].end;
			remove(i + 1, 1);
		} else {
			i++;
		}
	}
}

u64 area_gap(u64 length, u64 alignment) {
	u64 top = mmap_base;
	u32 i = area_index(top - 1);
	if (i < area_count) top = MIN(top, areas[i].start);
	for (;;) {
		u64 bottom = i ? areas[i - 1].end : USER_BOTTOM;
		if (top >= bottom + length && ALIGN_DOWN(top - length, alignment) >= bottom)
			return ALIGN_DOWN(top - length, alignment);
		if (!i) return 0;
		top = areas[--i].start;
	}
}

size_t area_describe(char *to, size_t size) {
	size_t length = 0;
	for (u32 i = 0; i < area_count; i++) {
		const struct area *a = &areas[i];
		const char *name = a->file ? a->file->path : a->flags & AREA_STACK && a->protection ? "[stack]" : "";
		char read = a->protection & PROT_READ ? 'r' : '-', write = a->protection & PROT_WRITE ? 'w' : '-';
		char letters[] = {read, write, a->protection & PROT_EXEC ? 'x' : '-', 'p', 0};
		size_t n = (size_t)format(to + length, size - length, "%lx-%lx %s %08lx 00:01 %u %s\n", a->start,
					  a->end, letters, a->file ? a->offset : 0, a->file ? a->file->inode : 0, name);
		if (n >= size - length) break; /* whole lines only */
		length += n;
	}
	return length;
}
