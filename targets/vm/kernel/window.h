/*
 * The device window: everything that a program gets from this kernel beyond a plain process.
 * It is six special files. Drivers are programs; the kernel has none, bar its console.
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
 *   /dev/window/power      write(struct window_power): how the machine is turned off or reset, once a driver found out.
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
struct window_interrupt_message { u64 address; u32 data, vector; };

/* Action: 0 power off, 1 reset. Space: 0 I/O port, 1 memory. Width: 1, 2 or 4 bytes. */
struct window_power { u32 action, space, width, value; u64 address; };
