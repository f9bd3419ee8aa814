/*
 * Page tables: the kernel's mappings, made once, and the program's, made by faults.
 *
 * Nothing is both writable and executable, and no frame is writable under one address and executable by the kernel
 * under another: the direct map shows the kernel's text and constants, and the image, read-only. Device registers are
 * mapped into the direct map's gaps when they are asked for.
 *
 * An entry that is not 0 but not present keeps its frame: that is how PROT_NONE keeps contents.
 */
#include "kernel.h"

enum { ROOT_SHIFT = 39, LARGE_SHIFT = 21, PAGE_SHIFT = 12, LEVEL_BITS = 9, ENTRIES = 512 };
#define LARGE                (1UL << LARGE_SHIFT)
#define KERNEL_TEXT_BITS     (PTE_PRESENT | PTE_GLOBAL)
#define KERNEL_CONSTANT_BITS (KERNEL_TEXT_BITS | PTE_NO_EXECUTE)
#define KERNEL_DATA_BITS     (KERNEL_CONSTANT_BITS | PTE_WRITE)
/* A guest of Xen's has no devices: what it maps beside RAM is memory of other domains'. */
#define DEVICE_BITS (KERNEL_DATA_BITS | (xen_guest ? 0 : PTE_UNCACHED | PTE_WRITE_THROUGH))
/* Up to so many pages are flushed one by one; beyond it everything is. */
#define FLUSH_SINGLY 48
/* A slot of the stack region holds a stack, its lowest page at most excepted, which stays unmapped. */
enum { STACK_SLOT_PAGES = 8, STACK_SLOTS = MAX_THREADS + 8 };

static u64 *root;

static u64 *entry_at(u64 *table, u64 address, u32 shift) { return &table[address >> shift & (ENTRIES - 1)]; }

/* The entry of the address at the level of `shift`; NULL without memory, or inside a large page. */
static u64 *walk(u64 address, u32 level) {
	u64 *table = root;
	u64 bits = PTE_PRESENT | PTE_WRITE | (address < USER_TOP ? PTE_USER : 0);
	for (u32 shift = ROOT_SHIFT; shift > level; shift -= LEVEL_BITS) {
		u64 *entry = entry_at(table, address, shift);
		if (!*entry) {
			void *below = page_alloc(0);
			if (!below) return NULL;
			*entry = physical(below) | bits;
		}
		if (*entry & PTE_LARGE) return NULL;
		table = direct(*entry & PTE_ADDRESS);
	}
	return entry_at(table, address, level);
}

u64 *pte_make(u64 address) { return walk(address, PAGE_SHIFT); }

u64 *pte_next(u64 *address, u64 end) {
	while (*address < end) {
		u64 *table = root;
		u32 shift = ROOT_SHIFT;
		while (shift > PAGE_SHIFT && *entry_at(table, *address, shift)) {
			table = direct(*entry_at(table, *address, shift) & PTE_ADDRESS);
			shift -= LEVEL_BITS;
		}
		if (shift == PAGE_SHIFT) return entry_at(table, *address, shift);
		*address = ALIGN_DOWN(*address, 1UL << shift) + (1UL << shift);
	}
	return NULL;
}

void pte_set(u64 *pte, u64 frame, u64 kind, u32 protection) {
	u64 bits = protection ? PTE_PRESENT | PTE_USER : 0;
	if (protection & PROT_WRITE && !(kind & PTE_COPY)) bits |= PTE_WRITE;
	if (!(protection & PROT_EXEC)) bits |= PTE_NO_EXECUTE;
	*pte = frame | kind | bits;
}

/* One by one, or all of the program's at once. Either way the processor forgets what it knows of tables, too. */
void tlb_flush(u64 start, u64 end) {
	if (end - start > FLUSH_SINGLY * PAGE) return write_cr3(physical(root));
	for (; start < end; start += PAGE) invalidate_page(start);
}

void pte_protect(u64 start, u64 end, u32 protection) {
	for (u64 at = start, *pte; (pte = pte_next(&at, end)); at += PAGE)
		if (*pte) pte_set(pte, *pte & PTE_ADDRESS, *pte & PTE_KIND, protection);
	tlb_flush(start, end);
}

void pte_clear(u64 *pte) {
	if (*pte && !(*pte & PTE_BORROWED)) page_free(direct(*pte & PTE_ADDRESS), 0);
	*pte = 0;
}

/* Clears [start, end) of a table and frees the tables below it that become empty. */
static void table_unmap(u64 *table, u32 shift, u64 start, u64 end) {
	for (u64 next; start < end; start = next) {
		u64 *entry = entry_at(table, start, shift);
		u64 *below = direct(*entry & PTE_ADDRESS);
		next = MIN(ALIGN_DOWN(start, 1UL << shift) + (1UL << shift), end);
		if (!*entry) continue;
		if (shift > PAGE_SHIFT) table_unmap(below, shift - LEVEL_BITS, start, next);
		if (shift == PAGE_SHIFT || memcmp(below, zero_page, PAGE) == 0) pte_clear(entry);
	}
}

void pte_unmap(u64 start, u64 end) {
	table_unmap(root, ROOT_SHIFT, start, end);
	tlb_flush(start, end);
}

/*
 * Maps what is not mapped yet of physical [start, end), at addresses that are `offset` higher, in large pages where the
 * alignment allows. Only while the kernel starts.
 */
static void map(u64 start, u64 end, u64 offset, u64 bits) {
	for (u64 step; start < end; start += step) {
		u64 address = start + offset, *entry = walk(address, LARGE_SHIFT);
		bool fits = !((address | start) & (LARGE - 1)) && end - start >= LARGE;
		bool large = entry && (*entry ? *entry & PTE_LARGE : fits);
		if (!large) entry = walk(address, PAGE_SHIFT);
		if (!entry) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the kernel's page tables");
		if (!*entry) *entry = start | bits | (large ? PTE_LARGE : 0);
		step = large ? LARGE - (address & (LARGE - 1)) : PAGE;
	}
}

void pagetable_init(void) {
	root = page_alloc(0);
	ASSERT(root);
	u64 text = (u64)kernel_start - KERNEL_BASE, constants = (u64)kernel_text_end - KERNEL_BASE;
	u64 data = (u64)kernel_rodata_end - KERNEL_BASE, end = (u64)kernel_end - KERNEL_BASE;
	map(text, constants, KERNEL_BASE, KERNEL_TEXT_BITS);
	map(constants, data, KERNEL_BASE, KERNEL_CONSTANT_BITS);
	map(data, end, KERNEL_BASE, KERNEL_DATA_BITS);
	/* What is read-only comes first, and RAM around it. */
	map(text, data, DIRECT_MAP, KERNEL_CONSTANT_BITS);
	u64 image = boot_info.image, image_end = ALIGN_UP(image + boot_info.image_size, PAGE);
	map(ALIGN_DOWN(image, PAGE), image_end, DIRECT_MAP, KERNEL_CONSTANT_BITS);
	struct span span;
	for (u32 i = 0; page_span(&i, 0, RAM_LIMIT, &span); i++)
		map(span.start, span.end, DIRECT_MAP, KERNEL_DATA_BITS);
	write_cr3(physical(root));
	write_cr0(read_cr0() | CR0_WP);
	page_add(4 * GIB, RAM_LIMIT);
}

void *kernel_stack_alloc(u32 pages) {
	ASSERT(pages < STACK_SLOT_PAGES);
	for (u64 slot = 1; slot <= STACK_SLOTS; slot++) {
		u64 top = KERNEL_MAPPINGS + slot * STACK_SLOT_PAGES * PAGE, bottom = top - pages * PAGE;
		u64 *pte = pte_make(top - PAGE);
		if (pte && *pte) continue;
		for (u64 at = bottom; at < top; at += PAGE) {
			pte = pte_make(at);
			void *page = pte ? page_alloc(0) : NULL;
			if (!page) {
				pte_unmap(bottom, top);
				return NULL;
			}
			*pte = physical(page) | KERNEL_DATA_BITS;
		}
		return (void *)bottom;
	}
	return NULL;
}

void kernel_stack_free(void *stack, u32 pages) { pte_unmap((u64)stack, (u64)stack + pages * PAGE); }

volatile void *device_map(u64 address, u64 length) {
	u32 bits = MIN(cpuid(0x80000008, 0).eax & 0xff, 52); /* of the processor's physical addresses */
	u64 end = address + length;
	if (!length || end < address || end > MIN(1UL << bits, DIRECT_MAP_SIZE)) return NULL;
	for (u64 at = ALIGN_DOWN(address, PAGE); at < end; at += PAGE) {
		u64 *large = walk((u64)direct(at), LARGE_SHIFT);
		if (large && *large & PTE_LARGE) continue; /* RAM */
		u64 *pte = large ? pte_make((u64)direct(at)) : NULL;
		if (!pte) return NULL;
		if (!*pte) *pte = at | DEVICE_BITS;
	}
	return direct(address);
}
