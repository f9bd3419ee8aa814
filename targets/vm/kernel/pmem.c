/*
 * An image in persistent memory (an NVDIMM): the hypervisor maps the file into the guest's addresses beside RAM, so
 * that it takes none; pages are read when they are touched, and shared with other guests. ACPI's NFIT says where
 * (ACPI 6.5 §5.2.25). The tables come from the hypervisor, which could do worse than lie here; still, all is bounded.
 */
#include "kernel.h"

/* Bytes of each table's header; where the RSDP has the addresses of the roots; a type of the NFIT's structures. */
enum { TABLE_HEADER = 36, RSDP_RSDT = 16, RSDP_XSDT = 24, SYSTEM_PHYSICAL_RANGE = 0, MAX_TABLES = 64 };

struct physical_range {
	u16 type, length, index, flags;
	u32 reserved, proximity;
	u8 kind[16];
	u64 address, size;
} __attribute__((packed));

static const u8 persistent_memory[16] = {0x79, 0xd3, 0xf0, 0x66, 0xf3, 0xb4, 0x74, 0x40,
					 0xac, 0x43, 0x0d, 0x33, 0x18, 0xb7, 0x8c, 0xdb};

/* A table with the signature, or any when it is NULL; NULL unless it lies where boot.S has mapped. */
static const u8 *table_at(u64 address, const char *signature, u32 *length) {
	if (!address || address > 4 * GIB - MIB) return NULL;
	const u8 *table = direct(address);
	memcpy(length, table + 4, sizeof *length);
	return *length >= TABLE_HEADER && *length <= MIB && (!signature || !memcmp(table, signature, 4)) ? table : NULL;
}

static bool find_range(const u8 *nfit, u32 length) {
	struct physical_range range;
	for (u32 at = TABLE_HEADER + 4; at + 4 <= length; at += range.length) {
		memcpy(&range, nfit + at, MIN(sizeof range, length - at));
		if (range.length < 4 || range.length > length - at) return false;
		if (range.type == SYSTEM_PHYSICAL_RANGE && range.length >= sizeof range &&
		    !memcmp(range.kind, persistent_memory, sizeof range.kind)) {
			boot_info.image = range.address;
			boot_info.image_size = range.size;
			return true;
		}
	}
	return false;
}

/* Sets the image of boot_info to the first range of persistent memory, if there is one. */
void pmem_init(void) {
	u32 length, entry_size;
	u64 address = 0;
	if (!boot_info.rsdp || boot_info.rsdp > 4 * GIB - MIB) return;
	const u8 *rsdp = direct(boot_info.rsdp);
	entry_size = rsdp[15] >= 2 ? 8 : 4; /* revision: XSDT or RSDT */
	memcpy(&address, rsdp + (entry_size == 8 ? RSDP_XSDT : RSDP_RSDT), entry_size);
	const u8 *root = table_at(address, entry_size == 8 ? "XSDT" : "RSDT", &length);
	u32 count = root ? MIN((length - TABLE_HEADER) / entry_size, MAX_TABLES) : 0;
	for (u32 i = 0; i < count; i++) {
		u64 entry = 0;
		memcpy(&entry, root + TABLE_HEADER + i * entry_size, entry_size);
		u32 nfit_length;
		const u8 *nfit = table_at(entry, "NFIT", &nfit_length);
		if (nfit && find_range(nfit, nfit_length)) return;
	}
}
