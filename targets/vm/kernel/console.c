/*
 * The console: a 16550 at COM1, or Xen's. Output is polled, a FIFO's worth at a time. Input comes by interrupt into a queue.
 * A machine may have no such device, or a far end that has stopped reading: neither may hold the kernel up.
 */
#include "xen.h"

enum { DATA, INTERRUPT_ENABLE, FIFO_CONTROL, LINE_CONTROL, MODEM_CONTROL, LINE_STATUS, SCRATCH = 7 };
enum { RECEIVED_DATA = 0x01, TRANSMIT_EMPTY = 0x20, SHIFTED_OUT = 0x40 };
/* The line is the I/O APIC's. Patience: so many polls, each of which takes a microsecond or more. */
enum { COM1 = 0x3f8, COM1_LINE = 4, FIFO_BYTES = 16, QUEUE_BYTES = 4096, PATIENCE = 2000000 };

bool console_line_open; /* the last byte written was no newline */
static bool present, stalled;
static u32 room; /* in the device's FIFO, as far as is known */
static char queue[QUEUE_BYTES];
static u32 queue_head, queue_tail; /* count up without end; the difference is the fill */

static void set(u16 port, u8 value) { out8(COM1 + port, value); }

void console_init(void) {
	if (xen_guest) return;
	set(SCRATCH, 0x5a);
	present = in8(COM1 + SCRATCH) == 0x5a && in8(COM1 + LINE_STATUS) != 0xff;
	if (!present) return;
	set(INTERRUPT_ENABLE, 0);
	set(LINE_CONTROL, 0x80); /* the divisor's turn: 115,200 baud */
	set(DATA, 1);
	set(INTERRUPT_ENABLE, 0);
	set(LINE_CONTROL, 0x03);  /* 8 bits, no parity, 1 stop */
	set(FIFO_CONTROL, 0x07);  /* on, emptied, an interrupt for each byte */
	set(MODEM_CONTROL, 0x0b); /* DTR, RTS, and OUT2, which lets interrupts through */
}

void console_start(void) {
	if (!present || !ioapic_route(COM1_LINE, VECTOR_CONSOLE, false, false, false)) return;
	set(INTERRUPT_ENABLE, RECEIVED_DATA);
	console_interrupt();
}

/* After a wait in vain each call asks once: what cannot be written is dropped until the far end reads again. */
static bool wait_for(u8 status) {
	u32 polls = stalled ? 1 : PATIENCE;
	while (polls && !(in8(COM1 + LINE_STATUS) & status)) polls--;
	stalled = !polls;
	return polls;
}

static void put(char c) {
	if (xen_guest) return xen_console_put(c);
	if (!room && wait_for(TRANSMIT_EMPTY)) room = FIFO_BYTES;
	if (!room) return;
	room--;
	set(DATA, (u8)c);
}

void console_write(const char *bytes, size_t n) {
	if (!present && !xen_guest) return;
	if (n) console_line_open = bytes[n - 1] != '\n';
	room = 0; /* time has passed, but how much is unknown */
	for (; n; n--, bytes++) {
		if (*bytes == '\n') put('\r');
		put(*bytes);
	}
	if (xen_guest) xen_console_signal();
}

void console_flush(void) {
	if (present) wait_for(SHIFTED_OUT);
	if (xen_guest) xen_console_flush();
}

static bool receive(char *byte) {
	if (xen_guest) return xen_console_get(byte);
	bool there = in8(COM1 + LINE_STATUS) & RECEIVED_DATA;
	if (there) *byte = (char)in8(COM1 + DATA);
	return there;
}

void console_interrupt(void) {
	bool received = false;
	char byte;
	/* Bounded: a device that always has a byte must not hold the processor. */
	for (u32 i = 0; i < QUEUE_BYTES && receive(&byte); i++) {
		if (queue_head - queue_tail < QUEUE_BYTES) queue[queue_head++ % QUEUE_BYTES] = byte;
		received = true;
	}
	if (received) console_input_event();
}

bool console_readable(void) { return queue_head != queue_tail; }

size_t console_read(char *to, size_t n) {
	size_t count = 0;
	while (count < n && console_readable()) to[count++] = queue[queue_tail++ % QUEUE_BYTES];
	return count;
}
