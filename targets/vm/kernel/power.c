/*
 * Turning the machine off. Ways in order: the exit port of QEMU's isa-debug-exit, which carries the status; what a
 * driver found in the ACPI tables and registered through the device window; ports of common virtual machines; a reset,
 * which small machine monitors (Firecracker) take for the end.
 */
#include "xen.h"
#include "window.h"

enum { DEBUG_EXIT_PORT = 0xf4, KEYBOARD_CONTROLLER = 0x64, KEYBOARD_RESET = 0xfe, RESET_CONTROL = 0xcf9 };

static struct registered {
	struct window_power how; /* width 0: there is none */
	volatile void *mapped;   /* of a register in memory */
} registered[2];                 /* off, reset */
static bool ending;

i64 power_configure(const struct window_power *how) {
	if (how->space == 2 && xen_guest) return xen_power_configure(how);
	bool port = how->space == 0;
	if (how->action >= LENGTH(registered) || how->space > 1) return -EINVAL;
	if (how->width != 1 && how->width != 2 && how->width != 4) return -EINVAL;
	if (port ? how->address > 0x10000 - how->width
		 : how->address % how->width || bootinfo_is_ram(how->address, how->width))
		return -EINVAL;
	struct registered new = {*how, port ? NULL : device_map(how->address, how->width)};
	if (!port && !new.mapped) return -ENOMEM;
	registered[how->action] = new;
	return 0;
}

/* Some machines take a moment; a reset in it would start them again. Tens of milliseconds, by slow port reads. */
static void wait_for_effect(void) {
	for (u32 i = 0; i < 20000; i++) in8(0x80);
}

static void write_registered(const struct registered *r) {
	if (!r->how.width) return;
	if (r->mapped)
		device_move(r->mapped, &r->how.value, r->how.width, true);
	else
		port_out((u16)r->how.address, r->how.width, r->how.value);
	wait_for_effect();
}

void power_reset(void) {
	interrupts_off();
	console_flush();
	if (xen_guest) xen_reset();
	write_registered(&registered[1]);
	out8(KEYBOARD_CONTROLLER, KEYBOARD_RESET);
	out8(RESET_CONTROL, 0x06);
	/* An exception with no table to handle it shuts the processor down, and that resets the machine. */
	const u64 nothing[2] = {0, 0};
	asm volatile("lidt %0; int3" ::"m"(nothing));
	for (;;) asm volatile("cli; hlt");
}

void power_off(int code) {
	interrupts_off();
	/* A fault on this path comes back here through panic(): go on where it was, more quietly. */
	if (!ending) {
		ending = true;
		print("[kernel] exit %d\n", code);
		console_flush();
		if (xen_guest) xen_power_off(code);
		out8(DEBUG_EXIT_PORT, (u8)(code & 0x7f));
		write_registered(&registered[0]);
	}
	out16(0x604, 0x2000);  /* QEMU's q35 and pc: PM1a control, SLP_EN, S5 */
	out16(0xb004, 0x2000); /* older ones */
	out8(0x600, 0x34);     /* Cloud Hypervisor's shutdown device */
	wait_for_effect();
	power_reset();
}
