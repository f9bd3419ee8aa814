/* Reads and writes of the device window, where the kernel decides what is allowed. */
#include "worker.h"

static i64 memory_file, port_file, dma_file, power_file;
static u32 dma_bound;

void open_window(void) {
	memory_file = CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/window/memory", O_RDWR);
	port_file = CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/window/port", O_RDWR);
	dma_file = CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/window/dma", O_RDWR);
	power_file = CALL_N(257, (u64)AT_FDCWD, (u64) "/dev/window/power", O_WRONLY);
}

void window_step(struct worker *w) {
	u64 value = next(w), width = 1UL << below(w, 4);
	u64 length = below(w, 4) ? width : any_length(w), file = (u64)memory_file, offset;
	switch (below(w, 8)) {
	case 0: /* RAM is refused, whatever the length */
		CALL_N(18, file, (u64)&value, length, below(w, 2) ? MIB + below(w, 100 * MIB) : next(w) | 1UL << 52);
		break;
	case 1: CALL_N(17, file, any_address(w), length, below(w, 64 * MIB)); break;
	case 2: /* but not where QEMU's serial port fails an assertion when it is read in words */
		offset = below(w, 0x12000);
		CALL_N(17, (u64)port_file, any_address(w), length, (offset & ~0xfUL) == 0x3f0 ? 0 : offset);
		break;
	case 3: /* 0x80: where firmware shows how far it is */
		CALL_N(18, (u64)port_file, below(w, 2) ? (u64)&value : any_address(w), length,
		       below(w, 2) ? 0x80 : 0x10000 + below(w, PAGE) - 3);
		break;
	case 4:
		if (dma_bound++ < 64)
			CALL_N(0, (u64)dma_file, arena_address(w), below(w, 4) ? below(w, 16 * PAGE) : any_length(w));
		else
			CALL_N(0, (u64)dma_file, bad_address(w), any_length(w));
		break;
	case 5:
		CALL_N(17, (u64)dma_file, any_address(w), any_length(w), below(w, 2) ? below(w, 128 * MIB) : next(w));
		break;
	case 6: /* an action that there is not */
		own_words(w);
		w->words[0] |= 2;
		CALL_N(1, (u64)power_file, (u64)w->words, below(w, 4) ? 24 : below(w, 64));
		break;
	default: CALL_N(below(w, 2) ? 16 : 5, below(w, 2) ? file : (u64)port_file, w->a[1], any_address(w));
	}
}
