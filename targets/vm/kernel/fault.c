/*
 * Page faults of the program, and of the kernel when it copies for the program.
 *
 * Memory that was never written shares one page of zeros. Pages of files are the image's own, read-only, mapped in
 * clusters because neighbours are wanted next; the first write to either makes a copy.
 */
#include "kernel.h"

#define CLUSTER (16 * PAGE) /* inside one leaf table, as it is aligned */

const u8 zero_page[PAGE] __attribute__((aligned(PAGE)));
u64 fault_count;

static void *page_or_end(void *page) {
	if (!page)
		fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory: the program needs more than the machine's %lu MiB",
		     pages_total * PAGE / MIB);
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

/* The cluster's pages that are not there yet. */
static void map_file(const struct area *area, u64 address, u64 *pte) {
	u64 at = MAX(ALIGN_DOWN(address, CLUSTER), area->start);
	u64 end = MIN(ALIGN_DOWN(address, CLUSTER) + CLUSTER, area->end);
	pte -= (address - at) / PAGE;
	for (; at < end; at += PAGE, pte++) {
		u64 frame = *pte ? 0 : file_frame(area, at);
		if (frame) pte_set(pte, frame, PTE_BORROWED | PTE_COPY, area->protection);
	}
}

bool page_fault(u64 address, u64 error) {
	const struct area *area = area_find(address);
	bool write = error & FAULT_WRITE;
	fault_count++;
	if (!area || error & FAULT_RESERVED || !allows(area, error)) return false;
	address = ALIGN_DOWN(address, PAGE);
	u64 *pte = page_or_end(pte_make(address)), was = *pte;
	if (!was && area->flags & AREA_DEVICE) return false; /* bound all at once: see user_bind() */
	u64 frame = was ? was & PTE_ADDRESS : area->file ? file_frame(area, address) : 0;
	if (!was && area->file && !frame) return false;
	if (write && (was ? was & PTE_COPY : area->file != NULL)) {
		void *copy = memcpy(page_or_end(page_alloc_dirty(0)), direct(frame), PAGE);
		pte_set(pte, physical(copy), 0, area->protection);
	} else if (was)
		pte_set(pte, frame, was & PTE_KIND, area->protection); /* protected anew */
	else if (area->file)
		map_file(area, address, pte);
	else if (write)
		pte_set(pte, physical(page_or_end(page_alloc(0))), 0, area->protection);
	else
		pte_set(pte, (u64)zero_page - KERNEL_BASE, PTE_BORROWED | PTE_COPY, area->protection);
	if (was) invalidate_page(address);
	return true;
}
