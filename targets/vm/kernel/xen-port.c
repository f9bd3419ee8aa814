/*
 * Event channels as files: what a file of /dev/window/interrupt is once it asked for one. It counts what the other end
 * signals, and signals it when the request is written again. After a suspension the channel is gone, not the file.
 */
#include "xen.h"
#include "window.h"

struct port {
	u64 count; /* since the last read */
	struct window_interrupt_request request;
	u32 number; /* 0: gone */
};
static struct file *owners[XEN_PORTS]; /* by number */

void xen_port_event(u32 number) {
	struct file *file = owners[number];
	if (!file) return;
	struct port *port = file->state;
	xen_mask(number, true);
	if (port->count++ == 0) file_event(file);
}

void xen_ports_forget(void) {
	for (u32 number = 0; number < XEN_PORTS; number++) {
		if (owners[number]) ((struct port *)owners[number]->state)->number = 0;
		owners[number] = NULL;
	}
}

static i64 port_write(struct file *file, u64 from, size_t n, i64 at) {
	const struct port *port = file->state;
	struct window_interrupt_request request;
	if (n < sizeof request) return -EINVAL;
	if (get_user(request, from) < 0) return -EFAULT;
	if (memcmp(&request, &port->request, sizeof request) != 0) return -EINVAL;
	if (port->number) xen_event_send(port->number);
	return sizeof request;
}

static i64 port_read(struct file *file, u64 to, size_t n, i64 at) {
	struct port *port = file->state;
	const struct window_interrupt_message message = {.data = port->number, .vector = port->number};
	if (at > 0 || n < (at == 0 ? sizeof message : sizeof port->count)) return -EINVAL;
	if (at == 0) return put_user(message, to) < 0 ? -EFAULT : (i64)sizeof message;
	i64 result = 0;
	while (!result && !port->count) result = file_wait(file);
	if (result < 0) return result;
	if (put_user(port->count, to) < 0) return -EFAULT;
	port->count = 0;
	if (port->number) xen_mask(port->number, false);
	return sizeof port->count;
}

static u32 port_poll(struct file *file) { return ((const struct port *)file->state)->count ? EPOLLIN : 0; }

static void port_close(struct file *file) {
	struct port *port = file->state;
	if (port->number) {
		owners[port->number] = NULL;
		xen_event_close(WINDOW_PORT_KIND(port->request.flags), port->number);
	}
	kfree(port, sizeof *port);
}

static const struct file_operations port_operations = {.read = port_read,
						       .write = port_write,
						       .poll = port_poll,
						       .close = port_close,
						       .positioned = true,
						       .mode = S_IFIFO | 0600};

/* A port that the toolstack gave has one owner, as any. */
i64 xen_port_claim(struct file *file, const struct window_interrupt_request *request) {
	u32 kind = WINDOW_PORT_KIND(request->flags);
	if (kind > WINDOW_PORT_GIVEN || (request->flags & 0xffff) != kind || request->line < 0) return -EINVAL;
	struct port *port = kmalloc(sizeof *port);
	if (!port) return -ENOMEM;
	i64 number = xen_event_open(kind, WINDOW_PORT_DOMAIN(request->flags), request->line);
	if (number >= 0 && owners[number]) number = -EBUSY;
	if (number < 0) {
		kfree(port, sizeof *port);
		return number;
	}
	*port = (struct port){.request = *request, .number = number};
	file->operations = &port_operations;
	file->state = port;
	owners[number] = file;
	xen_mask(number, false);
	return 0;
}
