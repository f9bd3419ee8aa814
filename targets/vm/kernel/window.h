/*
 * The device window: everything that a program gets from this kernel beyond a plain process.
 * It is seven special files. Drivers are programs; the kernel has none, bar its console.
 *
 *   /dev/window/info       Read: one line of JSON about the machine:
 *                          {"window":1,"rsdp":ADDRESS,"memory":BYTES,"free":BYTES,"tsc":HZ,"clock":"kvmclock"|"cpuid"|"pit",
 *                           "hypervisor":"KVMKVMKVM"|"TCGTCGTCGTCG"|"XenVMMXenVMM"|…|"","apic":ID,"seed":"rdrand"|"jitter",
 *                           "map":[[ADDRESS,BYTES,TYPE],…]}     TYPE as in E820: 1 RAM, 2 reserved, 3 ACPI, 4 NVS, …
 *
 *   /dev/window/memory     pread and pwrite at a physical address. 1, 2, 4 and 8 bytes, naturally aligned, are one
 *                          load or store; any other length is copied byte by byte. RAM that the firmware's map calls
 *                          usable answers EFAULT, except pages that were handed out through `dma`; so do the local
 *                          and I/O APICs, which are the kernel's.
 *
 *   /dev/window/port       pread and pwrite of 1, 2 or 4 bytes at an x86 I/O port.
 *
 *   /dev/window/dma        read(fd, buffer, n) puts physically contiguous, zeroed RAM behind the whole pages that lie
 *                          inside buffer[32 … n): the same addresses now are memory that a device can reach.
 *                          pread(fd, buffer, n, address), address not 0 and page-aligned, puts device registers there
 *                          instead, uncached: those at the physical address, which must not be usable RAM.
 *                          buffer[0 … 24) receives struct window_binding. ENOMEM when there is no such run of free
 *                          pages. The buffer must not be freed while it is bound, not even by a runtime that ends:
 *                          an allocator would use the pages. write(fd, buffer, n) puts ordinary memory there
 *                          instead, empty, and gives 0; RAM that was bound is not used again: a device may know it.
 *
 *   /dev/window/interrupt  One open file is one interrupt. write(struct window_interrupt_request) claims a vector and,
 *                          for a line of the I/O APIC, routes it; written again it re-arms a level-triggered line,
 *                          which is masked from its delivery until then. pread(…, 16 bytes, position 0) gives
 *                          struct window_interrupt_message for MSI and MSI-X tables. read(8 bytes) gives the u64 count
 *                          of interrupts since the last read, EAGAIN when none and the file is non-blocking. It polls
 *                          readable while the count is not 0; stat says FIFO, so that event loops take it for a pipe.
 *
 *                          On Xen a request may be for an event channel: see WINDOW_PORT_…. The data of its message is
 *                          the port; written again it signals the other end; closed, the port is free. It is masked
 *                          from its delivery until it is read. After a suspension it is of no use but to be closed.
 *
 *   /dev/window/power      write(struct window_power): how the machine is turned off or reset, once a driver found out.
 *
 *   /dev/window/xen        pread(fd, buffer, n, WINDOW_XEN_…) is one or several hypercalls; the buffer has the arguments
 *                          and gets the results. ENODEV elsewhere. The addresses that it tells are for `dma`'s pread,
 *                          and cached there. Outcomes of grants are Xen's GNTST_…: 0, or negative.
 *
 * Besides, /dev/urandom takes writes as entropy, and /proc/cmdline is the boot command line.
 */
#pragma once
#include "types.h"
/* clang-format off */

/* Of the first bound byte, from the buffer's start; its physical address; bytes bound. */
struct window_binding { u64 offset, physical, length; };

/* Line: a global system interrupt, or -1 for message-signalled. */
struct window_interrupt_request { i32 line; u32 flags; };
enum { WINDOW_INTERRUPT_LEVEL = 1, WINDOW_INTERRUPT_ACTIVE_LOW = 2 };
/*
 * In the flags: an event channel. Unbound: a new one, whose other end the domain may bind. Interdomain: bound to the
 * domain's port `line`. Virq: bound to the virtual interrupt `line`. Given: the port `line` that the toolstack made.
 */
enum { WINDOW_PORT_NONE, WINDOW_PORT_UNBOUND = 4, WINDOW_PORT_INTERDOMAIN = 8, WINDOW_PORT_VIRQ = 12, WINDOW_PORT_GIVEN = 16 };
#define WINDOW_PORT_KIND(flags)   ((flags) & 0x1c)
#define WINDOW_PORT_DOMAIN(flags) ((flags) >> 16)
struct window_interrupt_message { u64 address; u32 data, vector; };

/*
 * Action: 0 power off, 1 reset. Space: 0 I/O port, 1 memory; width: 1, 2 or 4 bytes. Space 2, on Xen: `value` is what the
 * toolstack hears when the program ends with status 0: 0 power off, 1 reboot. With another status it hears of a crash.
 */
struct window_power { u32 action, space, width, value; u64 address; };

/*
 * Information: struct window_xen. Map, unmap, copy: any number of struct window_grant; the result is the bytes of those
 * done. Suspend: nothing, or as soon as the domain goes on: 1 in another life, without anything that Xen kept for it, or
 * 0 in the old one. Channel: a port, u32, becomes what Xen says of it: 0 closed, 1 without another end, 2 bound to one.
 * Balloon: how many blocks of 2 MiB the domain is to do without, u32, becomes how many it does.
 */
enum { WINDOW_XEN_INFORMATION, WINDOW_XEN_MAP, WINDOW_XEN_UNMAP, WINDOW_XEN_COPY, WINDOW_XEN_SUSPEND, WINDOW_XEN_CHANNEL, WINDOW_XEN_BALLOON };
/*
 * Addresses, and pages: of the grant table, room for other domains' pages, the store's ring (0: none) and its port; the
 * number of this domain; where the table says what is in use, a page for eight of its own, when it has version 2 (0: 1).
 */
struct window_xen { u64 grants, grant_pages, foreign, foreign_pages, store; u32 store_port, domain; u64 grant_status; };
/*
 * Map and unmap: `address` in the room above. Copy, within a page at either end: from `reference` at `offset` to our own
 * address, memory that `dma` gave, or back with WINDOW_GRANT_OUT. Map tells the handle, unmap needs it.
 */
struct window_grant { u64 address; u32 reference, handle; u16 domain, flags, offset, length; i32 status, reserved; };
enum { WINDOW_GRANT_READ_ONLY = 1, WINDOW_GRANT_OUT = 2 };
