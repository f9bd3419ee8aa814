/* The console of a Xen domain: a ring of bytes each way on a page that a daemon in dom0 shares (io/console.h). */
#include "xen.h"

enum { INPUT_BYTES = 1024, OUTPUT_BYTES = 2048, EARLY_PORT = 0xe9 };
/* A full ring is waited for so often, each time so long. A daemon that takes nothing then costs no more time. */
enum { TRIES = 500, WAIT = 10000000 };

static volatile struct {
	char input[INPUT_BYTES], output[OUTPUT_BYTES];
	u32 input_taken, input_given, output_taken, output_given;
} * ring;
u32 xen_console_port;
static bool stalled;

void xen_console_attach(void) {
	u64 address = xen_parameter(PARAM_CONSOLE_FRAME) * PAGE;
	xen_console_port = xen_parameter(PARAM_CONSOLE_PORT);
	/* At first all addresses below 4 GiB are mapped, and device_map() has no memory for tables. */
	ring = !address ? NULL : xen_shared ? device_map(address, PAGE) : direct(address);
	stalled = false;
}

static bool wait_for_room(u32 bytes) {
	for (u32 tries = stalled ? 1 : TRIES; tries; tries--) {
		bool signalled = xen_event_clear(xen_console_port);
		stalled = ring->output_given - ring->output_taken > OUTPUT_BYTES - bytes;
		if (!stalled) return true;
		if (signalled) console_interrupt(); /* it may have been about input */
		const struct xen_poll poll = {&xen_console_port, 1, clock_time() + WAIT};
		xen_event_send(xen_console_port);
		hypercall(CALL_SCHED, SCHED_POLL, &poll, 0);
	}
	return false;
}

void xen_console_put(char c) {
	if (!ring) return out8(EARLY_PORT, (u8)c); /* Xen's own console, where it was asked to show guests */
	if (!wait_for_room(1)) return;
	ring->output[ring->output_given % OUTPUT_BYTES] = c;
	ring->output_given++;
}

bool xen_console_get(char *c) {
	if (!ring || ring->input_given == ring->input_taken) return false;
	*c = ring->input[ring->input_taken % INPUT_BYTES];
	ring->input_taken++;
	return true;
}

void xen_console_signal(void) {
	if (ring) xen_event_send(xen_console_port);
}

void xen_console_flush(void) {
	if (ring) wait_for_room(OUTPUT_BYTES);
}
