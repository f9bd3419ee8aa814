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

#define ROOT_SHIFT           39
#define LARGE_SHIFT          21
#define PAGE_SHIFT           12
#define LEVEL_BITS           9
#define LARGE                (1UL << LARGE_SHIFT)
#define ENTRIES              512
#define KERNEL_DATA_BITS     (PTE_PRESENT | PTE_WRITE | PTE_GLOBAL | PTE_NO_EXECUTE)
#define KERNEL_CONSTANT_BITS (PTE_PRESENT | PTE_GLOBAL | PTE_NO_EXECUTE)
#define KERNEL_TEXT_BITS     (PTE_PRESENT | PTE_GLOBAL)
#define DEVICE_BITS          (KERNEL_DATA_BITS | PTE_UNCACHED | PTE_WRITE_THROUGH)
/* Up to so many pages are flushed one by one; beyond it everything is. */
#define FLUSH_SINGLY 48
/* A slot of the stack region holds a stack, its lowest page at most excepted, which stays unmapped. */
#define STACK_SLOT_PAGES 8
#define STACK_SLOTS      (MAX_THREADS + 8)

static u64 *root;
static u8 stack_slot_used[STACK_SLOTS];

static u64 *entry_at(u64 *table, u64 address, u32 shift) { return &table[address >> shift & (ENTRIES - 1)]; }

/* The entry of the address at the level of `shift`; NULL when there is no table and none is made, or no memory. */
static u64 *walk(u64 address, u32 level, bool make) {
	u64 *table = root;
	u64 bits = PTE_PRESENT | PTE_WRITE | (address < USER_TOP ? PTE_USER : 0);
	for (u32 shift = ROOT_SHIFT; shift > level; shift -= LEVEL_BITS) {
		u64 *entry = entry_at(table, address, shift);
		if (!*entry) {
			void *below = make ? page_alloc(0) : NULL;
			if (!below) return NULL;
			*entry = physical(below) | bits;
		}
		if (*entry & PTE_LARGE) return NULL;
		table = direct(*entry & PTE_ADDRESS);
	}
	return entry_at(table, address, level);
}

u64 *pte_find(u64 address) { return walk(address, PAGE_SHIFT, false); }

u64 *pte_make(u64 address) { return walk(address, PAGE_SHIFT, true); }

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

void pte_protect(u64 start, u64 end, u32 protection) {
	u64 changed = 0;
	for (u64 at = start, *pte; (pte = pte_next(&at, end)); at += PAGE) {
		if (!*pte) continue;
		pte_set(pte, *pte & PTE_ADDRESS, *pte & PTE_KIND, protection);
		if (++changed <= FLUSH_SINGLY) invalidate_page(at);
	}
	if (changed > FLUSH_SINGLY) tlb_flush_all();
}

void pte_clear(u64 *pte) {
	if (*pte && !(*pte & PTE_BORROWED)) page_free(direct(*pte & PTE_ADDRESS), 0);
	*pte = 0;
}

static bool table_is_empty(const u64 *table) {
	for (u32 i = 0; i < ENTRIES; i++) {
		if (table[i]) return false;
	}
	return true;
}

/* Clears [start, end) of a table and frees the tables below it that become empty. Counts what a flush must cover. */
static void table_unmap(u64 *table, u32 shift, u64 start, u64 end, u64 *flushes) {
	for (u64 next; start < end; start = next) {
		u64 *entry = entry_at(table, start, shift);
		u64 *below = direct(*entry & PTE_ADDRESS);
		next = MIN(ALIGN_DOWN(start, 1UL << shift) + (1UL << shift), end);
		if (!*entry) continue;
		if (shift == PAGE_SHIFT) {
			pte_clear(entry);
			if (++*flushes <= FLUSH_SINGLY) invalidate_page(start);
			continue;
		}
		table_unmap(below, shift - LEVEL_BITS, start, next, flushes);
		if (table_is_empty(below)) {
			*entry = 0;
			page_free(below, 0);
			*flushes += FLUSH_SINGLY + 1; /* the processor may have cached the entry itself */
		}
	}
}

void pte_unmap(u64 start, u64 end) {
	u64 flushes = 0;
	table_unmap(root, ROOT_SHIFT, start, end, &flushes);
	if (flushes > FLUSH_SINGLY) tlb_flush_all();
}

/* All of the program's; the kernel's pages are global. */
void tlb_flush_all(void) { write_cr3(physical(root)); }

/* Maps kernel addresses, in large pages where the alignment allows. Only while the kernel starts. */
static void map(u64 address, u64 to, u64 length, u64 bits) {
	u64 end = address + length;
	while (address < end) {
		bool large = !((address | to) & (LARGE - 1)) && end - address >= LARGE;
		u64 step = large ? LARGE : PAGE;
		u64 *entry = walk(address, large ? LARGE_SHIFT : PAGE_SHIFT, true);
		if (!entry) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for the kernel's page tables");
		*entry = to | bits | (large ? PTE_LARGE : 0);
		address += step;
		to += step;
	}
}

/* What the direct map allows for the page at `at`; lowers *end to where that changes. */
static u64 direct_bits(u64 at, u64 *end) {
	const u64 constants[][2] = {
	    {(u64)kernel_start - KERNEL_BASE, (u64)kernel_rodata_end - KERNEL_BASE},
	    {ALIGN_DOWN(boot_info.image, PAGE), ALIGN_UP(boot_info.image + boot_info.image_size, PAGE)},
	};
	for (u32 i = 0; i < LENGTH(constants); i++) {
		if (at >= constants[i][0] && at < constants[i][1]) {
			*end = MIN(*end, constants[i][1]);
			return KERNEL_CONSTANT_BITS;
		}
		if (at < constants[i][0]) *end = MIN(*end, constants[i][0]);
	}
	return KERNEL_DATA_BITS;
}

static void map_direct(u64 start, u64 end) {
	for (u64 next; start < end; start = next) {
		next = end;
		u64 bits = direct_bits(start, &next);
		map((u64)direct(start), start, next - start, bits);
	}
}

static void map_kernel(const char *start, const char *end, u64 bits) {
	map((u64)start, (u64)start - KERNEL_BASE, (u64)(end - start), bits);
}

void pagetable_init(void) {
	root = page_alloc(0);
	ASSERT(root);
	map_kernel(kernel_start, kernel_text_end, KERNEL_TEXT_BITS);
	map_kernel(kernel_text_end, kernel_rodata_end, KERNEL_CONSTANT_BITS);
	map_kernel(kernel_rodata_end, kernel_end, KERNEL_DATA_BITS);
	for (u32 i = 0; i < boot_info.map_count; i++) {
		struct span span;
		if (page_span(i, 0, RAM_LIMIT, &span)) map_direct(span.start, span.end);
	}
	if (boot_info.image_beside_ram)
		map((u64)direct(boot_info.image), boot_info.image, boot_info.image_size, KERNEL_CONSTANT_BITS);
	write_cr3(physical(root));
	write_cr0(read_cr0() | CR0_WP);
	page_init_high();
}

void *kernel_stack_alloc(u32 pages) {
	ASSERT(pages < STACK_SLOT_PAGES);
	u32 slot = 0;
	while (slot < STACK_SLOTS && stack_slot_used[slot]) slot++;
	if (slot == STACK_SLOTS) return NULL;
	u64 top = KERNEL_MAPPINGS + (slot + 1) * STACK_SLOT_PAGES * PAGE;
	u64 bottom = top - pages * PAGE;
	for (u64 at = bottom; at < top; at += PAGE) {
		u64 *pte = pte_make(at);
		void *page = pte ? page_alloc(0) : NULL;
		if (!page) {
			pte_unmap(bottom, top);
			return NULL;
		}
		*pte = physical(page) | KERNEL_DATA_BITS;
	}
	stack_slot_used[slot] = true;
	return (void *)bottom;
}

void kernel_stack_free(void *stack, u32 pages) {
	u64 slot = ((u64)stack - KERNEL_MAPPINGS) / (STACK_SLOT_PAGES * PAGE);
	ASSERT(slot < STACK_SLOTS && stack_slot_used[slot]);
	pte_unmap((u64)stack, (u64)stack + pages * PAGE);
	stack_slot_used[slot] = false;
}

/* Physical addresses that the processor and the direct map's place allow. */
static u64 physical_limit(void) {
	u32 bits = 36;
	if (cpuid(0x80000000, 0).eax >= 0x80000008) bits = cpuid(0x80000008, 0).eax & 0xff;
	return MIN(1UL << MIN(bits, 52), DIRECT_MAP_SIZE);
}

volatile void *device_map(u64 address, u64 length) {
	static u64 limit;
	u64 end = address + length;
	if (!limit) limit = physical_limit();
	if (!length || end < address || end > limit) return NULL;
	for (u64 at = ALIGN_DOWN(address, PAGE); at < end; at += PAGE) {
		u64 *large = walk((u64)direct(at), LARGE_SHIFT, true);
		if (large && *large & PTE_LARGE) continue; /* RAM */
		u64 *pte = large ? pte_make((u64)direct(at)) : NULL;
		if (!pte) return NULL;
		if (!*pte) *pte = at | DEVICE_BITS;
	}
	return direct(address);
}
