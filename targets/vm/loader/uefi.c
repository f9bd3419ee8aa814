/*
 * The loader for UEFI machines: an application on the FAT32 partition that it reads the files from. It keeps the
 * firmware's services only until all is in memory.
 */
#include "uefi.h"

static const struct efi_guid loaded_image_guid = {
	0x5b1b31a1, 0x9562, 0x11d2, { 0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b } };
static const struct efi_guid file_system_guid = {
	0x964e5b22, 0x6459, 0x11d2, { 0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b } };
static const struct efi_guid acpi_guid = {
	0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } };
static const struct efi_guid acpi_1_guid = {
	0xeb9d2d30, 0x2d88, 0x11d3, { 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } };

static struct efi_system_table *efi;
static char memory_map[64 * 1024] __attribute__((aligned(8)));

static void put_text(const char *text)
{
	while (*text) {
		u16 characters[2] = { (u8)*text++, 0 };
		efi->output->output_string(efi->output, characters);
	}
}

void fail(const char *what)
{
	put_text("[loader] ");
	put_text(what);
	put_text("\r\n");
	__asm__ volatile("outb %0, %1" : : "a"((u8)103), "d"((u16)0xf4));
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void *allocate(u32 type, u64 size)
{
	u64 address = 4 * GIB - 1;
	if (EFI_ERROR(efi->boot->allocate_pages(EFI_BELOW, type, ALIGN_UP(size, PAGE) / PAGE, &address)))
		fail("the machine has too little memory for the image");
	return (void *)address;
}

/* A whole file, in pages of its own; NULL when there is none of that name. */
static void *read_file(struct efi_file *root, const u16 *name, u64 *size)
{
	struct efi_file *file;
	u8 *to;
	u64 done = 0;
	if (EFI_ERROR(root->open(root, &file, name, EFI_FILE_READ, 0)))
		return NULL;
	if (EFI_ERROR(file->set_position(file, ~0ull)) || EFI_ERROR(file->get_position(file, size)) ||
	    EFI_ERROR(file->set_position(file, 0)))
		fail("the disk cannot be read");
	to = allocate(EFI_LOADER_DATA, *size + 1);
	while (done < *size) {
		u64 part = *size - done < 16 * MIB ? *size - done : 16 * MIB;
		if (EFI_ERROR(file->read(file, &part, to + done)) || !part)
			fail("the disk cannot be read");
		done += part;
	}
	return to;
}

static struct efi_file *open_disk(efi_handle self)
{
	struct efi_loaded_image *image;
	struct efi_file_system *system;
	struct efi_file *root;
	if (EFI_ERROR(efi->boot->handle_protocol(self, &loaded_image_guid, (void **)&image)) ||
	    EFI_ERROR(efi->boot->handle_protocol(image->device, &file_system_guid, (void **)&system)) ||
	    EFI_ERROR(system->open_volume(system, &root)))
		fail("the disk has no FAT32 partition");
	return root;
}

static u64 find_rsdp(void)
{
	u64 found = 0;
	for (u64 i = 0; i < efi->configuration_count; i++) {
		const struct efi_configuration *entry = &efi->configuration[i];
		if (!memcmp(&entry->guid, &acpi_guid, sizeof acpi_guid))
			return (u64)entry->table;
		if (!memcmp(&entry->guid, &acpi_1_guid, sizeof acpi_1_guid))
			found = (u64)entry->table;
	}
	return found;
}

static u32 memory_type(u32 type)
{
	switch (type) {
	case EFI_LOADER_CODE:
	case EFI_LOADER_DATA:
	case EFI_BOOT_SERVICES_CODE:
	case EFI_BOOT_SERVICES_DATA:
	case EFI_CONVENTIONAL:
		return MEMORY_RAM;
	case EFI_ACPI_RECLAIM:
		return MEMORY_ACPI;
	case EFI_ACPI_NVS:
		return MEMORY_NVS;
	default:
		return MEMORY_RESERVED;
	}
}

/* Ends the firmware's services and notes which memory is whose. From here on nobody can be told anything. */
static void leave_firmware(efi_handle self, struct handover *handover)
{
	u64 size, key, stride;
	u32 version;
	for (u32 tries = 0;; tries++) { /* asking for the map may change it */
		size = sizeof memory_map;
		if (EFI_ERROR(efi->boot->get_memory_map(&size, memory_map, &key, &stride, &version)))
			fail("the firmware gives no memory map");
		if (!EFI_ERROR(efi->boot->exit_boot_services(self, key)))
			break;
		if (tries == 8)
			fail("the firmware does not let go");
	}
	for (u64 at = 0; at + sizeof(struct efi_memory) <= size; at += stride) {
		const struct efi_memory *memory = (const void *)(memory_map + at);
		map_add(handover, memory->physical, memory->pages * PAGE, memory_type(memory->type));
	}
}

efi_status EFIAPI uefi_main(efi_handle self, struct efi_system_table *table)
{
	struct efi_file *root;
	struct handover *handover;
	struct kernel kernel;
	u64 image_size, kernel_size, text_size, place, rsdp;
	void *image, *file, *page;
	const char *text;
	efi = table;
	root = open_disk(self);
	image = read_file(root, u"image.bin", &image_size);
	if (!image)
		fail("there is no image.bin on the disk");
	file = read_file(root, u"kernel.elf", &kernel_size);
	if (!file)
		fail("there is no kernel.elf on the disk");
	kernel = kernel_check(file, kernel_size);
	handover = allocate(EFI_LOADER_DATA, sizeof *handover);
	memset(handover, 0, sizeof *handover);
	text = read_file(root, u"cmdline.txt", &text_size);
	if (text && text_size > MAX_COMMAND_TEXT)
		fail("cmdline.txt is too long");
	if (text)
		command_line_set(handover, text, (u32)text_size);
	place = ALIGN_DOWN(kernel.start, PAGE);
	if (EFI_ERROR(efi->boot->allocate_pages(EFI_AT, EFI_LOADER_DATA, ALIGN_UP(kernel.end - place, PAGE) / PAGE, &place)))
		fail("the firmware uses the memory from 1 MiB on, where the kernel runs");
	page = allocate(EFI_LOADER_CODE, PAGE);
	memcpy(page, trampoline, (size_t)(trampoline_end - trampoline));
	rsdp = find_rsdp();
	leave_firmware(self, handover);
	kernel_place(&kernel);
	handover_finish(handover, (u64)image, image_size, rsdp);
	((trampoline_function *)page)(&handover->start, kernel.entry, (u64)page);
	return 0;
}
