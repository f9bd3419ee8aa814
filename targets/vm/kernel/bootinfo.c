/*
 * What the loader handed over: PVH's hvm_start_info (version 1, Xen's public/arch-x86/hvm/start_info.h). The
 * structures may lie in RAM that the map calls free, so all is copied before the first page is allocated.
 */
#include "xen.h"

#define START_INFO_MAGIC 0x336ec578
#define BOOT_MAPPED      (4 * GIB) /* boot.S maps no more */

struct start_info {
	u32 magic, version, flags, module_count;
	u64 modules, command_line, rsdp, memory_map;
	u32 memory_map_entries, reserved;
};
/* clang-format off */
struct start_module { u64 address, size, command_line, reserved; };
/* clang-format on */

struct boot_info boot_info;
const volatile struct embedded_image embedded_image __attribute__((section(".embedded"))) = {"TSEMBED", 0, 0};

_Static_assert(sizeof(struct memory_range) == 24, "PVH");

static const void *loader_data(u64 address, u64 size, const char *what) {
	if (!address || address >= BOOT_MAPPED || size > BOOT_MAPPED - address)
		fail(EXIT_PANIC, "[kernel] boot: the %s at %lx is out of reach", what, address);
	return direct(address);
}

/* Keeps the map sorted by address. */
static void add_range(const struct memory_range *range) {
	struct memory_range *map = boot_info.map;
	if (!range->size || range->address + range->size < range->address) return;
	u32 i = boot_info.map_count++;
	for (; i > 0 && map[i - 1].address > range->address; i--) map[i] = map[i - 1];
	map[i] = *range;
}

void bootinfo_init(u64 address) {
	const struct start_info *info = loader_data(address, sizeof *info, "start information");
	if (info->magic != START_INFO_MAGIC || info->version < 1)
		fail(EXIT_PANIC, "[kernel] boot: no PVH start information (magic %x, version %u)", info->magic,
		     info->version);
	/* init-xenstore-domain of Xen 4.17 leaves the map to be asked for. */
	u32 count = info->memory_map_entries;
	const struct memory_range *map = count ? NULL : xen_memory_map(&count);
	if (!count || count > MAX_MEMORY_RANGES)
		fail(EXIT_PANIC, "[kernel] boot: a memory map of %u ranges, 1 to %u are supported", count,
		     MAX_MEMORY_RANGES);
	if (!map) map = loader_data(info->memory_map, count * sizeof *map, "memory map");
	for (u32 i = 0; i < count; i++) add_range(&map[i]);
	if (info->command_line) {
		const char *text = loader_data(info->command_line, sizeof boot_info.command_line, "command line");
		memcpy(boot_info.command_line, text, strnlen(text, sizeof boot_info.command_line - 1));
	}
	struct start_module image = {embedded_image.physical, embedded_image.size, 0, 0};
	if (info->module_count)
		image = *(const struct start_module *)loader_data(info->modules, sizeof image, "list of modules");
	boot_info.image = image.address;
	boot_info.image_size = image.size;
	if (boot_info.image_size) loader_data(boot_info.image, boot_info.image_size, "image");
	boot_info.rsdp = info->rsdp;
	if (!boot_info.image_size) pmem_init();
}

bool bootinfo_option(const char *key, char *value, size_t size) {
	size_t key_length = strlen(key), length = 0;
	char quote = 0, before = ' ';
	for (const char *at = boot_info.command_line; *at; before = *at++) {
		const char *after = at + key_length;
		if (before == ' ' && !quote && !strncmp(at, key, key_length) &&
		    (!*after || *after == ' ' || *after == '=')) {
			after += *after == '=';
			for (; *after && *after != ' ' && length + 1 < size; after++) value[length++] = *after;
			value[length] = 0;
			return true;
		}
		if (quote ? *at == quote : *at == '"' || *at == '\'') quote = quote ? 0 : *at;
	}
	return false;
}

/* Written so that no sum can overflow. */
static bool overlaps(u64 a, u64 a_size, u64 b, u64 b_size) { return a < b ? b - a < a_size : a - b < b_size && a_size; }

bool bootinfo_is_ram(u64 address, u64 length) {
	for (u32 i = 0; i < boot_info.map_count; i++) {
		const struct memory_range *range = &boot_info.map[i];
		if (range->type == MEMORY_RAM && overlaps(address, length, range->address, range->size)) return true;
	}
	return overlaps(address, length, boot_info.image, boot_info.image_size);
}
