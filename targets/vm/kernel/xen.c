/*
 * A guest of Xen's, of the type PVH: entered as everywhere else, on a machine without a PC's devices. What there is
 * instead are hypercalls, a page that Xen and the kernel share, and signals between domains; here is how they begin,
 * begin again after a suspension, and how the machine ends. The rest of Xen is the program's, through the window.
 */
#include "xen.h"

enum { CPUID_BASE = 0x40000000, PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc };
enum { GAP_ALIGNMENT = 2 * MIB, GAP_END = 0xfe000000 };

bool xen_guest;
volatile struct xen_shared *xen_shared;
u64 xen_base, xen_grants, xen_grant_frames, xen_foreign;
u32 xen_end_reason;

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

u32 xen_memory_map(struct memory_range map[XEN_MEMORY_RANGES]) {
	struct xen_memory_range ranges[XEN_MEMORY_RANGES];
	struct xen_memory_map known = {XEN_MEMORY_RANGES, (u64)ranges};
	if (!xen_guest || hypercall(CALL_MEMORY, MEMORY_MAP, &known, 0)) return 0;
	for (u32 i = 0; i < known.count; i++)
		map[i] = (struct memory_range){
			.address = ranges[i].address, .size = ranges[i].size, .type = ranges[i].type};
	return known.count;
}

static bool add_page(u32 space, u64 index, u64 address) {
	struct xen_add_to_physmap add = {
		.domain = DOMAIN_SELF, .space = space, .index = index, .frame = address / PAGE};
	return !hypercall(CALL_MEMORY, MEMORY_ADD_TO_PHYSMAP, &add, 0);
}

/* What Xen keeps for a domain: put where the kernel and the program look for it, in each of its lives. */
static void attach(void) {
	const struct xen_hvm_param callback = {DOMAIN_SELF, 0, PARAM_CALLBACK, CALLBACK_VECTOR | VECTOR_XEN};
	if (!add_page(SPACE_SHARED_INFO, 0, xen_base) || hypercall(CALL_HVM, HVM_SET_PARAM, &callback, 0))
		fail(EXIT_PANIC, "[kernel] boot: Xen shares no information at %lx", xen_base);
	for (xen_grant_frames = 0; xen_grant_frames < XEN_GRANT_FRAMES; xen_grant_frames++)
		if (!add_page(SPACE_GRANT_TABLE, xen_grant_frames, xen_grants + xen_grant_frames * PAGE)) break;
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
	u64 pages = 1 + XEN_GRANT_FRAMES + XEN_FOREIGN_PAGES;
	xen_base = find_gap(pages * PAGE);
	xen_grants = xen_base + PAGE;
	xen_foreign = xen_grants + XEN_GRANT_FRAMES * PAGE;
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

void xen_shutdown(u32 reason) { hypercall(CALL_SCHED, SCHED_SHUTDOWN, &reason, 0); }

bool xen_suspend(void) {
	const u32 reason = XEN_SUSPEND;
	u64 time = now();
	if (hypercall(CALL_SCHED, SCHED_SHUTDOWN, &reason, 0)) return false;
	fill_hypercall_page();
	window_forget_ports();
	attach();
	clock_resume(time);
	time = wall_clock(); /* what was saved once may be restored twice */
	random_add(&time, sizeof time);
	timer_tick();
	return true;
}
