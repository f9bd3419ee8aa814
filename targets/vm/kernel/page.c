/*
 * Physical pages: a buddy allocator over the RAM that the boot map calls usable.
 *
 * One byte a page says what begins there; the lists of free blocks live in the free blocks themselves. So the price is
 * 1/4096 of RAM, and a page freed twice, or with another order than it was taken with, is caught.
 */
#include "kernel.h"

/*
 * The states of a page: USED and FREE with the order of the block that begins there, DEVICE for good, OTHER when it is
 * not RAM, not ours, or inside a block.
 */
enum { OTHER = 0, DEVICE = 0x20, USED = 0x40, FREE = 0x80 };

/* Lists of blocks from 2 MiB upwards are in a table: a host backs memory in such units, once it is touched. */
#define LARGE_ORDER 9

struct block {
	struct block *next, **link;
};

u64 pages_total, pages_usable, pages_free, pages_lowest;
static u8 *state;
static u64 page_count;
static struct block *free_blocks[MAX_ORDER + 1];
/* What is RAM and yet not free: the zeroth page, the kernel, the image, the table of bytes. */
static struct span reserved[4];
static struct block *large_blocks; /* by index >> LARGE_ORDER */

static u64 index_of(const void *page) { return physical(page) / PAGE; }

static struct block *block_at(u64 index, u32 order) {
	return order < LARGE_ORDER ? direct(index * PAGE) : &large_blocks[index >> LARGE_ORDER];
}

static u64 block_index(const struct block *block, u32 order) {
	return order < LARGE_ORDER ? index_of(block) : (u64)(block - large_blocks) << LARGE_ORDER;
}

static void block_push(u64 index, u32 order) {
	struct block *block = block_at(index, order);
	block->next = free_blocks[order];
	block->link = &free_blocks[order];
	if (block->next) block->next->link = &block->next;
	free_blocks[order] = block;
	state[index] = FREE | order;
}

static void block_remove(u64 index, u32 order) {
	struct block *block = block_at(index, order);
	*block->link = block->next;
	if (block->next) block->next->link = block->link;
	state[index] = OTHER;
}

static void block_free(u64 index, u32 order) {
	pages_free += 1UL << order;
	while (order < MAX_ORDER) {
		u64 buddy = index ^ (1UL << order);
		if (buddy >= page_count || state[buddy] != (FREE | order)) break;
		block_remove(buddy, order);
		index = MIN(index, buddy);
		order++;
	}
	block_push(index, order);
}

/* Frees pages [start, end) of no block, in the biggest blocks that alignment allows. */
static void span_free(u64 start, u64 end) {
	while (start < end) {
		u32 order = 0;
		while (order < MAX_ORDER && !(start >> order & 1) && start + (2UL << order) <= end) order++;
		ASSERT(state[start] == OTHER);
		block_free(start, order);
		start += 1UL << order;
	}
}

/* Frees what is not reserved of the bytes [start, end). */
static void span_add(u64 start, u64 end) {
	for (u32 i = 0; i < LENGTH(reserved); i++) {
		struct span *hole = &reserved[i];
		if (start >= hole->end || hole->start >= end) continue;
		if (start < hole->start) span_add(start, hole->start);
		if (hole->end < end) span_add(hole->end, end);
		return;
	}
	span_free(start / PAGE, end / PAGE);
}

bool page_span(u32 *i, u64 from, u64 to, struct span *out) {
	const struct memory_range *map = boot_info.map; /* sorted by address */
	for (; *i < boot_info.map_count; ++*i) {
		u64 start = map[*i].address, end = start + map[*i].size;
		/* Where ranges overlap, which firmware should not let happen, nobody gets the memory. */
		for (u32 j = 0; j < *i; j++) start = MAX(start, map[j].address + map[j].size);
		if (*i + 1 < boot_info.map_count) end = MIN(end, map[*i + 1].address);
		*out = (struct span){MAX(ALIGN_UP(start, PAGE), from), MIN(ALIGN_DOWN(end, PAGE), to)};
		if (map[*i].type == MEMORY_RAM && out->start < out->end) return true;
	}
	return false;
}

/* A place below 4 GiB and above 1 MiB that nothing occupies yet. */
static u64 find_room(u64 size) {
	struct span span;
	for (u32 i = 0; page_span(&i, MIB, 4 * GIB, &span); i++) {
		for (u32 j = 0; j < LENGTH(reserved) * LENGTH(reserved); j++) { /* any order of them */
			const struct span *hole = &reserved[j % LENGTH(reserved)];
			if (span.start < hole->end && hole->start < span.start + size) span.start = hole->end;
		}
		if (span.start + size <= span.end) return span.start;
	}
	fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory: no room for %lu KiB of page states", size / KIB);
}

void page_add(u64 from, u64 to) {
	struct span span;
	for (u32 i = 0; page_span(&i, from, to, &span); i++) {
		pages_total += (span.end - span.start) / PAGE;
		span_add(span.start, span.end);
	}
	pages_usable = pages_lowest = pages_free;
}

void page_init(void) {
	struct span span;
	for (u32 i = 0; page_span(&i, 0, RAM_LIMIT, &span); i++) page_count = span.end / PAGE;
	u64 large = ALIGN_UP(page_count, sizeof *large_blocks);
	u64 size = ALIGN_UP(large + ((page_count >> LARGE_ORDER) + 1) * sizeof *large_blocks, PAGE);
	u64 image = boot_info.image;
	reserved[0] = (struct span){0, PAGE};
	reserved[1] = (struct span){(u64)kernel_start - KERNEL_BASE, (u64)kernel_end - KERNEL_BASE};
	reserved[2] = (struct span){ALIGN_DOWN(image, PAGE), ALIGN_UP(image + boot_info.image_size, PAGE)};
	reserved[3].start = find_room(size);
	reserved[3].end = reserved[3].start + size;
	state = direct(reserved[3].start);
	large_blocks = (struct block *)(state + large);
	memset(state, OTHER, size);
	page_add(0, 4 * GIB);
}

u32 page_order(u64 bytes) {
	u32 order = 0;
	while (order <= MAX_ORDER && PAGE << order < bytes) order++;
	return order;
}

void *page_alloc_dirty(u32 order) {
	u32 found = order;
	while (found <= MAX_ORDER && !free_blocks[found]) found++;
	if (found > MAX_ORDER) return NULL;
	u64 index = block_index(free_blocks[found], found);
	block_remove(index, found);
	while (found > order) {
		found--;
		block_push(index + (1UL << found), found);
	}
	state[index] = USED | order;
	pages_free -= 1UL << order;
	pages_lowest = MIN(pages_lowest, pages_free);
	return direct(index * PAGE);
}

void *page_alloc(u32 order) {
	void *page = page_alloc_dirty(order);
	if (page) memset(page, 0, PAGE << order);
	return page;
}

void page_free(void *page, u32 order) {
	u64 index = index_of(page);
	ASSERT(((u64)page & (PAGE - 1)) == 0 && index < page_count && state[index] == (USED | order));
	state[index] = OTHER;
	block_free(index, order);
}

void *page_alloc_device(u64 count) {
	u32 order = count > RAM_LIMIT / PAGE ? MAX_ORDER + 1 : page_order(count * PAGE);
	void *pages = count ? page_alloc(order) : NULL;
	if (!pages) return NULL;
	u64 index = index_of(pages);
	memset(&state[index], DEVICE, count);
	span_free(index + count, index + (1UL << order));
	return pages;
}

bool dma_owns(u64 address, u64 length) {
	u64 last = address + length - 1;
	if (!length || last < address || last / PAGE >= page_count) return false;
	for (u64 index = address / PAGE; index <= last / PAGE; index++)
		if (state[index] != DEVICE) return false;
	return true;
}
