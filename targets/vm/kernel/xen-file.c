/*
 * The device window's file for Xen: the hypercalls that drivers need, and no others. Arguments are copied into the kernel
 * and built anew; an address is only passed on when it is in the room for other domains' pages, or memory for devices.
 */
#include "xen.h"
#include "window.h"

enum { BATCH = 32, DOMAIN_LEAF = 0x40000004 }; /* of CPUID: Xen's public/arch-x86/cpuid.h */

static i64 information(u64 to, size_t n) {
	struct window_xen xen = {.grants = xen_grants, .foreign = xen_foreign, .foreign_pages = XEN_FOREIGN_PAGES};
	xen.grant_pages = xen_grant_frames;
	xen.grant_status = xen_grant_status;
	xen.store = xen_parameter(PARAM_STORE_FRAME) * PAGE;
	xen.store_port = xen_parameter(PARAM_STORE_PORT);
	xen.domain = cpuid(DOMAIN_LEAF, 0).ecx;
	if (n < sizeof xen) return -EINVAL;
	return put_user(xen, to) < 0 ? -EFAULT : (i64)sizeof xen;
}

static bool is_foreign(u64 address) {
	return address % PAGE == 0 && address >= xen_foreign && address < xen_foreign + XEN_FOREIGN_PAGES * PAGE;
}

static bool is_copy(const struct window_grant *grant) {
	return grant->length <= PAGE - grant->address % PAGE && dma_owns(grant->address, MAX(grant->length, 1));
}

enum { GENERAL_ERROR = -1, BAD_ADDRESS = -5 }; /* of Xen's GNTST_… */

static void map_all(struct window_grant *grants, u32 count) {
	struct xen_map maps[BATCH];
	for (u32 i = 0; i < count; i++) {
		const struct window_grant *grant = &grants[i];
		u32 flags = GRANT_HOST_MAP | (grant->flags & WINDOW_GRANT_READ_ONLY ? GRANT_MAP_READ_ONLY : 0);
		maps[i] = (struct xen_map){grant->address, flags, grant->reference, grant->domain, GENERAL_ERROR, 0, 0};
	}
	hypercall(CALL_GRANT_TABLE, GRANT_MAP, maps, count);
	for (u32 i = 0; i < count; i++) {
		grants[i].status = maps[i].status;
		grants[i].handle = maps[i].handle;
	}
}

static void unmap_all(struct window_grant *grants, u32 count) {
	struct xen_unmap unmaps[BATCH];
	for (u32 i = 0; i < count; i++)
		unmaps[i] = (struct xen_unmap){grants[i].address, 0, grants[i].handle, GENERAL_ERROR};
	hypercall(CALL_GRANT_TABLE, GRANT_UNMAP, unmaps, count);
	for (u32 i = 0; i < count; i++) grants[i].status = unmaps[i].status;
}

static void copy_all(struct window_grant *grants, u32 count) {
	struct xen_copy copies[BATCH];
	for (u32 i = 0; i < count; i++) {
		const struct window_grant *grant = &grants[i];
		const struct xen_copy_end theirs = {grant->reference, grant->domain, grant->offset};
		const struct xen_copy_end ours = {grant->address / PAGE, DOMAIN_SELF, grant->address % PAGE};
		bool out = grant->flags & WINDOW_GRANT_OUT;
		copies[i] = (struct xen_copy){out ? ours : theirs, out ? theirs : ours, grant->length,
					      out ? COPY_TARGET_REFERENCE : COPY_SOURCE_REFERENCE, GENERAL_ERROR};
	}
	hypercall(CALL_GRANT_TABLE, GRANT_COPY, copies, count);
	for (u32 i = 0; i < count; i++) grants[i].status = copies[i].status;
}

/* Those with an address that is none of theirs fail alone: the others of the batch are done before and after it. */
static void do_all(u32 operation, struct window_grant *grants, u32 count) {
	for (u32 start = 0, end; start < count; start = end + 1) {
		for (end = start; end < count; end++)
			if (!(operation == WINDOW_XEN_COPY ? is_copy(&grants[end]) : is_foreign(grants[end].address)))
				break;
		if (end < count) grants[end].status = BAD_ADDRESS;
		if (end == start) continue;
		if (operation == WINDOW_XEN_MAP) map_all(grants + start, end - start);
		if (operation == WINDOW_XEN_UNMAP) unmap_all(grants + start, end - start);
		if (operation == WINDOW_XEN_COPY) copy_all(grants + start, end - start);
	}
}

static i64 grants_read(u32 operation, u64 user, size_t n) {
	struct window_grant grants[BATCH];
	u64 done = 0;
	while (done + sizeof *grants <= n) {
		u32 count = MIN((n - done) / sizeof *grants, BATCH);
		if (copy_from_user(grants, user + done, count * sizeof *grants) < 0) break;
		do_all(operation, grants, count);
		if (copy_to_user(user + done, grants, count * sizeof *grants) < 0) break;
		done += count * sizeof *grants;
		if (reschedule) schedule();
	}
	return done || !n ? (i64)done : n < sizeof *grants ? -EINVAL : -EFAULT;
}

/* One word in, one out. */
static i64 word_read(u64 user, size_t n, i64 operation) {
	u32 word;
	if (n < sizeof word) return -EINVAL;
	if (copy_from_user(&word, user, sizeof word) < 0) return -EFAULT;
	i64 answer = operation == WINDOW_XEN_BALLOON ? (i64)xen_balloon(word) : xen_event_status(word);
	if (answer < 0) return answer;
	word = answer;
	return put_user(word, user) < 0 ? -EFAULT : (i64)sizeof word;
}

static i64 xen_read(struct file *file, u64 to, size_t n, i64 operation) {
	if (!xen_guest) return -ENODEV;
	switch (operation) {
	case WINDOW_XEN_INFORMATION: return information(to, n);
	case WINDOW_XEN_MAP:
	case WINDOW_XEN_UNMAP:
	case WINDOW_XEN_COPY: return grants_read(operation, to, n);
	case WINDOW_XEN_SUSPEND: return xen_suspend();
	case WINDOW_XEN_CHANNEL:
	case WINDOW_XEN_BALLOON: return word_read(to, n, operation);
	}
	return -EINVAL;
}

const struct file_operations window_xen_operations = {.positioned = true, .mode = S_IFCHR | 0600, .read = xen_read};
