/* The part of UEFI 2.10 that the loader calls. Tables have the members before the ones that are used, and no more. */
#pragma once
#include "loader.h"

#define EFIAPI __attribute__((ms_abi))
typedef u64 efi_status;
typedef void *efi_handle;
#define EFI_ERROR(status) ((status) >> 63)
#define EFI_BUFFER_TOO_SMALL (1ull << 63 | 5)

struct efi_guid {
	u32 a;
	u16 b, c;
	u8 d[8];
};

struct efi_text_output {
	void *reset;
	efi_status (EFIAPI *output_string)(struct efi_text_output *self, const u16 *text);
};

/* EFI_MEMORY_TYPE */
#define EFI_LOADER_CODE 1u
#define EFI_LOADER_DATA 2u
#define EFI_BOOT_SERVICES_CODE 3u
#define EFI_BOOT_SERVICES_DATA 4u
#define EFI_CONVENTIONAL 7u
#define EFI_ACPI_RECLAIM 9u
#define EFI_ACPI_NVS 10u
/* EFI_ALLOCATE_TYPE */
#define EFI_BELOW 1u
#define EFI_AT 2u

struct efi_memory {
	u32 type, padding;
	u64 physical, virtual, pages, attributes;
};

struct efi_boot_services {
	u8 header[24];
	void *task_priority[2];
	efi_status (EFIAPI *allocate_pages)(u32 how, u32 type, u64 pages, u64 *address);
	efi_status (EFIAPI *free_pages)(u64 address, u64 pages);
	efi_status (EFIAPI *get_memory_map)(u64 *size, void *map, u64 *key, u64 *stride, u32 *version);
	void *pools_events_protocols[11];
	efi_status (EFIAPI *handle_protocol)(efi_handle handle, const struct efi_guid *guid, void **interface);
	void *more_protocols[9];
	efi_status (EFIAPI *exit_boot_services)(efi_handle image, u64 key);
};

struct efi_configuration {
	struct efi_guid guid;
	void *table;
};

struct efi_system_table {
	u8 header[24];
	u16 *vendor;
	u32 revision;
	void *input_handle, *input, *output_handle;
	struct efi_text_output *output;
	void *error_handle, *error, *runtime_services;
	struct efi_boot_services *boot;
	u64 configuration_count;
	struct efi_configuration *configuration;
};

struct efi_loaded_image {
	u32 revision;
	efi_handle parent;
	struct efi_system_table *system;
	efi_handle device;
};

struct efi_file {
	u64 revision;
	efi_status (EFIAPI *open)(struct efi_file *self, struct efi_file **file, const u16 *name, u64 mode, u64 attributes);
	void *close, *delete;
	efi_status (EFIAPI *read)(struct efi_file *self, u64 *size, void *to);
	void *write;
	efi_status (EFIAPI *get_position)(struct efi_file *self, u64 *position);
	efi_status (EFIAPI *set_position)(struct efi_file *self, u64 position);
};
#define EFI_FILE_READ 1ull

struct efi_file_system {
	u64 revision;
	efi_status (EFIAPI *open_volume)(struct efi_file_system *self, struct efi_file **root);
};

/* uefi.S: [trampoline, trampoline_end) is copied to a page below 4 GiB and called there. */
extern u8 trampoline[], trampoline_end[];
typedef void trampoline_function(const struct start_info *start, u32 entry, u64 own_address)
	__attribute__((sysv_abi));
