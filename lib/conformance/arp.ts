import { IpAddress, MacAddress } from "@tesserae/device/address";
import { type Arp, ArpTimeoutError } from "@tesserae/device/arp";
import type { Timers } from "@tesserae/device/clock";
import { ensure, ensureEqual, ensureRejects } from "./assert.ts";
import type { FramePeer } from "./frame-peer.ts";
import { pause, settles, settleTime, until, within } from "./pause.ts";
import { defineCase, Skipped, type Suite } from "./suite.ts";

/** One host of the subject. It has claimed nothing yet. */
export interface ArpHost {
  readonly arp: Arp;
  readonly mac: MacAddress;
}

/** Two hosts on one link that loses nothing and takes less than 50 ms. */
export interface ArpPair {
  readonly a: ArpHost;
  readonly b: ArpHost;
  readonly timers: Timers;
  /** Distinct addresses on the link that nobody has, for each index from 0 to 999. */
  readonly free: (index: number) => IpAddress;
  /** A third station on the same link, which hears what A sends to all; without it some cases are skipped. */
  readonly station?: FramePeer;
}

/** Longer than any claim or query may take, in milliseconds. */
const patience = 60_000;
const request = 1;
const reply = 2;
const stationMac = MacAddress.parse("02:5e:5e:00:00:99");

/** An ARP message (RFC 826) as the cases read it. */
interface Message {
  readonly operation: number;
  readonly sender: string;
  readonly target: string;
}

/** The third station: hears and says what a case wants. */
class Station {
  readonly #peer: FramePeer;
  readonly #of: ArpHost;

  constructor({ station, a }: ArpPair) {
    if (station === undefined) throw new Skipped("the subject has no third station");
    this.#peer = station;
    this.#of = a;
    station.take();
  }

  /** The messages of A since the last time. */
  heard(): Message[] {
    const frames = this.#peer
      .take()
      .filter((frame) => frame[12] === 8 && frame[13] === 6 && MacAddress.read(frame, 6).equals(this.#of.mac));
    return frames.map((frame) => ({
      operation: frame[21] ?? 0,
      sender: addressAt(frame, 28),
      target: addressAt(frame, 38),
    }));
  }

  /** Sends an ARP message to all. */
  say(operation: number, sender: IpAddress, target: IpAddress, targetMac: MacAddress = MacAddress.zero): void {
    const frame = new Uint8Array(60);
    MacAddress.broadcast.write(frame, 0);
    stationMac.write(frame, 6);
    frame.set([8, 6, 0, 1, 8, 0, 6, 4, 0, operation], 12);
    stationMac.write(frame, 22);
    writeAddress(frame, 28, sender);
    targetMac.write(frame, 32);
    writeAddress(frame, 38, target);
    this.#peer.send(frame);
  }

  /** Whether A answers a request for `ip` from `asker`. */
  async isAnswered(timers: Timers, ip: IpAddress, asker: IpAddress): Promise<boolean> {
    this.heard();
    this.say(request, asker, ip);
    await pause(timers, settleTime);
    return this.heard().some(({ operation, sender }) => operation === reply && sender === ip.toString());
  }
}

function addressAt(bytes: Uint8Array, offset: number): string {
  return bytes.subarray(offset, offset + 4).join(".");
}

function writeAddress(bytes: Uint8Array, offset: number, ip: IpAddress): void {
  for (let index = 0; index < 4; index++) bytes[offset + index] = ip.w3 >>> (24 - index * 8);
}

/** Makes an address a host's own at once. A host needs one to ask for others'. */
async function give({ timers }: ArpPair, host: ArpHost, ip: IpAddress): Promise<void> {
  ensureEqual(await within(timers, host.arp.claim(ip, { probe: false }), "a claim", patience), true, "the claim");
}

function ensureMac(actual: MacAddress | undefined, expected: MacAddress, what: string): void {
  ensureEqual(actual?.toString(), expected.toString(), what);
}

/** Fails unless B finds A under `ip`. */
async function ensureFound({ a, b, timers }: ArpPair, ip: IpAddress, what: string): Promise<void> {
  ensureMac(await within(timers, b.arp.query(ip), what, patience), a.mac, what);
}

async function ensureTimeout(timers: Timers, query: Promise<unknown>, ip: IpAddress, what: string): Promise<void> {
  const error = await ensureRejects(within(timers, query, what, patience), ArpTimeoutError, what);
  ensureEqual(error.ip.toString(), ip.toString(), `the address of ${what}`);
}

const isFor =
  (ip: IpAddress) =>
  ({ operation, target }: Message): boolean =>
    operation === request && target === ip.toString();

/** The contract of `Arp`. */
export const arpSuite: Suite<ArpPair> = [
  defineCase("a query finds the host that has the address; lookup knows it then", async (subject) => {
    const { a, b, free, timers } = subject;
    await give(subject, a, free(0));
    await give(subject, b, free(1));
    ensureEqual(b.arp.lookup(free(0)), undefined, "lookup before the query");
    await ensureFound(subject, free(0), "the query");
    ensureMac(b.arp.lookup(free(0)), a.mac, "lookup after the query");
    ensureMac(await within(timers, b.arp.query(free(0)), "a second query"), a.mac, "a second query");
    ensureMac(await within(timers, a.arp.query(free(1)), "the other way"), b.mac, "the other way");
  }),

  defineCase("lookup of what is not known starts no query", async (subject) => {
    const { a, b, free, timers } = subject;
    const station = new Station(subject);
    await give(subject, a, free(0));
    await give(subject, b, free(1));
    await pause(timers, settleTime);
    for (let round = 0; round < 3; round++) {
      ensureEqual(a.arp.lookup(free(1)), undefined, "lookup");
      ensureEqual(a.arp.lookup(free(2)), undefined, "lookup of nobody's address");
      await pause(timers, 3000);
    }
    ensureEqual(station.heard().filter(({ target }) => target !== free(0).toString()).length, 0, "requests");
  }),

  defineCase("a query that nobody answers rejects with ArpTimeoutError and the address", async (subject) => {
    const { a, free, timers } = subject;
    await give(subject, a, free(0));
    await ensureTimeout(timers, a.arp.query(free(5)), free(5), "a query for nobody");
    ensureEqual(a.arp.lookup(free(5)), undefined, "lookup afterwards");
  }),

  defineCase("it asks a bounded number of times, also when asked for the same by many", async (subject) => {
    const { a, free, timers } = subject;
    const station = new Station(subject);
    await give(subject, a, free(0));
    const alone = ensureTimeout(timers, a.arp.query(free(5)), free(5), "a query for nobody");
    await alone;
    const one = station.heard().filter(isFor(free(5))).length;
    ensure(one >= 1 && one <= 10, `${String(one)} requests for one query`);
    await pause(timers, patience);
    ensureEqual(station.heard().filter(isFor(free(5))).length, 0, "requests after the failure");
    const queries = Array.from({ length: 20 }, () => ensureTimeout(timers, a.arp.query(free(6)), free(6), "one of 20"));
    await Promise.all(queries);
    ensureEqual(station.heard().filter(isFor(free(6))).length, one, "requests for 20 queries of one address");
  }),

  defineCase("queries for one address share the answer", async (subject) => {
    const { a, b, free, timers } = subject;
    const station = new Station(subject);
    await give(subject, a, free(0));
    await give(subject, b, free(1));
    const macs = await within(
      timers,
      Promise.all(Array.from({ length: 20 }, () => a.arp.query(free(1)))),
      "20 queries",
    );
    for (const mac of macs) ensureMac(mac, b.mac, "each answer");
    ensureEqual(station.heard().filter(isFor(free(1))).length, 1, "requests");
  }),

  defineCase("a host that is there at last is found by a later query", async (subject) => {
    const { a, b, free, timers } = subject;
    await give(subject, b, free(1));
    await ensureTimeout(timers, b.arp.query(free(0)), free(0), "a query before the host is there");
    await give(subject, a, free(0));
    // A failure may be remembered for a while.
    await pause(timers, patience);
    await ensureFound(subject, free(0), "a query afterwards");
  }),

  defineCase("more queries than the table holds are refused, and break nothing", async (subject) => {
    const { a, b, free, timers } = subject;
    await give(subject, a, free(0));
    await give(subject, b, free(1));
    const queries: Promise<void>[] = [];
    for (let index = 2; index < 1000; index++) {
      queries.push(ensureTimeout(timers, b.arp.query(free(index)), free(index), "a query for nobody"));
    }
    await Promise.all(queries);
    await ensureFound(subject, free(0), "a query for somebody");
  }),

  defineCase("a claim probes, then announces, and only then answers", async (subject) => {
    const { a, free, timers } = subject;
    const station = new Station(subject);
    const [ip, asker] = [free(0), free(900)];
    let ours: boolean | undefined;
    const claiming = a.arp.claim(ip).then((result) => (ours = result));
    let messages: Message[] = [];
    await until(timers, () => (messages = [...messages, ...station.heard()]).length > 0, "a probe", patience);
    ensureEqual(ours, undefined, "the result before the probes are over");
    ensureEqual(await station.isAnswered(timers, ip, asker), false, "an answer before the address is ours");
    await within(timers, claiming, "the claim", patience);
    ensureEqual(ours, true, "the claim");
    await pause(timers, settleTime);
    messages = [...messages, ...station.heard()].filter(isFor(ip));
    // RFC 5227 §1.1: a probe has no sender; an announcement has the address in both places.
    const senders = messages.map(({ sender }) => sender);
    const announced = senders.indexOf(ip.toString());
    ensure(announced >= 1, `no announcement after the probes: ${senders.join(", ")}`);
    ensure(
      senders.every((sender, index) => (index < announced ? sender === "0.0.0.0" : sender === ip.toString())),
      `probes and announcements: ${senders.join(", ")}`,
    );
    ensureEqual(await station.isAnswered(timers, ip, asker), true, "an answer from then on");
  }),

  defineCase("without probing, a claim announces at once", async (subject) => {
    const { a, free, timers } = subject;
    const station = new Station(subject);
    await give(subject, a, free(0));
    await pause(timers, settleTime);
    const messages = station.heard().filter(isFor(free(0)));
    ensure(messages.length >= 1, "no announcement");
    for (const { sender } of messages) ensureEqual(sender, free(0).toString(), "the sender");
  }),

  defineCase("a claim of an address that another host has is false, and harms nobody", async (subject) => {
    const { a, b, free, timers } = subject;
    await give(subject, a, free(0));
    await pause(timers, 5000);
    ensureEqual(await within(timers, b.arp.claim(free(0)), "the claim", patience), false, "the second claim");
    await give(subject, b, free(1));
    await pause(timers, patience);
    await ensureFound(subject, free(0), "the first host");
  }),

  defineCase("a host that shows up while we probe has the address", async (subject) => {
    const { a, free, timers } = subject;
    for (const [index, operation] of [request, reply].entries()) {
      const station = new Station(subject);
      const ip = free(index);
      const claiming = a.arp.claim(ip);
      await until(timers, () => station.heard().some(isFor(ip)), "a probe", patience);
      if (operation === request) station.say(request, ip, ip);
      else station.say(reply, ip, IpAddress.any4, a.mac);
      ensureEqual(await within(timers, claiming, "the claim", patience), false, "the claim");
      ensureEqual(await station.isAnswered(timers, ip, free(900)), false, "an answer for an address that is not ours");
    }
  }),

  defineCase("of two that claim one address at the same time, at most one gets it", async (subject) => {
    const { a, b, free, timers } = subject;
    for (let index = 0; index < 5; index++) {
      const both = Promise.all([a.arp.claim(free(index)), b.arp.claim(free(index))]);
      const [first, second] = await within(timers, both, "two claims", patience);
      ensure(!(first && second), "both have the address");
    }
  }),

  defineCase("a claimed address is defended, and kept", async (subject) => {
    const { a, free, timers } = subject;
    const station = new Station(subject);
    const ip = free(0);
    await give(subject, a, ip);
    await pause(timers, patience);
    station.heard();
    station.say(request, ip, ip);
    const defence: Message[] = [];
    const defended = (): boolean => {
      defence.push(...station.heard().filter(({ sender }) => sender === ip.toString()));
      return defence.length > 0;
    };
    await until(timers, defended, "the address to be defended");
    // RFC 5227 §2.4: two hosts that defend against each other must not do so for ever.
    for (let round = 0; round < 50; round++) {
      station.say(request, ip, ip);
      await pause(timers, 10);
      defended();
    }
    ensure(defence.length <= 5, `${String(defence.length)} announcements in half a second`);
    ensureEqual(await station.isAnswered(timers, ip, free(900)), true, "an answer after the conflict");
  }),

  defineCase("another host's probe for our address is answered", async (subject) => {
    const { a, free, timers } = subject;
    const station = new Station(subject);
    await give(subject, a, free(0));
    await pause(timers, patience);
    ensureEqual(await station.isAnswered(timers, free(0), IpAddress.any4), true, "an answer to a probe");
  }),

  defineCase("requests for addresses that are not ours are not answered", async (subject) => {
    const { a, b, free, timers } = subject;
    const station = new Station(subject);
    ensureEqual(await station.isAnswered(timers, free(3), free(900)), false, "an answer of a host without address");
    await give(subject, a, free(0));
    await give(subject, b, free(1));
    for (const index of [1, 3]) {
      ensureEqual(await station.isAnswered(timers, free(index), free(900)), false, "an answer for another's address");
    }
    ensureEqual(await station.isAnswered(timers, free(0), free(900)), true, "an answer for our own address");
  }),

  defineCase("yield stops answering, and lets another host have the address", async (subject) => {
    const { a, b, free, timers } = subject;
    const [ip, other] = [free(0), free(2)];
    await give(subject, a, ip);
    await give(subject, a, other);
    await pause(timers, 5000);
    a.arp.yield(ip);
    a.arp.yield(free(3));
    await give(subject, b, free(1));
    await ensureTimeout(timers, b.arp.query(ip), ip, "a query for the address given up");
    await ensureFound(subject, other, "the address kept");
    ensureEqual(await within(timers, b.arp.claim(ip), "another's claim", patience), true, "another's claim");
    await pause(timers, patience);
    ensureEqual(await within(timers, a.arp.claim(ip), "the claim again", patience), false, "the claim again");
    // What was given up while it is claimed is not ours in the end.
    const claiming = a.arp.claim(free(4));
    a.arp.yield(free(4));
    if (await settles(timers, claiming, patience)) ensureEqual(await claiming, false, "a claim given up");
    await ensureTimeout(timers, b.arp.query(free(4)), free(4), "a query for a claim given up");
  }),
];
