import { MacAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Netif } from "@tesserae/device/netif";
import { headroom, type Page } from "@tesserae/device/page";
import { ensure, ensureEqual } from "./assert.ts";
import { pattern, pause, settleTime, until } from "./pause.ts";
import { ConformanceError, defineCase, type Suite } from "./suite.ts";

/** Two interfaces on one link. Other frames may be about; those of the suite have an EtherType of their own. */
export interface NetifPair {
  readonly a: Netif;
  readonly b: Netif;
  readonly timers: Timers;
}

/** IEEE 802 local experimental EtherType 1. */
const etherType = 0x88b5;
/** No interface has more pages than this. */
const mostPages = 100_000;

/** A frame from `from` to `to` with `payload` bytes of a pattern. */
function frame(to: MacAddress, from: MacAddress, payload: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(14 + payload);
  to.write(bytes, 0);
  from.write(bytes, 6);
  bytes[12] = etherType >>> 8;
  bytes[13] = etherType & 255;
  bytes.set(pattern(payload, seed), 14);
  return bytes;
}

function allocate(netif: Netif): Page {
  const page = netif.allocate();
  ensure(page !== undefined, `${netif.name} has no page`);
  return page;
}

function transmit(netif: Netif, bytes: Uint8Array, offset: number = headroom - 14): boolean {
  const page = allocate(netif);
  page.bytes.set(bytes, offset);
  return netif.transmit(page, offset, bytes.length);
}

/** Keeps copies of the suite's frames that arrive at an interface. */
class Tap {
  readonly frames: Uint8Array[] = [];
  /** Set while the interface must not deliver. */
  forbidden: string | undefined;
  violation: string | undefined;

  constructor(netif: Netif) {
    this.forbidden = "listen";
    netif.listen((page, offset, length) => {
      if (page.bytes[offset + 12] !== etherType >>> 8 || page.bytes[offset + 13] !== (etherType & 255)) return;
      this.violation ??= this.forbidden;
      this.frames.push(page.bytes.slice(offset, offset + length));
      // Lent pages may be written to: nobody else may see it.
      page.bytes.fill(0xdd, offset, offset + length);
    });
    this.forbidden = undefined;
  }

  check(): void {
    if (this.violation !== undefined) throw new ConformanceError(`a frame was delivered inside ${this.violation}`);
  }
}

/** Whether `got` is `sent`, or `sent` padded to the least frame of Ethernet. */
function ensureFrame(got: Uint8Array | undefined, sent: Uint8Array, what: string): void {
  ensure(got !== undefined, `${what} did not arrive`);
  const padded = sent.length < 60 && got.length === 60;
  ensureEqual(padded ? got.subarray(0, sent.length) : got, sent, what);
}

async function sendOne(timers: Timers, from: Netif, to: Tap, bytes: Uint8Array, offset?: number): Promise<void> {
  const before = to.frames.length;
  ensureEqual(transmit(from, bytes, offset), true, "transmit");
  await until(timers, () => to.frames.length > before, `a frame of ${String(bytes.length)} bytes`);
  ensureFrame(to.frames[before], bytes, `a frame of ${String(bytes.length)} bytes`);
}

/** The contract of `Netif`. */
export const netifSuite: Suite<NetifPair> = [
  defineCase("each interface has a name, a MAC address of its own and an MTU in range", ({ a, b }) => {
    for (const { name, mac, mtu, features } of [a, b]) {
      ensure(name !== "", "the name is empty");
      ensure(!mac.isGroup && !mac.equals(MacAddress.zero), `${mac.toString()} is no host's address`);
      ensure(Number.isInteger(mtu) && mtu >= 576 && mtu <= 65_535, `mtu ${String(mtu)}`);
      ensure(features.maxSegmentation >= 0, "maxSegmentation");
    }
    ensure(!a.mac.equals(b.mac), "both have the same MAC address");
  }),

  defineCase("frames of all sizes arrive whole, both ways", async ({ a, b, timers }) => {
    const atA = new Tap(a);
    const atB = new Tap(b);
    const most = Math.min(a.mtu, b.mtu);
    for (const payload of [46, 47, 100, 576, most - 1, most]) {
      await sendOne(timers, a, atB, frame(b.mac, a.mac, payload, payload));
      await sendOne(timers, b, atA, frame(a.mac, b.mac, payload, payload + 1));
    }
  }),

  defineCase("a frame shorter than Ethernet's least arrives, padded or not", async ({ a, b, timers }) => {
    const atB = new Tap(b);
    await sendOne(timers, a, atB, frame(b.mac, a.mac, 28, 1));
  }),

  defineCase("a broadcast arrives", async ({ a, b, timers }) => {
    const atB = new Tap(b);
    await sendOne(timers, a, atB, frame(MacAddress.broadcast, a.mac, 60, 2));
  }),

  defineCase("a frame may start anywhere in its page", async ({ a, b, timers }) => {
    const atB = new Tap(b);
    for (const offset of [0, 1, 2, 3, 17, headroom - 14, headroom]) {
      await sendOne(timers, a, atB, frame(b.mac, a.mac, 200, offset), offset);
    }
  }),

  defineCase("frames are delivered in order", async ({ a, b, timers }) => {
    const atB = new Tap(b);
    const sent = Array.from({ length: 200 }, (_, index) => frame(b.mac, a.mac, 64, index));
    for (const [index, bytes] of sent.entries()) {
      ensureEqual(transmit(a, bytes), true, "transmit");
      if (index % 8 === 7) await until(timers, () => atB.frames.length > index - 8, "the frames before");
    }
    await until(timers, () => atB.frames.length >= sent.length, "200 frames");
    for (const [index, bytes] of sent.entries()) ensureFrame(atB.frames[index], bytes, `frame ${String(index)}`);
    ensureEqual(atB.frames.length, sent.length, "how many");
  }),

  defineCase("no frame is delivered inside transmit or listen", async ({ a, b, timers }) => {
    const early = frame(b.mac, a.mac, 80, 1);
    transmit(a, early);
    await pause(timers, settleTime);
    const atB = new Tap(b);
    const atA = new Tap(a);
    for (let round = 0; round < 20; round++) {
      atB.forbidden = atA.forbidden = "transmit";
      transmit(a, frame(b.mac, a.mac, 80, round));
      transmit(b, frame(a.mac, b.mac, 80, round));
      atB.forbidden = atA.forbidden = undefined;
      await pause(timers, 5);
    }
    await until(timers, () => atA.frames.length >= 20 && atB.frames.length >= 20, "20 frames each way");
    atA.check();
    atB.check();
  }),

  defineCase("a handler may transmit from inside", async ({ a, b, timers }) => {
    const atA = new Tap(a);
    let inside = false;
    let nested = false;
    b.listen((page, offset, length) => {
      if (page.bytes[offset + 12] !== etherType >>> 8 || page.bytes[offset + 13] !== (etherType & 255)) return;
      nested ||= inside;
      inside = true;
      const reply = b.allocate();
      if (reply !== undefined) {
        reply.bytes.set(page.bytes.subarray(offset, offset + length), headroom);
        a.mac.write(reply.bytes, headroom);
        b.mac.write(reply.bytes, headroom + 6);
        b.transmit(reply, headroom, length);
      }
      inside = false;
    });
    for (let round = 0; round < 10; round++) {
      const bytes = frame(b.mac, a.mac, 100, round);
      transmit(a, bytes);
      await until(timers, () => atA.frames.length > round, "the reply");
      ensureEqual(atA.frames[round]?.subarray(14), bytes.subarray(14), "the reply's payload");
    }
    ensure(!nested, "a handler was called inside itself");
    atA.check();
  }),

  defineCase("listen replaces the handler", async ({ a, b, timers }) => {
    const first = new Tap(b);
    const second = new Tap(b);
    await sendOne(timers, a, second, frame(b.mac, a.mac, 50, 1));
    ensureEqual(first.frames.length, 0, "frames at the handler replaced");
  }),

  defineCase("a page has room for headroom and MTU, and no metadata", ({ a }) => {
    const page = allocate(a);
    ensure(page.bytes.length >= headroom + a.mtu, `a page has ${String(page.bytes.length)} bytes`);
    page.flags = 1;
    page.checksumStart = 14;
    page.checksumOffset = 16;
    page.segmentSize = 100;
    page.headerLength = 54;
    a.release(page);
    const pages: Page[] = [];
    for (let index = 0; index < 8; index++) {
      const next = allocate(a);
      const { flags, checksumStart, checksumOffset, segmentSize, headerLength } = next;
      ensureEqual([flags, checksumStart, checksumOffset, segmentSize, headerLength], [0, 0, 0, 0, 0], "metadata");
      pages.push(next);
    }
    for (const next of pages) a.release(next);
  }),

  defineCase("pages are bounded, distinct, and come back by release", ({ a }) => {
    const takeAll = (): Page[] => {
      const pages: Page[] = [];
      for (;;) {
        const page = a.allocate();
        if (page === undefined) return pages;
        pages.push(page);
        ensure(pages.length < mostPages, `more than ${String(mostPages)} pages`);
      }
    };
    const pages = takeAll();
    ensure(pages.length >= 2, `${String(pages.length)} pages in all`);
    ensureEqual(new Set(pages).size, pages.length, "distinct pages");
    for (const page of pages) a.release(page);
    const again = takeAll();
    ensureEqual(again.length, pages.length, "pages after releasing all");
    for (const page of again) a.release(page);
  }),

  defineCase("pages come back by transmit, whatever the outcome", async ({ a, b, timers }) => {
    const atB = new Tap(b);
    let capacity = 0;
    const pages: Page[] = [];
    for (let page = a.allocate(); page !== undefined; page = a.allocate()) pages.push(page);
    capacity = pages.length;
    for (const page of pages) a.release(page);
    const rounds = Math.min(capacity * 2 + 10, 5000);
    for (let round = 0; round < rounds; round++) {
      const page = a.allocate();
      // All are in the queue to the device: a sender would drop or wait.
      if (page === undefined) await pause(timers, 5);
      else {
        page.bytes.set(frame(b.mac, a.mac, 60, round), headroom);
        // Every third is longer than the interface allows: refused, but taken back.
        const length = round % 3 === 2 ? a.mtu + 15 : 74;
        const sent = a.transmit(page, length > 74 ? 0 : headroom, length);
        if (length > 74) ensureEqual(sent, false, "transmit of a frame longer than mtu + 14");
      }
      if (round % 64 === 63) await pause(timers, 5);
    }
    await until(timers, () => atB.frames.length > 0, "some frames");
    let taken: Page[] = [];
    const refill = (): boolean => {
      for (const page of taken) a.release(page);
      taken = [];
      for (let page = a.allocate(); page !== undefined; page = a.allocate()) taken.push(page);
      return taken.length === capacity;
    };
    await until(timers, refill, `all ${String(capacity)} pages to come back`);
    for (const page of taken) a.release(page);
    await pause(timers, settleTime);
    await sendOne(timers, a, new Tap(b), frame(b.mac, a.mac, 60, 1));
  }),

  defineCase("statistics count frames and bytes", async ({ a, b, timers }) => {
    const atB = new Tap(b);
    await pause(timers, settleTime);
    const sentBefore = { frames: a.statistics.sentFrames, bytes: a.statistics.sentBytes };
    const receivedBefore = { frames: b.statistics.receivedFrames, bytes: b.statistics.receivedBytes };
    for (let round = 0; round < 10; round++) await sendOne(timers, a, atB, frame(b.mac, a.mac, 86 + round, round));
    const bytes = 10 * 100 + 45;
    ensureEqual(a.statistics.sentFrames - sentBefore.frames, 10, "sentFrames");
    ensureEqual(a.statistics.sentBytes - sentBefore.bytes, bytes, "sentBytes");
    ensure(b.statistics.receivedFrames - receivedBefore.frames >= 10, "receivedFrames");
    ensure(b.statistics.receivedBytes - receivedBefore.bytes >= bytes, "receivedBytes");
    const dropped = a.statistics.droppedFrames;
    ensureEqual(a.transmit(allocate(a), 0, a.mtu + 15), false, "transmit of a frame longer than mtu + 14");
    ensureEqual(a.statistics.droppedFrames, dropped + 1, "droppedFrames");
  }),

  defineCase("close stops delivery; transmit then drops; closing again is harmless", async ({ a, b, timers }) => {
    const atB = new Tap(b);
    await sendOne(timers, a, atB, frame(b.mac, a.mac, 60, 1));
    const page = b.allocate();
    const held = b.allocate();
    transmit(a, frame(b.mac, a.mac, 60, 2));
    await Promise.all([b.close(), b.close()]);
    await b.close();
    const before = atB.frames.length;
    const last = a.allocate();
    if (last !== undefined) {
      last.bytes.set(frame(b.mac, a.mac, 60, 3), headroom);
      a.transmit(last, headroom, 74);
    }
    await pause(timers, settleTime);
    ensureEqual(atB.frames.length, before, "frames after close");
    if (page !== undefined) ensureEqual(b.transmit(page, headroom, 74), false, "transmit after close");
    if (held !== undefined) b.release(held);
    await a.close();
  }),

  defineCase("the page stays the sender's until transmit or release", ({ a }) => {
    const one = allocate(a);
    one.bytes.fill(1);
    const two = allocate(a);
    two.bytes.fill(2);
    ensure(
      one.bytes.every((value) => value === 1),
      "two pages share memory",
    );
    a.release(one);
    a.release(two);
  }),
];
