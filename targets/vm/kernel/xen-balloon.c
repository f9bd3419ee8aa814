/*
 * Memory that the domain does without: blocks of free memory are given back to Xen, and had from it again. Which, this
 * file remembers; what it is for, and how much, the program and the toolstack decide.
 */
#include "xen.h"

enum { BLOCK_ORDER = 9, MOST_BLOCKS = 4096, KEPT_PAGES = 16 * MIB / PAGE };
_Static_assert(PAGE << BLOCK_ORDER == 2 * MIB, "window.h");

static void *given[MOST_BLOCKS];
static u32 count;

/* True: Xen has done it, to all of the block. */
static bool reservation(u64 operation, const void *block) {
	u64 frame = physical(block) / PAGE;
	const struct xen_reservation one = {
		.frames = (u64)&frame, .extents = 1, .order = BLOCK_ORDER, .domain = DOMAIN_SELF};
	return hypercall(CALL_MEMORY, operation, &one, 0) == 1;
}

static bool give(void) {
	bool spare = pages_free > KEPT_PAGES + (1UL << BLOCK_ORDER);
	void *block = spare ? page_alloc_dirty(BLOCK_ORDER) : NULL;
	if (!block) return false;
	if (reservation(MEMORY_DECREASE, block)) {
		given[count++] = block;
		return true;
	}
	page_free(block, BLOCK_ORDER);
	return false;
}

static bool take(void) {
	if (!reservation(MEMORY_POPULATE, given[count - 1])) return false;
	page_free(given[--count], BLOCK_ORDER);
	return true;
}

u32 xen_balloon(u32 wanted) {
	while (count < MIN(wanted, MOST_BLOCKS) && give())
		;
	while (count > wanted && take())
		;
	return count;
}
