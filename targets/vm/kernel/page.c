/*
 * Physical pages: a buddy allocator over the RAM that the boot map calls usable.
 *
 * One byte a page says what begins there, so a page freed twice, or with another order than it was taken with, is
 * caught. The lists of free blocks are in a table, eight bytes a page, and not in the blocks: a host backs memory once
 * it is touched, and free memory never is.
 */
#include "kernel.h"

/*
 * The states of a page: USED and FREE with the order of the block that begins there, DEVICE for good, OTHER when it is
 * not RAM, not ours, or inside a block.
 */
enum { OTHER = 0, DEVICE = 0x20, USED = 0x40, FREE = 0x80 };

/* Rings of free blocks, by the index of a block's first page. Those of the lowest pages, never free, are the heads. */
#define LOWEST_FREE (16 * PAGE)
static struct link { u32 next, previous; } * links;
_Static_assert(LOWEST_FREE / PAGE > MAX_ORDER && RAM_LIMIT / PAGE <= 1UL << 32, "a head an order, an index a page");

u64 pages_total, pages_usable, pages_free, pages_lowest;
static u8 *state;
static u64 page_count;
/* What is RAM and yet not free: the lowest pages, the kernel, the image, the tables. */
static struct span reserved[4];

static u64 index_of(const void *page) { return physical(page) / PAGE; }

static void block_push(u64 index, u32 order) {
	links[index] = (struct link){links[order].next, order};
	links[links[order].next].previous = (u32)index;
	links[order].next = (u32)index;
	state[index] = FREE | order;
}

static void block_remove(u64 index) {
	struct link link = links[index];
	links[link.next].previous = link.previous;
	links[link.previous].next = link.next;
	state[index] = OTHER;
}

static void block_free(u64 index, u32 order) {
	pages_free += 1UL << order;
	while (order < MAX_ORDER) {
		u64 buddy = index ^ (1UL << order);
		if (buddy >= page_count || state[buddy] != (FREE | order)) break;
		block_remove(buddy);
		index = MIN(index, buddy);
		order++;
	}
	block_push(index, order);
}

static bool is_reserved(u64 start, u64 end) {
	for (u32 i = 0; i < LENGTH(reserved); i++)
		if (start < reserved[i].end && reserved[i].start < end) return true;
	return false;
}

/* Frees the bytes [start, end) of no block, but for what is reserved, in the biggest blocks that alignment allows. */
static void span_free(u64 start, u64 end) {
	for (u64 size; start < end; start += size) {
		u32 order = 0;
		for (size = PAGE; order < MAX_ORDER && !(start & size) && start + 2 * size <= end; size *= 2, order++)
			if (is_reserved(start, start + 2 * size)) break;
		if (is_reserved(start, start + size)) continue;
		ASSERT(state[start / PAGE] == OTHER);
		block_free(start / PAGE, order);
	}
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
	for (u32 i = 0; page_span(&i, MIB, 4 * GIB, &span); i++)
		for (u64 at = span.start; at + size <= span.end; at += PAGE)
			if (!is_reserved(at, at + size)) return at;
	fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory: no room for %lu KiB of page states", size / KIB);
}

void page_add(u64 from, u64 to) {
	struct span span;
	for (u32 i = 0; page_span(&i, from, to, &span); i++) {
		pages_total += (span.end - span.start) / PAGE;
		span_free(span.start, span.end);
	}
	pages_usable = pages_lowest = pages_free;
}

void page_init(void) {
	struct span span;
	for (u32 i = 0; page_span(&i, 0, RAM_LIMIT, &span); i++) page_count = span.end / PAGE;
	u64 size = ALIGN_UP(page_count * (sizeof *links + sizeof *state), PAGE);
	u64 image = boot_info.image;
	reserved[0] = (struct span){0, LOWEST_FREE};
	reserved[1] = (struct span){(u64)kernel_start - KERNEL_BASE, (u64)kernel_end - KERNEL_BASE};
	reserved[2] = (struct span){ALIGN_DOWN(image, PAGE), ALIGN_UP(image + boot_info.image_size, PAGE)};
	reserved[3].start = find_room(size);
	reserved[3].end = reserved[3].start + size;
	links = direct(reserved[3].start);
	state = (u8 *)(links + page_count);
	memset(state, OTHER, page_count);
	for (u32 order = 0; order <= MAX_ORDER; order++) links[order] = (struct link){order, order};
	page_add(0, 4 * GIB);
}

u32 page_order(u64 bytes) {
	u32 order = 0;
	while (order <= MAX_ORDER && PAGE << order < bytes) order++;
	return order;
}

void *page_alloc_dirty(u32 order) {
	u32 found = order;
	while (found <= MAX_ORDER && links[found].next == found) found++;
	if (found > MAX_ORDER) return NULL;
	u64 index = links[found].next;
	block_remove(index);
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
	span_free((index + count) * PAGE, (index + (1UL << order)) * PAGE);
	return pages;
}

bool dma_owns(u64 address, u64 length) {
	u64 last = address + length - 1;
	if (!length || last < address || last / PAGE >= page_count) return false;
	for (u64 index = address / PAGE; index <= last / PAGE; index++)
		if (state[index] != DEVICE) return false;
	return true;
}
