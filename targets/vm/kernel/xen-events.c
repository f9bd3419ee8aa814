/*
 * Event channels: signals between domains, and the timer. Xen sets a bit for the port in a page, and interrupts; two
 * levels of bits say where to look (Xen's public/xen.h, "2-level").
 *
 * A port is masked from its delivery until the program has heard of it: whatever the other end does, it costs no more
 * than one interrupt each time.
 */
#include "xen.h"
#include "window.h"

static u32 timer_port;

static bool bit_set(volatile u64 *words, u32 bit) {
	return __atomic_fetch_or(&words[bit / 64], 1UL << bit % 64, __ATOMIC_SEQ_CST) >> bit % 64 & 1;
}
static bool bit_clear(volatile u64 *words, u32 bit) {
	return __atomic_fetch_and(&words[bit / 64], ~(1UL << bit % 64), __ATOMIC_SEQ_CST) >> bit % 64 & 1;
}

static i64 event_call(u32 operation, const void *argument) {
	return hypercall(CALL_EVENT_CHANNEL, operation, argument, 0);
}

bool xen_event_clear(u32 port) { return xen_shared && port < XEN_PORTS && bit_clear(xen_shared->pending, port); }

i64 xen_event_status(u32 port) {
	struct xen_channel channel = {DOMAIN_SELF, port, 0, 0, {0}};
	i64 error = event_call(EVENT_STATUS, &channel);
	return error ? error : channel.status;
}

void xen_event_send(u32 port) { event_call(EVENT_SEND, &port); }

void xen_mask(u32 port, bool masked) {
	if (masked)
		bit_set(xen_shared->mask, port);
	else if (bit_clear(xen_shared->mask, port) && xen_shared->pending[port / 64] >> port % 64 & 1 &&
		 !bit_set(xen_shared->mask, port)) /* Xen looks at what it unmasks itself alone */
		event_call(EVENT_UNMASK, &port);   /* it has not told, and does now */
}

static void deliver(u32 port) {
	if (port == timer_port)
		timer_tick();
	else if (port == xen_console_port)
		console_interrupt();
	else
		xen_port_event(port);
}

void xen_interrupt(void) {
	xen_shared->vcpu[0].pending = 0;
	u64 words = __atomic_exchange_n(&xen_shared->vcpu[0].pending_words, 0, __ATOMIC_SEQ_CST);
	for (u32 word = 0; words >> word && word < XEN_PORTS / 64; word++) {
		u64 bits = words >> word & 1 ? xen_shared->pending[word] & ~xen_shared->mask[word] : 0;
		for (u32 bit = 0; bit < 64; bit++)
			if (bits >> bit & 1 && xen_event_clear(word * 64 + bit)) deliver(word * 64 + bit);
	}
}

/* Nothing is heard of a port before somebody opens it. */
void xen_events_start(void) {
	struct xen_virq timer = {.virq = VIRQ_TIMER};
	for (u32 word = 0; word < XEN_PORT_WORDS; word++) xen_shared->mask[word] = ~0UL;
	if (event_call(EVENT_BIND_VIRQ, &timer) || timer.port >= XEN_PORTS)
		fail(EXIT_PANIC, "[kernel] boot: Xen has no timer for us");
	timer_port = timer.port;
	xen_mask(timer_port, false);
	xen_mask(xen_console_port, false);
}

void xen_timer(u64 nanoseconds) {
	const struct xen_singleshot shot = {.time = clock_time() + nanoseconds};
	hypercall(CALL_VCPU, VCPU_SET_SINGLESHOT_TIMER, NULL, (u64)&shot); /* of processor 0 */
}

static i64 open_port(u32 kind, u16 domain, u32 number) {
	struct xen_unbound unbound = {DOMAIN_SELF, domain, 0};
	struct xen_interdomain interdomain = {domain, number, 0};
	struct xen_virq virq = {number, 0, 0};
	i64 error;
	switch (kind) {
	case WINDOW_PORT_UNBOUND: return (error = event_call(EVENT_ALLOC_UNBOUND, &unbound)) ? error : unbound.port;
	case WINDOW_PORT_INTERDOMAIN:
		return (error = event_call(EVENT_BIND_INTERDOMAIN, &interdomain)) ? error : interdomain.port;
	case WINDOW_PORT_VIRQ: return (error = event_call(EVENT_BIND_VIRQ, &virq)) ? error : virq.port;
	}
	return number && number != timer_port && number != xen_console_port ? (i64)number : -EINVAL;
}

i64 xen_event_open(u32 kind, u16 domain, u32 number) {
	if (!xen_guest) return -ENODEV;
	i64 port = open_port(kind, domain, number);
	if (port < XEN_PORTS) return port;
	xen_event_close(kind, port);
	return -ENOSPC;
}

/* One that the toolstack made stays: there is no other. */
void xen_event_close(u32 kind, u32 port) {
	if (port < XEN_PORTS) xen_mask(port, true);
	if (kind != WINDOW_PORT_GIVEN) event_call(EVENT_CLOSE, &port);
}
