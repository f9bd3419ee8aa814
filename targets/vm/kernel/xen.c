/*
 * A guest of Xen's, of the type PVH: entered as everywhere else, on a machine without a PC's devices. What there is
 * instead are hypercalls, a page that Xen and the kernel share, and signals between domains; here is how they begin,
 * begin again after a suspension, and how the machine ends. The rest of Xen is the program's, through the window.
 */
#include "xen.h"
#include "window.h"

enum { CPUID_BASE = 0x40000000, PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc };
enum { GAP_ALIGNMENT = 2 * MIB, MEMORY_RANGES = 16 };

bool xen_guest;
volatile struct xen_shared *xen_shared;
u64 xen_base, xen_grants, xen_grant_frames, xen_foreign, xen_grant_status;
static u32 end_reason = XEN_POWEROFF;

u64 xen_parameter(u32 index) {
	struct xen_hvm_param parameter = {.domain = DOMAIN_SELF, .index = index};
	return hypercall(CALL_HVM, HVM_GET_PARAM, &parameter, 0) ? 0 : parameter.value;
}

/* Xen writes the instructions of a hypercall into the page, past the kernel's own write protection. */
static void fill_hypercall_page(void) { write_msr(cpuid(CPUID_BASE + 2, 0).ebx, (u64)hypercall_page - KERNEL_BASE); }

/* A domain of the type HVM has Xen's signature too, but a PC's devices, and is driven by them. */
void xen_init(void) {
	struct cpuid who = cpuid(CPUID_BASE, 0);
	if (!(cpuid(1, 0).ecx >> 31) || memcmp(&who.ebx, "XenVMMXenVMM", 12) != 0) return;
	out32(PCI_ADDRESS, 1UL << 31);
	if (in32(PCI_DATA) != ~0u) return;
	xen_guest = true;
	fill_hypercall_page();
	xen_console_attach();
}

const struct memory_range *xen_memory_map(u32 *count) {
	static struct memory_range map[MEMORY_RANGES];
	struct xen_memory_range ranges[MEMORY_RANGES];
	struct xen_memory_map known = {MEMORY_RANGES, (u64)ranges};
	if (!xen_guest || hypercall(CALL_MEMORY, MEMORY_MAP, &known, 0)) return NULL;
	for (u32 i = 0; i < known.count; i++)
		map[i] = (struct memory_range){
			.address = ranges[i].address, .size = ranges[i].size, .type = ranges[i].type};
	*count = known.count;
	return map;
}

static bool add_page(u32 space, u64 index, u64 address) {
	struct xen_add_to_physmap add = {
		.domain = DOMAIN_SELF, .space = space, .index = index, .frame = address / PAGE};
	return !hypercall(CALL_MEMORY, MEMORY_ADD_TO_PHYSMAP, &add, 0);
}

/* Version 1 is in any Xen; with kernel.grants=2 the other, whose entries have room for frames beyond 16 TiB. */
static void attach_grants(void) {
	char wanted[3];
	const u32 second = 2;
	bool is_second = bootinfo_option("kernel.grants", wanted, sizeof wanted) && strcmp(wanted, "1") != 0;
	if (is_second && (strcmp(wanted, "2") != 0 || hypercall(CALL_GRANT_TABLE, GRANT_SET_VERSION, &second, 1))) {
		print("[kernel] Xen gives no grant table of version %s: it has version 1\n", wanted);
		is_second = false;
	}
	for (xen_grant_frames = 0; xen_grant_frames < XEN_GRANT_FRAMES; xen_grant_frames++)
		if (!add_page(SPACE_GRANT_TABLE, xen_grant_frames, xen_grants + xen_grant_frames * PAGE)) break;
	u64 status = xen_grants + XEN_GRANT_FRAMES * PAGE;
	for (u64 i = 0; is_second && i * XEN_FRAMES_A_STATUS < xen_grant_frames; i++)
		if (!add_page(SPACE_GRANT_TABLE, GRANT_STATUS_PAGES | i, status + i * PAGE))
			fail(EXIT_PANIC, "[kernel] boot: Xen does not tell which grants are in use");
	xen_grant_status = is_second ? status : 0;
}

/* What Xen keeps for a domain: put where the kernel and the program look for it, in each of its lives. */
static void attach(void) {
	const struct xen_hvm_param callback = {DOMAIN_SELF, 0, PARAM_CALLBACK, CALLBACK_VECTOR | VECTOR_XEN};
	if (!add_page(SPACE_SHARED_INFO, 0, xen_base) || hypercall(CALL_HVM, HVM_SET_PARAM, &callback, 0))
		fail(EXIT_PANIC, "[kernel] boot: Xen shares no information at %lx", xen_base);
	attach_grants();
	xen_console_attach();
	xen_events_start();
}

/* Beside RAM but not far above it: the toolstack saves a domain by walking all addresses up to the highest. */
static u64 find_gap(u64 size) {
	u64 at = 0;
	for (u32 i = 0; i < boot_info.map_count; i++) {
		const struct memory_range *range = &boot_info.map[i];
		if (range->address >= at + size && at) break;
		at = ALIGN_UP(range->address + range->size, GAP_ALIGNMENT);
	}
	return at;
}

void xen_start(void) {
	if (!xen_guest) return;
	u64 pages = 1 + XEN_GRANT_FRAMES + XEN_STATUS_FRAMES + XEN_FOREIGN_PAGES;
	xen_base = find_gap(pages * PAGE);
	xen_grants = xen_base + PAGE;
	xen_foreign = xen_grants + (XEN_GRANT_FRAMES + XEN_STATUS_FRAMES) * PAGE;
	xen_shared = device_map(xen_base, PAGE);
	if (!xen_shared) fail(EXIT_OUT_OF_MEMORY, "[kernel] out of memory for Xen's shared information");
	attach();
}

/* Twice what the calls alone take. The least of several, since others may have the processor in the middle of one. */
u64 xen_exit_cost(void) {
	u64 least = FOREVER;
	for (u32 i = 0; i < 16; i++) {
		u64 start = clock_time();
		hypercall(CALL_VERSION, 0, NULL, 0);
		least = MIN(least, clock_time() - start);
	}
	return 2 * least;
}

u64 xen_epoch(void) {
	const volatile struct xen_shared *at = xen_shared;
	u32 version;
	u64 date;
	do {
		version = at->wall_version & ~1u; /* odd while Xen writes */
		load_fence();
		date = ((u64)at->wall_seconds_high << 32 | at->wall_seconds) * NANOSECONDS + at->wall_nanoseconds;
		load_fence();
	} while (at->wall_version != version);
	return date;
}

static i64 shut_down(u32 reason) { return hypercall(CALL_SCHED, SCHED_SHUTDOWN, &reason, 0); }

void xen_reset(void) { shut_down(XEN_REBOOT); }

void xen_power_off(int code) { shut_down(code ? XEN_CRASH : end_reason); }

i64 xen_power_configure(const struct window_power *how) {
	if (how->action != 0 || how->value > XEN_REBOOT) return -EINVAL;
	end_reason = how->value;
	return 0;
}

bool xen_suspend(void) {
	u64 time = now();
	if (shut_down(XEN_SUSPEND)) return false;
	fill_hypercall_page();
	xen_ports_forget();
	attach();
	clock_resume(time);
	time = wall_clock(); /* what was saved once may be restored twice */
	random_add(&time, sizeof time);
	timer_tick();
	return true;
}
