/*
 * Xen's interface for guests, as far as this kernel uses it: numbers and structures after Xen's public headers
 * (xen.h, event_channel.h, grant_table.h, memory.h, sched.h, vcpu.h, hvm/params.h, io/console.h), and what the files
 * xen*.c offer each other.
 */
#pragma once
#include "kernel.h"
/* clang-format off */

enum {
	CALL_MEMORY = 12, CALL_VERSION = 17, CALL_GRANT_TABLE = 20, CALL_VCPU = 24, CALL_SCHED = 29, CALL_EVENT_CHANNEL = 32, CALL_HVM = 34,
};
enum { DOMAIN_SELF = 0x7ff0 };

enum { MEMORY_DECREASE = 1, MEMORY_POPULATE = 6, MEMORY_ADD_TO_PHYSMAP = 7, MEMORY_MAP = 9 };
enum { SPACE_SHARED_INFO = 0, SPACE_GRANT_TABLE = 1, GRANT_STATUS_PAGES = 1u << 31 /* of the table's indices */ };
struct xen_memory_map { u32 count; u64 ranges; };
struct xen_memory_range { u64 address, size; u32 type; } __attribute__((packed));
struct xen_reservation { u64 frames, extents; u32 order, flags; u16 domain; };
struct xen_add_to_physmap { u16 domain, size; u32 space; u64 index, frame; };

enum { HVM_SET_PARAM = 0, HVM_GET_PARAM = 1 };
enum { PARAM_CALLBACK = 0, PARAM_STORE_FRAME, PARAM_STORE_PORT, PARAM_CONSOLE_FRAME = 17, PARAM_CONSOLE_PORT };
#define CALLBACK_VECTOR (2UL << 56)
struct xen_hvm_param { u16 domain, padding; u32 index; u64 value; };

enum { SCHED_SHUTDOWN = 2, SCHED_POLL = 3 };
enum { XEN_POWEROFF, XEN_REBOOT, XEN_SUSPEND, XEN_CRASH }; /* what the toolstack hears */
struct xen_poll { const u32 *ports; u32 count; u64 timeout; }; /* system time, nanoseconds */

enum { VCPU_SET_SINGLESHOT_TIMER = 8, VIRQ_TIMER = 0 };
struct xen_singleshot { u64 time; u32 flags; };

enum { EVENT_BIND_INTERDOMAIN, EVENT_BIND_VIRQ, EVENT_CLOSE = 3, EVENT_SEND, EVENT_STATUS, EVENT_ALLOC_UNBOUND = 6, EVENT_UNMASK = 9 };
struct xen_interdomain { u16 remote; u32 remote_port, port; };
struct xen_unbound { u16 self, remote; u32 port; };
struct xen_virq { u32 virq, vcpu, port; };
struct xen_channel { u16 domain; u32 port, status, vcpu, more[2]; };

enum { GRANT_MAP = 0, GRANT_UNMAP = 1, GRANT_COPY = 5, GRANT_SET_VERSION = 8 };
enum { GRANT_HOST_MAP = 2, GRANT_MAP_READ_ONLY = 4, COPY_SOURCE_REFERENCE = 1, COPY_TARGET_REFERENCE = 2 };
struct xen_map { u64 address; u32 flags, reference; u16 domain; i16 status; u32 handle; u64 bus_address; };
struct xen_unmap { u64 address, bus_address; u32 handle; i16 status; };
struct xen_copy {
	struct xen_copy_end { u64 page; u16 domain, offset; } source, target; /* page: a reference, or our frame */
	u16 length, flags;
	i16 status;
};

/* The time, as KVM gives it too: see clock.c. */
enum { XEN_PORT_WORDS = 64 };
struct xen_shared {
	struct {
		u8 pending, mask;
		u64 pending_words, unused[2];
		struct clock_rate time;
	} vcpu[32];
	u64 pending[XEN_PORT_WORDS], mask[XEN_PORT_WORDS]; /* a bit a port */
	u32 wall_version, wall_seconds, wall_nanoseconds, wall_seconds_high;
};
_Static_assert(__builtin_offsetof(struct xen_shared, pending) == 2048, "Xen's public/xen.h");

extern u8 hypercall_page[];
static inline i64 hypercall(u32 call, u64 operation, const void *argument, u64 count) {
	i64 result;
	asm volatile("call *%%rax"
		     : "=a"(result), "+D"(operation), "+S"(argument), "+d"(count)
		     : "0"(hypercall_page + call * 32)
		     : "rcx", "r8", "r9", "r10", "r11", "memory");
	return result;
}

/*
 * What all files may ask for when xen_guest is true. xen_init() finds out whether it is; from then on there is a
 * console. Start: when all page tables are there. The interrupt is for all event channels; the timer is as the APIC's.
 */
void xen_init(void), xen_start(void), xen_interrupt(void), xen_timer(u64 nanoseconds);
/* The map that the domain's builder gave to Xen, and how many ranges it has. NULL: there is none. */
const struct memory_range *xen_memory_map(u32 *count);
u64 xen_exit_cost(void); /* of a call of Xen's and what it leaves cold, in nanoseconds */
u64 xen_epoch(void);     /* clock_time() 0 in nanoseconds since 1970 */
void xen_console_put(char c), xen_console_signal(void), xen_console_flush(void);
bool xen_console_get(char *c);
/* Configure: what the toolstack hears when the program ends well. */
void xen_reset(void), xen_power_off(int code);
i64 xen_power_configure(const struct window_power *how);
/*
 * xen-port.c. Makes a file of the window's for interrupts one for the event channel that it asks for. Event: a port has
 * one. Forget: there are no channels any more.
 */
struct window_interrupt_request;
i64 xen_port_claim(struct file *file, const struct window_interrupt_request *request);
void xen_port_event(u32 number), xen_ports_forget(void);

/*
 * xen.c. Guest-physical addresses beside RAM where Xen puts its pages: the shared information, which is the kernel's, the
 * grant table, which of its entries are in use (version 2), and what other domains gave.
 */
enum { XEN_GRANT_FRAMES = 32, XEN_FRAMES_A_STATUS = 8, XEN_STATUS_FRAMES = XEN_GRANT_FRAMES / XEN_FRAMES_A_STATUS };
enum { XEN_FOREIGN_PAGES = 16 * 1024, XEN_PORTS = 1024 };
extern volatile struct xen_shared *xen_shared;
extern u64 xen_base, xen_grants, xen_grant_frames, xen_foreign; /* addresses, and how many frames there are */
extern u64 xen_grant_status;                                     /* 0: the table has version 1 */
u64 xen_parameter(u32 index);
/* Ends this life of the domain. True: it goes on in another, where nothing is left of what Xen kept for it. */
bool xen_suspend(void);

/* xen-events.c. Starts the upcall and the timer; forgets all channels. Clears: the pending bit, and tells what it was. */
void xen_events_start(void), xen_mask(u32 port, bool masked);
bool xen_event_clear(u32 port);
/* A port below XEN_PORTS, or a negative errno. Kinds as in window.h. */
i64 xen_event_open(u32 kind, u16 domain, u32 number);
void xen_event_close(u32 kind, u32 port), xen_event_send(u32 port);
/* Xen's EVTCHNSTAT_…, or a negative errno. */
i64 xen_event_status(u32 port);

/* xen-balloon.c. Gives memory back to Xen, or has it again, until as many blocks are away; tells how many are. */
u32 xen_balloon(u32 blocks);

/* xen-console.c. The ring may be on another page, with another port, after a suspension. */
void xen_console_attach(void);
extern u32 xen_console_port;
