import { MacAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Ethernet } from "@tesserae/device/ethernet";
import { headroom } from "@tesserae/device/page";
import { ensure, ensureEqual, ensureThrows } from "./assert.ts";
import { countSettledPages, ensurePagesAreSound, ensurePagesBack, takePage } from "./page-count.ts";
import { pattern, pause, settleTime, until } from "./pause.ts";
import { defineCase, type Suite } from "./suite.ts";

/** Two hosts on one link that loses nothing, with nobody else's use of the EtherTypes 0x88b5 and 0x88b6. */
export interface EthernetPair {
  readonly a: Ethernet;
  readonly b: Ethernet;
  readonly timers: Timers;
}

/** IEEE 802 local experimental EtherTypes. */
const typeOne = 0x88b5;
const typeTwo = 0x88b6;
const stranger = MacAddress.parse("02:5e:5e:00:00:99");

interface Received {
  readonly payload: Uint8Array;
  readonly source: MacAddress;
  readonly destination: MacAddress;
  readonly etherType: number;
}

/** Keeps copies of what arrives with one EtherType. */
class Listener {
  readonly received: Received[] = [];

  constructor(ethernet: Ethernet, etherType: number = typeOne) {
    ethernet.listen(etherType, (page, offset, length, frameOffset) => {
      const { bytes } = page;
      this.received.push({
        payload: bytes.slice(offset, offset + length),
        destination: MacAddress.read(bytes, frameOffset),
        source: MacAddress.read(bytes, frameOffset + 6),
        etherType: ((bytes[frameOffset + 12] ?? 0) << 8) | (bytes[frameOffset + 13] ?? 0),
      });
      // Lent pages may be written to: nobody else may see it.
      bytes.fill(0xdd, frameOffset, offset + length);
    });
  }
}

function send(from: Ethernet, to: MacAddress, payload: Uint8Array, etherType = typeOne, offset = headroom): boolean {
  const page = takePage(from);
  page.bytes.set(payload, offset);
  return from.send(to, etherType, page, offset, payload.length);
}

/** Whether `got` is `sent`, or `sent` padded to the least frame of Ethernet. */
function ensurePayload(got: Uint8Array | undefined, sent: Uint8Array, what: string): void {
  ensure(got !== undefined, `${what} did not arrive`);
  const padded = sent.length < 46 && got.length === 46;
  ensureEqual(padded ? got.subarray(0, sent.length) : got, sent, what);
}

async function deliver(
  timers: Timers,
  from: Ethernet,
  to: Ethernet,
  at: Listener,
  payload: Uint8Array,
  offset?: number,
): Promise<Received> {
  const what = `a payload of ${String(payload.length)} bytes`;
  const before = at.received.length;
  ensureEqual(send(from, to.mac, payload, typeOne, offset), true, `send of ${what}`);
  await until(timers, () => at.received.length > before, what);
  const got = at.received[before];
  ensure(got !== undefined, what);
  ensurePayload(got.payload, payload, what);
  return got;
}

/** The contract of `Ethernet`. */
export const ethernetSuite: Suite<EthernetPair> = [
  defineCase("each host has a MAC address of its own and an MTU in range", ({ a, b }) => {
    for (const { mac, mtu } of [a, b]) {
      ensure(!mac.isGroup && !mac.equals(MacAddress.zero), `${mac.toString()} is no host's address`);
      ensure(Number.isInteger(mtu) && mtu >= 576 && mtu <= 65_535, `mtu ${String(mtu)}`);
    }
    ensure(!a.mac.equals(b.mac), "both have the same MAC address");
  }),

  defineCase("payloads of all sizes up to the MTU arrive whole, both ways", async ({ a, b, timers }) => {
    const atA = new Listener(a);
    const atB = new Listener(b);
    const most = Math.min(a.mtu, b.mtu);
    for (const length of [1, 28, 45, 46, 47, 576, most - 1, most]) {
      await deliver(timers, a, b, atB, pattern(length, length));
      await deliver(timers, b, a, atA, pattern(length, length + 1));
    }
  }),

  defineCase("the header names both ends and the type, and starts at frameOffset", async ({ a, b, timers }) => {
    const atB = new Listener(b);
    const got = await deliver(timers, a, b, atB, pattern(60, 1));
    ensureEqual(got.source.toString(), a.mac.toString(), "source");
    ensureEqual(got.destination.toString(), b.mac.toString(), "destination");
    ensureEqual(got.etherType, typeOne, "EtherType");
  }),

  defineCase("send writes its header in front of any offset with 14 bytes before it", async ({ a, b, timers }) => {
    const atB = new Listener(b);
    for (const offset of [14, 15, 16, 17, headroom - 1, headroom, headroom + 3]) {
      await deliver(timers, a, b, atB, pattern(100, offset), offset);
    }
  }),

  defineCase("frames reach the handler of their EtherType, and no other", async ({ a, b, timers }) => {
    const one = new Listener(b, typeOne);
    send(a, b.mac, pattern(50, 1), typeTwo);
    await pause(timers, settleTime);
    ensureEqual(one.received.length, 0, "frames of a type that nobody listens to");
    const two = new Listener(b, typeTwo);
    for (let round = 0; round < 4; round++) send(a, b.mac, pattern(50, round), round % 2 === 0 ? typeOne : typeTwo);
    await until(timers, () => one.received.length + two.received.length >= 4, "four frames");
    const seen = [one, two].map((each) => each.received.map(({ etherType }) => etherType));
    ensureEqual(seen, [Array<number>(2).fill(typeOne), Array<number>(2).fill(typeTwo)], "types at each handler");
    for (const [index, got] of one.received.entries()) ensurePayload(got.payload, pattern(50, index * 2), "a payload");
  }),

  defineCase("listen replaces the handler of the type, and of no other", async ({ a, b, timers }) => {
    const first = new Listener(b, typeOne);
    const other = new Listener(b, typeTwo);
    const second = new Listener(b, typeOne);
    await deliver(timers, a, b, second, pattern(50, 1));
    send(a, b.mac, pattern(50, 2), typeTwo);
    await until(timers, () => other.received.length === 1, "a frame of the other type");
    ensureEqual(first.received.length, 0, "frames at the handler replaced");
  }),

  defineCase("a type that is none throws RangeError", ({ a }) => {
    for (const type of [0, 46, 0x05ff, 0x1_0000, -1, 0x0800 + 0.5, Number.NaN]) {
      ensureThrows(() => a.listen(type, () => undefined), RangeError, `listen(${String(type)})`);
    }
    for (const type of [0x0600, 0xffff]) a.listen(type, () => undefined);
  }),

  defineCase("a broadcast arrives; what is for another host does not", async ({ a, b, timers }) => {
    const atB = new Listener(b);
    send(a, stranger, pattern(50, 1));
    send(a, MacAddress.broadcast, pattern(50, 2));
    await until(timers, () => atB.received.length > 0, "the broadcast");
    await pause(timers, settleTime);
    ensureEqual(
      atB.received.map(({ destination }) => destination.toString()),
      [MacAddress.broadcast.toString()],
      "destinations",
    );
  }),

  defineCase("a handler may send from inside", async ({ a, b, timers }) => {
    const atA = new Listener(a);
    b.listen(typeOne, (page, offset, length, frameOffset) => {
      const reply = b.allocate();
      if (reply === undefined) return;
      reply.bytes.set(page.bytes.subarray(offset, offset + length), headroom);
      b.send(MacAddress.read(page.bytes, frameOffset + 6), typeOne, reply, headroom, length);
    });
    for (let round = 0; round < 10; round++) {
      send(a, b.mac, pattern(80, round));
      await until(timers, () => atA.received.length > round, "the reply");
      ensurePayload(atA.received[round]?.payload, pattern(80, round), "the reply");
    }
  }),

  defineCase("a page has room for headroom and MTU, and comes back by release", ({ a }) => {
    ensurePagesAreSound(a, headroom + a.mtu);
  }),

  defineCase("send takes the page, whatever the outcome", async ({ a, b, timers }) => {
    const atB = new Listener(b);
    const before = await countSettledPages(timers, a);
    for (let round = 0; round < 4; round++) {
      send(a, b.mac, pattern(60, round));
      send(a, stranger, pattern(60, round));
      send(a, b.mac, pattern(60, round), typeTwo);
      ensureEqual(a.send(b.mac, typeOne, takePage(a), headroom, a.mtu + 1), false, "send of mtu + 1 bytes");
    }
    await until(timers, () => atB.received.length >= 4, "four frames");
    await ensurePagesBack(timers, a, before);
    ensureEqual(atB.received.length, 4, "frames delivered");
  }),
];
