import { MacAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Netif } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { FrameQueue } from "./frame-queue.ts";
import { Pace } from "./pace.ts";
import { Port } from "./port.ts";

export interface LinkOptions {
  readonly timers: Timers;
  /** Milliseconds from one end to the other; default 0: the next time that timers run. */
  readonly delay?: number;
  /** Bits a second in each direction; default: no limit. */
  readonly bandwidth?: number;
  /** Frames that may be under way in each direction; more are dropped. Default 512. */
  readonly queue?: number;
  /** Pages of each end, default twice `queue`. */
  readonly pages?: number;
  /** Default 1500. */
  readonly mtu?: number;
  /** Default `link-a` and `link-b`. */
  readonly names?: readonly [string, string];
  /** Default 02:00:00:00:00:01 and :02. */
  readonly macs?: readonly [MacAddress, MacAddress];
}

/** Two interfaces joined by a cable. */
export interface Link {
  readonly a: Netif;
  readonly b: Netif;
}

/**
 * Joins two interfaces in memory. A frame is not copied: the sender's page is lent to the other end's handler.
 *
 * @throws RangeError when an option is out of range.
 */
export function createLink(options: LinkOptions): Link {
  const { timers, queue = 512, mtu = 1500, names = ["link-a", "link-b"] } = options;
  const { pages = queue * 2, macs = [new MacAddress(0x0200, 1), new MacAddress(0x0200, 2)] } = options;
  const pace = new Pace(timers, options.delay ?? 0, options.bandwidth ?? Infinity);
  const backPace = new Pace(timers, options.delay ?? 0, options.bandwidth ?? Infinity);
  if (!Number.isInteger(queue) || queue < 1) throw new RangeError(`queue ${String(queue)} is not an integer above 0`);

  const there = new FrameQueue(timers, queue, (page, offset, length) => {
    carryOver(a, b, page, offset, length);
  });
  const back = new FrameQueue(timers, queue, (page, offset, length) => {
    carryOver(b, a, page, offset, length);
  });
  const a: Port = new Port({ name: names[0], mac: macs[0], mtu, pages }, (page, offset, length) =>
    pace.push(there, page, offset, length, 0),
  );
  const b: Port = new Port({ name: names[1], mac: macs[1], mtu, pages }, (page, offset, length) =>
    backPace.push(back, page, offset, length, 0),
  );
  return { a, b };
}

function carryOver(from: Port, to: Port, page: Page, offset: number, length: number): void {
  try {
    to.deliver(page, offset, length);
  } finally {
    from.release(page);
  }
}
