/*
 * Page faults of the program, and of the kernel when it copies for the program.
 *
 * Memory that was never written shares one page of zeros. Pages of files are the image's own, read-only, mapped in
 * clusters because neighbours are wanted next; the first write to either makes a copy.
 */
#include "kernel.h"

#define CLUSTER (16 * PAGE) /* inside one leaf table, as it is aligned */

const u8 zero_page[PAGE] __attribute__((aligned(PAGE)));
u64 fault_count, fault_file_count, fault_copy_count;

static void out_of_memory(void) {
	fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory: the program needs more than the machine's %lu MiB",
	     pages_total * PAGE / MIB);
}

static void *page_or_end(bool zeroed) {
	void *page = zeroed ? page_alloc(0) : page_alloc_dirty(0);
	if (!page) out_of_memory();
	return page;
}

static bool allows(const struct area *area, u64 error) {
	if (error & FAULT_WRITE) return area->protection & PROT_WRITE;
	if (error & FAULT_FETCH) return area->protection & PROT_EXEC;
	return area->protection != PROT_NONE; /* writable and executable pages can be read on this processor */
}

/* Where the file's page for an address is: 0 when the file ends before it. */
static u64 file_frame(const struct area *area, u64 address) {
	u64 offset = area->offset + (address - area->start);
	return offset < ALIGN_UP(area->file->size, PAGE) ? image_page(area->file, offset) : 0;
}

/* A page of its own with the contents of the frame, which stays as it is. */
static void map_copy(u64 *pte, u64 frame, u32 protection) {
	void *page = page_or_end(false);
	fault_copy_count++;
	memcpy(page, direct(frame), PAGE);
	pte_set(pte, physical(page), 0, protection);
}

static bool file_fault(struct area *area, u64 address, u64 *pte, bool write) {
	u64 frame = file_frame(area, address);
	u64 at = MAX(ALIGN_DOWN(address, CLUSTER), area->start);
	u64 end = MIN(ALIGN_DOWN(address, CLUSTER) + CLUSTER, area->end);
	if (!frame) return false;
	if (write) {
		map_copy(pte, frame, area->protection);
		return true;
	}
	fault_file_count++;
	pte -= (address - at) / PAGE;
	for (; at < end; at += PAGE, pte++) {
		frame = *pte ? 0 : file_frame(area, at);
		if (frame) pte_set(pte, frame, PTE_BORROWED | PTE_COPY, area->protection);
	}
	return true;
}

static void anonymous_fault(const struct area *area, u64 *pte, bool write) {
	if (write)
		pte_set(pte, physical(page_or_end(true)), 0, area->protection);
	else
		pte_set(pte, (u64)zero_page - KERNEL_BASE, PTE_BORROWED | PTE_COPY, area->protection);
}

/* The page is there, but not as it is wanted: protected anew, or shared and written to. */
static void refresh(const struct area *area, u64 *pte, bool write) {
	u64 frame = *pte & PTE_ADDRESS;
	if (write && *pte & PTE_COPY)
		map_copy(pte, frame, area->protection);
	else
		pte_set(pte, frame, *pte & PTE_KIND, area->protection);
}

bool page_fault(u64 address, u64 error) {
	struct area *area = area_find(address);
	bool write = error & FAULT_WRITE;
	fault_count++;
	if (!area || error & FAULT_RESERVED || !allows(area, error)) return false;
	address = ALIGN_DOWN(address, PAGE);
	u64 *pte = pte_make(address);
	if (!pte) out_of_memory();
	if (*pte) {
		refresh(area, pte, write);
		invalidate_page(address);
		return true;
	}
	if (area->flags & AREA_DEVICE) return false; /* bound all at once: see user_bind() */
	if (area->file) return file_fault(area, address, pte, write);
	anonymous_fault(area, pte, write);
	return true;
}
