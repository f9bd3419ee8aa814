/*
 * The system calls on areas, with Linux's results wherever V8, libuv and glibc depend on them.
 *
 * There are no processes to share with, so shared anonymous memory is private memory. Files are read-only.
 */
#include "kernel.h"

/* Mappings at least so big are aligned to as much: fewer leaf tables, and V8 asks for it next anyway. */
#define BIG (256 * KIB)
/* V8 picks random addresses, each of which would cost tables. Only those near the program's code gain anything. */
#define HINT_LIMIT (2 * GIB)
enum { PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC, MAX_RESERVE = 4 * MIB / PAGE };
/* The old-style heap: a place where nothing else is put. */
#define BRK_REGION (8 * GIB)
#define BRK_LIMIT  (64 * GIB)

u64 brk_start;
static u64 brk_end;

static bool is_page(u64 value) { return (value & (PAGE - 1)) == 0; }

/* Turns the length into whole pages, some of which there must be. */
static i64 check_range(u64 address, u64 *length) {
	if (!is_page(address) || !*length || *length > USER_TOP) return -EINVAL;
	*length = ALIGN_UP(*length, PAGE);
	return user_range(address, *length) ? 0 : -EINVAL;
}

static i64 split_both(u64 start, u64 end) {
	i64 error = area_split(start);
	return error ? error : area_split(end);
}

/* All of [start, end) belongs to areas, and to none that refuses: 0 or an error. */
static i64 check_areas(u64 start, u64 end, u32 protection) {
	for (u32 i = area_index(start); start < end; i++) {
		if (i == area_count || areas[i].start > start) return -ENOMEM;
		if (protection & PROT_WRITE && areas[i].flags & MAP_SHARED && areas[i].file) return -EACCES;
		start = areas[i].end;
	}
	return 0;
}

/*
 * Refuses at once what can never be backed: then JavaScript sees a failed allocation and not the end of the machine.
 * Memory that is only reserved (PROT_NONE, MAP_NORESERVE) may be of any size, and so may V8's whole range of code.
 */
static bool can_back(u64 length, u32 protection) {
	u64 reserve = MIN(pages_usable / 16, MAX_RESERVE); /* for what was granted and is not touched yet */
	return !length || !(protection & PROT_WRITE) || protection & PROT_EXEC || length / PAGE + reserve <= pages_free;
}

/* Bytes of the range that have no frame of their own yet. */
static u64 count_missing(u64 start, u64 end) {
	u64 missing = end - start;
	for (u64 at = start, *pte; (pte = pte_next(&at, end)); at += PAGE)
		missing -= *pte && !(*pte & PTE_BORROWED) ? PAGE : 0;
	return missing;
}

static void unmap(u64 start, u64 end) {
	area_remove(start, end);
	pte_unmap(start, end);
}

i64 user_munmap(u64 address, u64 length) {
	i64 error = check_range(address, &length);
	if (!error) error = split_both(address, address + length);
	if (!error) unmap(address, address + length);
	return error;
}

static bool is_free(u64 start, u64 end) {
	u32 i = area_index(start);
	return i == area_count || areas[i].start >= end;
}

/* Where a mapping goes: its address, or an error. The place is empty and one area can be inserted. */
static i64 place(u64 address, u64 length, u32 flags) {
	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))) {
		address = ALIGN_UP(address, PAGE);
		bool near = address && address + length <= HINT_LIMIT && !check_range(address, &length);
		if (!near || !is_free(address, address + length))
			address = area_gap(length, length >= BIG ? BIG : PAGE);
	} else if (check_range(address, &length)) {
		return -EINVAL;
	} else if (flags & MAP_FIXED_NOREPLACE && !is_free(address, address + length)) {
		return -EEXIST;
	} else if (split_both(address, address + length)) {
		return -ENOMEM;
	}
	if (!address || !area_reserve()) return -ENOMEM;
	unmap(address, address + length);
	return (i64)address;
}

i64 user_mmap(u64 address, u64 length, u32 protection, u32 flags, struct node *file, u64 offset) {
	u32 type = flags & MAP_TYPE;
	if (!length || !is_page(offset) || (type != MAP_SHARED && type != MAP_PRIVATE)) return -EINVAL;
	if (length > USER_TOP) return -ENOMEM;
	length = ALIGN_UP(length, PAGE);
	if (offset + length < offset) return -EINVAL;
	if (file && type != MAP_PRIVATE && protection & PROT_WRITE) return -EACCES;
	if (!file && !(flags & MAP_NORESERVE) && !can_back(length, protection)) return -ENOMEM;
	i64 start = place(address, length, flags);
	if (start < 0) return start;
	i64 error = area_insert((u64)start, (u64)start + length, protection & PROT_ALL,
				file && type != MAP_PRIVATE ? MAP_SHARED : 0, file, file ? offset : 0);
	ASSERT(!error); /* place() reserved it */
	area_merge((u64)start, (u64)start + length);
	return start;
}

i64 user_mprotect(u64 address, u64 length, u32 protection) {
	if (is_page(address) && !length) return 0;
	if (check_range(address, &length)) return is_page(address) ? -ENOMEM : -EINVAL;
	u64 end = address + length;
	i64 error = check_areas(address, end, protection);
	if (!error && !can_back(length, protection) && !can_back(count_missing(address, end), protection))
		error = -ENOMEM;
	if (!error) error = split_both(address, end);
	if (error) return error;
	protection &= PROT_ALL;
	for (u32 i = area_index(address); i < area_count && areas[i].start < end; i++) areas[i].protection = protection;
	pte_protect(address, end, protection);
	area_merge(address, end);
	return 0;
}

/* Forgets contents. Areas of devices keep theirs. */
static i64 discard(u64 start, u64 end, bool anonymous_only) {
	i64 result = check_areas(start, end, PROT_NONE);
	for (u32 i = area_index(start); i < area_count && areas[i].start < end; i++) {
		if (areas[i].flags & AREA_DEVICE || (anonymous_only && areas[i].file)) return -EINVAL;
		pte_unmap(MAX(start, areas[i].start), MIN(end, areas[i].end));
	}
	return result;
}

i64 user_madvise(u64 address, u64 length, int advice) {
	if (is_page(address) && !length) return 0;
	if (check_range(address, &length)) return -EINVAL;
	if (advice == MADV_DONTNEED || advice == MADV_FREE)
		return discard(address, address + length, advice == MADV_FREE);
	bool hint = (u32)advice <= MADV_WILLNEED || (advice >= MADV_DONTFORK && advice <= MADV_PAGEOUT);
	return hint ? check_areas(address, address + length, PROT_NONE) : -EINVAL;
}

i64 user_brk(u64 address) {
	if (!brk_start) brk_start = brk_end = BRK_REGION + random_u64() % (BRK_REGION / PAGE) * PAGE;
	if (address < brk_start || address > brk_start + BRK_LIMIT) return (i64)brk_end;
	u64 old = ALIGN_UP(brk_end, PAGE), new = ALIGN_UP(address, PAGE);
	u32 flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE;
	if (new > old && user_mmap(old, new - old, PROT_READ | PROT_WRITE, flags, NULL, 0) < 0) return (i64)brk_end;
	if (new < old && user_munmap(new, old - new)) return (i64)brk_end;
	brk_end = address;
	return (i64)brk_end;
}

i64 user_bind(u64 address, u64 length, u64 *at) {
	u64 kind = PTE_BORROWED | (*at && !xen_guest ? PTE_UNCACHED | PTE_WRITE_THROUGH : 0);
	i64 error = check_range(address, &length);
	struct area *area = area_find(address);
	u64 end = address + length;
	if (error || !area || area->end < end || area->file || !(area->protection & PROT_WRITE) || !is_page(*at))
		return -EINVAL;
	/* The kernel maps both ends, to find out whether the processor reaches them. */
	if (*at && (bootinfo_is_ram(*at, length) || !device_map(*at, 1) || !device_map(*at + length - 1, 1)))
		return -EFAULT;
	u32 protection = area->protection & ~(u32)PROT_EXEC;
	error = split_both(address, end);
	/* All that can fail comes before the first page changes; RAM last, for it is never given back. */
	for (u64 page = address; !error && page < end; page += PAGE) error = pte_make(page) ? 0 : -ENOMEM;
	if (!error && !*at) {
		void *ram = page_alloc_device(length / PAGE);
		error = ram ? 0 : -ENOMEM;
		*at = ram ? physical(ram) : 0;
	}
	if (error) return error;
	for (u64 page = address; page < end; page += PAGE) {
		u64 *pte = pte_make(page);
		pte_clear(pte);
		pte_set(pte, *at + (page - address), kind, protection);
	}
	tlb_flush(address, end);
	area = area_find(address);
	area->flags |= AREA_DEVICE;
	area->offset = *at;
	area->protection = protection;
	return 0;
}
