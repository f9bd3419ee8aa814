import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import type { Ip, IpPacket, IpSendOptions } from "@tesserae/device/ip";
import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import { Lan } from "@tesserae/netif/lan";
import { createArp } from "@tesserae/tcpip/arp/arp";
import { createEthernet } from "@tesserae/tcpip/ethernet/ethernet";
import { createIcmp } from "@tesserae/tcpip/icmp/icmp";
import { Link } from "@tesserae/tcpip/ip/link";
import { createIpv4 } from "@tesserae/tcpip/ipv4/ipv4";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { FramePeer } from "./frame-peer.ts";
import { type IpPair, ipSuite } from "./ip.ts";
import { SeededRandom } from "./seeded-random.ts";
import { runSuite } from "./suite.ts";

// What follows breaks the contract on purpose, and expects the suite to notice.

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const silent = IpAddress.parse("10.0.0.99");

type Send = Ip["send"];
type Mutate = (inner: Ip) => Partial<Ip>;
type Hook = (frame: Uint8Array) => boolean;

/** Each property of the inner one, read when it is asked for. */
function wrap(inner: Ip, mutate: Mutate): Ip {
  return {
    get addresses() {
      return inner.addresses;
    },
    isLocal: (address) => inner.isLocal(address),
    source: (destination) => inner.source(destination),
    mtu: (destination) => inner.mtu(destination),
    listen: (protocol, handler) => inner.listen(protocol, handler),
    listenErrors: (protocol, handler) => inner.listenErrors(protocol, handler),
    segmentation: (destination) => inner.segmentation(destination),
    allocate: (length) => inner.allocate(length),
    send: (...parameters) => inner.send(...parameters),
    release: (page) => inner.release(page),
    join: (group, index) => inner.join(group, index),
    leave: (group, index) => inner.leave(group, index),
    ...mutate(inner),
  };
}

/** @param accept which received frames each host takes; it may change them */
async function outcomes(mutate: Mutate, accept: Hook = () => true, optional = true) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock, { onError: () => undefined });
  const make = async (): Promise<IpPair> => {
    const lan = new Lan({ timers, delay: 1, queue: 64 });
    const attach = (index: number) => lan.attach({ name: `host${index}`, mac: new MacAddress(0x0200, index) });
    const host = (index: number) => {
      const netif = attach(index);
      const listen = netif.listen.bind(netif);
      netif.listen = (handler) => {
        listen((page, offset, length) => {
          if (accept(page.bytes.subarray(offset, offset + length))) handler(page, offset, length);
        });
      };
      const ethernet = createEthernet({ netif });
      const random = new SeededRandom(index);
      const arp = createArp({ ethernet, timers, random });
      const ip = createIpv4({ interfaces: [{ link: new Link(1, "eth0", ethernet), arp }], timers, random });
      createIcmp({ ip, timers, random });
      const address = Prefix.parse(`10.0.0.${index}/24`);
      ip.interface(1).configure({ address });
      void arp.claim(address.address, { probe: false });
      return { inner: ip, ip: wrap(ip, mutate), mac: ethernet.mac };
    };
    const a = host(1);
    const b = host(2);
    const station = new FramePeer(attach(3));
    const inject = (packet: Uint8Array): void => {
      const frame = new Uint8Array(14 + packet.length);
      a.mac.write(frame, 0);
      station.netif.mac.write(frame, 6);
      frame.set([8, 0], 12);
      frame.set(packet, 14);
      station.send(frame);
    };
    const unconfigure = (): void => a.inner.interface(1).configure(undefined);
    const rest = { unroutable: IpAddress.parse("203.0.113.77"), inject, unconfigure };
    return { a: a.ip, b: b.ip, timers, silent, ...(optional ? rest : {}) };
  };
  return runSuite(ipSuite, make, (run) => runVirtual({ clock, schedulers: [timers], turn }, run));
}

async function failures(mutate: Mutate, accept?: Hook): Promise<readonly string[]> {
  const all = await outcomes(mutate, accept);
  return all.filter(({ status }) => status === "failed").map(({ name }) => name);
}

/** A mutant of `send` that changes what it is called with. */
function sending(change: (send: Send, ...parameters: Parameters<Send>) => boolean): Mutate {
  return (inner) => ({ send: (...parameters) => change((...rest) => inner.send(...rest), ...parameters) });
}

/** A mutant that changes what handlers get. */
function receiving(change: (packet: IpPacket) => Partial<IpPacket>): Mutate {
  return (inner) => ({
    listen: (protocol, handler) =>
      inner.listen(protocol, (packet) => {
        const { page, offset, length, source, destination, hopLimit, ecn, headerOffset } = packet;
        const plain = { page, offset, length, source, destination, hopLimit, ecn, headerOffset, interface: 1 };
        handler({ ...plain, protocol: packet.protocol, ...change(packet) });
      }),
  });
}

function withOptions(change: (options: IpSendOptions) => IpSendOptions): Mutate {
  return sending((send, to, protocol, page, offset, length, options = {}) =>
    send(to, protocol, page, offset, length, change(options)),
  );
}

describe("the suite of Ip notices", () => {
  test("nothing, of a good one", async () => {
    expect(await failures(() => ({}))).toEqual([]);
  });

  test("less, and says so, without a way to inject packets", async () => {
    const all = await outcomes(() => ({}), undefined, false);
    expect(all.filter(({ status }) => status === "failed")).toEqual([]);
    const skipped = all.filter(({ status }) => status === "skipped").map(({ name }) => name);
    expect(skipped).toContain("fragments are joined in any order, each packet's own");
  });

  test.each<[string, Mutate, string]>([
    ["loopback that is foreign", (inner) => ({ isLocal: (ip) => !ip.isLoopback && inner.isLocal(ip) }), "loopback"],
    ["everything local", () => ({ isLocal: () => true }), "a host's addresses are distinct and local"],
    ["a route to everywhere", (inner) => ({ source: () => inner.addresses[0] }), "source gives an address of ours"],
    ["a source that is not ours", () => ({ source: () => silent }), "source gives an address of ours"],
    ["a wrong source address", receiving(() => ({ source: silent })), "a packet arrives with its addresses"],
    ["a wrong header offset", receiving(({ offset }) => ({ headerOffset: offset - 24 })), "headerOffset"],
    ["a wrong hop limit", receiving(({ hopLimit }) => ({ hopLimit: hopLimit - 1 })), "the defaults"],
    ["ECN that is lost", withOptions((options) => ({ ...options, ecn: 0 })), "hop limit, ECN, source and DF"],
    ["a hop limit that is fixed", withOptions((options) => ({ ...options, hopLimit: 64 })), "hop limit, ECN"],
    [
      "a send that ignores dontFragment",
      withOptions((options) => ({ ...options, dontFragment: false })),
      "a packet longer than the MTU arrives whole, unless DF forbids",
    ],
    [
      "no fragments at all",
      withOptions((options) => ({ ...options, dontFragment: true })),
      "a packet longer than the MTU arrives whole, unless DF forbids",
    ],
    [
      "a payload with its padding",
      receiving(({ length }) => ({ length: Math.max(length, 26) })),
      "payloads of all sizes",
    ],
    [
      "a handler of all protocols",
      (inner) => ({
        listen: (protocol, handler) => {
          for (const each of [253, 254]) if (protocol > 250) inner.listen(each, handler);
          inner.listen(protocol, handler);
        },
      }),
      "packets reach the handler of their protocol",
    ],
    [
      "protocol numbers that are not checked",
      (inner) => ({ listen: (protocol, handler) => inner.listen(protocol & 255, handler) }),
      "a protocol number that is none",
    ],
    [
      "a send without a queue",
      (inner) => {
        const met = new Set<string>();
        return {
          send: (to, ...rest) => {
            if (met.has(to.toString())) return inner.send(to, ...rest);
            met.add(to.toString());
            inner.send(to, ...rest);
            return false;
          },
        };
      },
      "packets wait while the next hop is being resolved",
    ],
    [
      "options that are kept",
      (inner) => ({
        send: (to, protocol, page, offset, length, options) => {
          void Promise.resolve().then(() => inner.send(to, protocol, page, offset, length, options));
          return true;
        },
      }),
      "options are not kept",
    ],
    [
      "no way to itself",
      sending((send, to, protocol, page, ...rest) =>
        send(to.isLoopback ? IpAddress.any4 : to, protocol, page, ...rest),
      ),
      "a host reaches itself",
    ],
    [
      "delivery inside send",
      (inner) => {
        const handlers = new Map<number, (packet: IpPacket) => void>();
        return {
          listen: (protocol, handler) => {
            handlers.set(protocol, handler);
            inner.listen(protocol, handler);
          },
          send: (destination, protocol, page, offset, length, options) => {
            if (!inner.isLocal(destination)) return inner.send(destination, protocol, page, offset, length, options);
            const rest = { hopLimit: 64, ecn: 0, headerOffset: offset - 20, interface: 1 };
            handlers.get(protocol)?.({ page, offset, length, source: destination, destination, protocol, ...rest });
            inner.release(page);
            return true;
          },
        };
      },
      "nothing is delivered inside send",
    ],
    [
      "an error inside send",
      (inner) => {
        let told: Parameters<Ip["listenErrors"]>[1] = () => undefined;
        return {
          listenErrors: (protocol, handler) => {
            told = handler;
            inner.listenErrors(protocol, handler);
          },
          send: (destination, protocol, page, offset, length, options) => {
            if (inner.send(destination, protocol, page, offset, length, options)) return true;
            const ends = { reporter: destination, source: destination, destination };
            told({ kind: "unreachable-host", mtu: 0, ...ends, bytes: page.bytes, offset, length });
            return false;
          },
        };
      },
      "nothing is delivered inside send",
    ],
    [
      "a page that is not given back when there is no route",
      (inner) => ({ send: (to, ...rest) => inner.source(to) !== undefined && inner.send(to, ...rest) }),
      "send takes the page",
    ],
    [
      "a page that is not given back when it is too long",
      (inner) => ({
        send: (to, protocol, page, offset, length, options) =>
          !(options?.dontFragment === true && length > 1480) && inner.send(to, protocol, page, offset, length, options),
      }),
      "send takes the page",
    ],
    [
      "a queue without bounds",
      (inner) => ({
        send: (to, ...rest) => to.equals(silent) || inner.send(to, ...rest),
      }),
      "wait in a bounded queue",
    ],
    ["a release that is not one", () => ({ release: () => undefined }), "come back by release"],
    [
      "a send to nowhere that succeeds",
      (inner) => ({
        send: (...parameters) => {
          inner.send(...parameters);
          return true;
        },
      }),
      "where there is no route",
    ],
    ["addresses that stay", ({ addresses }) => ({ addresses }), "without an address"],
    [
      "a checksum that is left open",
      sending((send, to, protocol, page: Page, ...rest) => {
        page.flags &= ~needsChecksum;
        return send(to, protocol, page, ...rest);
      }),
      "a transport checksum left open",
    ],
    [
      "a checksum in the wrong place",
      sending((send, to, protocol, page: Page, ...rest) => {
        page.checksumOffset += 2;
        return send(to, protocol, page, ...rest);
      }),
      "a transport checksum left open",
    ],
    ["no errors", () => ({ listenErrors: () => undefined }), "ICMP errors reach the handler"],
    [
      "errors of one kind only",
      (inner) => ({
        listenErrors: (protocol, handler) =>
          inner.listenErrors(protocol, (error) => handler({ ...error, kind: "unreachable-host" })),
      }),
      "ICMP errors reach the handler",
    ],
    [
      "errors at the handler of another protocol",
      (inner) => ({
        listenErrors: (protocol, handler) => {
          inner.listenErrors(protocol, handler);
          if (protocol === 254) inner.listenErrors(253, handler);
        },
      }),
      "ICMP errors reach the handler",
    ],
    [
      "a quote from its beginning",
      (inner) => ({
        listenErrors: (protocol, handler) =>
          inner.listenErrors(protocol, (error) => handler({ ...error, offset: error.offset - 20 })),
      }),
      "ICMP errors reach the handler",
    ],
    ["one MTU for all paths", () => ({ mtu: () => 1500 }), "a packet too big for the path"],
  ])("%s", async (_, mutate, caseName) => {
    expect(await failures(mutate)).toContainEqual(expect.stringContaining(caseName));
  });

  /** Fixes the header's checksum after a change. */
  const sign = (frame: Uint8Array): void => {
    frame.fill(0, 24, 26);
    let total = 0;
    for (let at = 14; at < 34; at += 2) total += (frame[at]! << 8) | frame[at + 1]!;
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
    frame.set([(~total >>> 8) & 255, ~total & 255], 24);
  };
  const isIp = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 0;

  test.each<[string, Hook, string]>([
    [
      "fragments that are not joined",
      (frame) => !isIp(frame) || (((frame[20]! << 8) | frame[21]!) & 0x3fff) === 0,
      "a packet longer than the MTU arrives whole",
    ],
    [
      "fragments that are joined by position only",
      (frame) => {
        if (isIp(frame) && (((frame[20]! << 8) | frame[21]!) & 0x3fff) !== 0) {
          frame.fill(0, 18, 20);
          sign(frame);
        }
        return true;
      },
      "fragments are joined in any order",
    ],
    [
      "packets for others",
      (frame) => {
        // Only a forger's, so that the two hosts still find each other.
        if (isIp(frame) && frame[0] === 2 && frame[11] === 3) {
          frame.set([10, 0, 0, frame[5]!], 30);
          sign(frame);
        }
        return true;
      },
      "a packet for another host is not taken",
    ],
    [
      "errors that quote others' packets",
      (frame) => {
        if (isIp(frame) && frame[23] === 1 && frame[34] === 3 && frame[57] === 99) {
          const before = frame[57];
          frame[57] = frame[5]!;
          // The ICMP checksum covers the quote.
          const sum = ((frame[36]! << 8) | frame[37]!) + before - frame[57];
          frame.set([(sum >>> 8) & 255, sum & 255], 36);
        }
        return true;
      },
      "ICMP errors about packets that are not ours",
    ],
  ])("%s", async (_, accept, caseName) => {
    expect(await failures(() => ({}), accept)).toContainEqual(expect.stringContaining(caseName));
  });

  test("a page without headroom", async () => {
    const short: Mutate = (inner) => ({
      allocate: () => {
        const page = inner.allocate();
        return page === undefined ? undefined : Object.assign(page, { bytes: page.bytes.subarray(0, headroom + 1000) });
      },
    });
    expect(await failures(short)).toContainEqual(expect.stringContaining("pages have headroom"));
  });
});
