import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { type Arp, ArpTimeoutError } from "@tesserae/device/arp";
import type { FrameHandler, Netif } from "@tesserae/device/netif";
import { headroom, type Page } from "@tesserae/device/page";
import { Lan } from "@tesserae/netif/lan";
import { NetifMiddleware } from "@tesserae/netif/middleware";
import { createArp } from "@tesserae/tcpip/arp/arp";
import { createEthernet } from "@tesserae/tcpip/ethernet/ethernet";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { type ArpHost, arpSuite } from "./arp.ts";
import { FramePeer } from "./frame-peer.ts";
import { SeededRandom } from "./seeded-random.ts";
import { runSuite } from "./suite.ts";

// What follows breaks the contract on purpose, and expects the suite to notice.

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const addressOf = (index: number): IpAddress => IpAddress.v4(0x0a000100 + index);

type Mutate = (inner: Arp, netif: Netif) => Partial<Arp>;
type Below = (netif: Netif) => Netif;
const asItIs: Below = (netif) => netif;

async function outcomes(mutate: Mutate, below: Below, withStation: boolean) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock, { onError: () => undefined });
  const make = async () => {
    const lan = new Lan({ timers, delay: 1 });
    const host = (index: number): ArpHost => {
      const netif = below(lan.attach({ name: `host${index}`, mac: new MacAddress(0x0200, index) }));
      const ethernet = createEthernet({ netif });
      const inner = createArp({ ethernet, timers, random: new SeededRandom(index) });
      const arp: Arp = {
        lookup: (ip) => inner.lookup(ip),
        query: (ip) => inner.query(ip),
        claim: (ip, options) => inner.claim(ip, options),
        yield: (ip) => inner.yield(ip),
        ...mutate(inner, netif),
      };
      inner.configureLink(Prefix.parse("10.0.0.0/16"));
      return { arp, mac: ethernet.mac };
    };
    const [a, b] = [host(1), host(2)];
    const station = new FramePeer(lan.attach({ name: "station", mac: new MacAddress(0x0200, 3) }));
    return { a, b, timers, free: addressOf, ...(withStation ? { station } : {}) };
  };
  return runSuite(arpSuite, make, (run) => runVirtual({ clock, schedulers: [timers], turn }, run));
}

async function failures(mutate: Mutate, below = asItIs): Promise<readonly string[]> {
  const all = await outcomes(mutate, below, true);
  return all.filter(({ status }) => status === "failed").map(({ name }) => name);
}

/** A request to all, as a host without address would send it. */
function ask(netif: Netif, ip: IpAddress): void {
  const page = netif.allocate()!;
  const { bytes } = page;
  bytes.fill(0, headroom, headroom + 60);
  MacAddress.broadcast.write(bytes, headroom);
  netif.mac.write(bytes, headroom + 6);
  bytes.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 1], headroom + 12);
  netif.mac.write(bytes, headroom + 22);
  for (let index = 0; index < 4; index++) bytes[headroom + 38 + index] = ip.w3 >>> (24 - index * 8);
  netif.transmit(page, headroom, 60);
}

/** What an ARP frame in a page is, as `operation sender target`. */
function describeArp(page: Page, offset: number): string {
  const { bytes } = page;
  if (bytes[offset + 12] !== 8 || bytes[offset + 13] !== 6) return "";
  const sender = bytes.subarray(offset + 28, offset + 32).join(".");
  return `${bytes[offset + 21]} ${sender} ${bytes.subarray(offset + 38, offset + 42).join(".")}`;
}

/** Loses, of what it sends, the ARP messages of one shape. */
class Losing extends NetifMiddleware {
  readonly #shape: RegExp;

  constructor(inner: Netif, shape: RegExp) {
    super(inner);
    this.#shape = shape;
  }

  override transmit(page: Page, offset: number, length: number): boolean {
    if (!this.#shape.test(describeArp(page, offset))) return super.transmit(page, offset, length);
    this.release(page);
    return true;
  }
}

/** Sends each announcement of an address twenty times over. */
class Shouting extends NetifMiddleware {
  override transmit(page: Page, offset: number, length: number): boolean {
    if (/^1 (10\S+) \1$/.test(describeArp(page, offset))) {
      for (let count = 0; count < 20; count++) {
        const copy = this.allocate();
        copy?.bytes.set(page.bytes.subarray(offset, offset + length), offset);
        if (copy !== undefined) super.transmit(copy, offset, length);
      }
    }
    return super.transmit(page, offset, length);
  }
}

/** Answers every request of others, whatever the address. */
class Proxy extends NetifMiddleware {
  override listen(handler: FrameHandler): void {
    super.listen((page, offset, length) => {
      if (/^1 (\S+) (?!\1$)10/.test(describeArp(page, offset))) this.#answer(page.bytes, offset);
      handler(page, offset, length);
    });
  }

  #answer(bytes: Uint8Array, offset: number): void {
    const page = this.allocate();
    if (page === undefined) return;
    const out = page.bytes;
    out.set(bytes.subarray(offset, offset + 42), headroom);
    out.copyWithin(headroom, headroom + 6, headroom + 12);
    this.mac.write(out, headroom + 6);
    out[headroom + 21] = 2;
    this.mac.write(out, headroom + 22);
    out.set(bytes.subarray(offset + 38, offset + 42), headroom + 28);
    out.set(bytes.subarray(offset + 22, offset + 32), headroom + 32);
    this.transmit(page, headroom, 60);
  }
}

describe("the suite of Arp notices", () => {
  test("nothing, of a good one", async () => {
    expect(await failures(() => ({}))).toEqual([]);
  });

  test("less, and says so, without a third station", async () => {
    const all = await outcomes(() => ({}), asItIs, false);
    expect(all.filter(({ status }) => status === "failed")).toEqual([]);
    expect(all.filter(({ status }) => status === "skipped").length).toBeGreaterThan(5);
  });

  test.each<[string, Mutate, string]>([
    [
      "a lookup that starts a query",
      (inner, netif) => ({
        lookup: (ip) => {
          const known = inner.lookup(ip);
          if (known === undefined) ask(netif, ip);
          return known;
        },
      }),
      "lookup of what is not known starts no query",
    ],
    ["a lookup that knows nothing", () => ({ lookup: () => undefined }), "lookup knows it then"],
    [
      "a question for each query",
      (inner, netif) => ({
        query: (ip) => {
          ask(netif, ip);
          return inner.query(ip);
        },
      }),
      "queries for one address share the answer",
    ],
    [
      "an endless query",
      (inner) => ({ query: (ip) => inner.query(ip).catch(() => new Promise<never>(() => undefined)) }),
      "a query that nobody answers",
    ],
    [
      "another error",
      (inner) => ({ query: (ip) => inner.query(ip).catch(() => Promise.reject(new Error("no answer"))) }),
      "a query that nobody answers",
    ],
    [
      "an error about another address",
      (inner) => ({
        query: (ip) => inner.query(ip).catch(() => Promise.reject(new ArpTimeoutError(IpAddress.any4))),
      }),
      "a query that nobody answers",
    ],
    [
      "a failure that is final",
      (inner) => {
        const failed = new Set<string>();
        return {
          query: (ip) =>
            failed.has(ip.toString())
              ? Promise.reject(new ArpTimeoutError(ip))
              : inner.query(ip).catch((error: unknown) => {
                  failed.add(ip.toString());
                  throw error;
                }),
        };
      },
      "a host that is there at last",
    ],
    [
      "a full table that stays so",
      (inner) => {
        let places = 64;
        return {
          query: (ip) => (places-- > 0 ? inner.query(ip) : Promise.reject(new ArpTimeoutError(ip))),
        };
      },
      "more queries than the table holds",
    ],
    [
      "a claim that ignores a conflict",
      (inner) => ({
        claim: async (ip, options) => {
          await inner.claim(ip, options);
          return true;
        },
      }),
      "a claim of an address that another host has",
    ],
    [
      "a claim that never probes",
      (inner) => ({ claim: (ip) => inner.claim(ip, { probe: false }) }),
      "a claim probes, then announces",
    ],
    [
      "a claim that always probes",
      (inner) => ({ claim: (ip) => inner.claim(ip) }),
      "without probing, a claim announces at once",
    ],
    [
      "an address that is ours too early",
      (inner) => ({
        claim: (ip, options) => {
          void inner.claim(ip, options);
          return Promise.resolve(true);
        },
      }),
      "a host that shows up while we probe",
    ],
    ["a yield that is not one", () => ({ yield: () => undefined }), "yield stops answering"],
  ])("%s", async (_, mutate, caseName) => {
    expect(await failures(mutate)).toContainEqual(expect.stringContaining(caseName));
  });

  test.each<[string, Below, string]>([
    ["requests that are not answered", (netif) => new Losing(netif, /^2 /), "a query finds the host"],
    ["no probes", (netif) => new Losing(netif, /^1 0\.0\.0\.0 /), "a claim probes"],
    ["no announcements", (netif) => new Losing(netif, /^1 (10\S+) \1$/), "a claimed address is defended"],
    ["probes that are not answered", (netif) => new Losing(netif, /^2 \S+ 0\.0\.0\.0$/), "another host's probe"],
    ["a defence without end", (netif) => new Shouting(netif), "a claimed address is defended"],
    ["answers for others", (netif) => new Proxy(netif), "requests for addresses that are not ours"],
  ])("%s", async (_, below, caseName) => {
    expect(await failures(() => ({}), below)).toContainEqual(expect.stringContaining(caseName));
  });
});
