import { MacAddress } from "@tesserae/device/address";
import type { Ethernet, EthernetHandler } from "@tesserae/device/ethernet";
import type { FrameHandler, Netif } from "@tesserae/device/netif";
import { headroom, type Page } from "@tesserae/device/page";
import { NetifMiddleware } from "@tesserae/netif/middleware";
import { createLink } from "@tesserae/netif/link";
import { createEthernet } from "@tesserae/tcpip/ethernet/ethernet";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { ethernetSuite } from "./ethernet.ts";
import { runSuite } from "./suite.ts";

// What follows breaks the contract on purpose, and expects the suite to notice.

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** An Ethernet that passes everything on; mutants override what they break. */
class Wrapped implements Ethernet {
  protected readonly inner: Ethernet;

  constructor(inner: Ethernet) {
    this.inner = inner;
  }

  get mac(): MacAddress {
    return this.inner.mac;
  }

  get mtu(): number {
    return this.inner.mtu;
  }

  listen(etherType: number, handler: EthernetHandler): void {
    this.inner.listen(etherType, handler);
  }

  allocate(): Page | undefined {
    return this.inner.allocate();
  }

  send(destination: MacAddress, etherType: number, page: Page, offset: number, length: number): boolean {
    return this.inner.send(destination, etherType, page, offset, length);
  }

  release(page: Page): void {
    this.inner.release(page);
  }
}

class SameAddress extends Wrapped {
  override get mac(): MacAddress {
    return new MacAddress(0x0200, 1);
  }
}

class OtherType extends Wrapped {
  override listen(etherType: number, handler: EthernetHandler): void {
    for (const type of [0x88b5, 0x88b6]) this.inner.listen(type, handler);
    this.inner.listen(etherType, handler);
  }
}

class FirstHandlerStays extends Wrapped {
  readonly #types = new Set<number>();
  override listen(etherType: number, handler: EthernetHandler): void {
    if (this.#types.has(etherType)) return;
    this.inner.listen(etherType, handler);
    this.#types.add(etherType);
  }
}

class AnyType extends Wrapped {
  override listen(etherType: number, handler: EthernetHandler): void {
    if (etherType >= 0x0600 && etherType <= 0xffff) super.listen(Math.floor(etherType), handler);
  }
}

class WrongFrameOffset extends Wrapped {
  override listen(etherType: number, handler: EthernetHandler): void {
    super.listen(etherType, (page, offset, length) => handler(page, offset, length, offset));
  }
}

class FixedOffset extends Wrapped {
  override send(destination: MacAddress, etherType: number, page: Page, offset: number, length: number): boolean {
    return super.send(destination, etherType, page, Math.max(offset, headroom), length);
  }
}

class CutShort extends Wrapped {
  override listen(etherType: number, handler: EthernetHandler): void {
    super.listen(etherType, (page, offset, length, frame) => handler(page, offset, Math.min(length, 1499), frame));
  }
}

class KeepsLongFrames extends Wrapped {
  override send(destination: MacAddress, etherType: number, page: Page, offset: number, length: number): boolean {
    return length <= this.mtu && super.send(destination, etherType, page, offset, length);
  }
}

class CountsLongFramesAsSent extends Wrapped {
  override send(destination: MacAddress, etherType: number, page: Page, offset: number, length: number): boolean {
    super.send(destination, etherType, page, offset, length);
    return true;
  }
}

class LeaksOnRelease extends Wrapped {
  override release(): void {
    return;
  }
}

/** An interface whose Ethernet takes every frame for its own. */
class Promiscuous extends NetifMiddleware {
  override listen(handler: FrameHandler): void {
    super.listen((page, offset, length) => {
      if (((page.bytes[offset] ?? 0) & 1) === 0) this.mac.write(page.bytes, offset);
      handler(page, offset, length);
    });
  }
}

class DeafToGroups extends NetifMiddleware {
  override listen(handler: FrameHandler): void {
    super.listen((page, offset, length) => {
      if (((page.bytes[offset] ?? 0) & 1) === 0) handler(page, offset, length);
    });
  }
}

class WrongSource extends NetifMiddleware {
  override transmit(page: Page, offset: number, length: number): boolean {
    page.bytes[offset + 11]! ^= 0x40;
    return super.transmit(page, offset, length);
  }
}

async function failures(
  wrap: (ethernet: Ethernet) => Ethernet,
  below: (netif: Netif) => Netif,
): Promise<readonly string[]> {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock, { onError: () => undefined });
  const make = async () => {
    const { a, b } = createLink({ timers, queue: 64 });
    return {
      a: wrap(createEthernet({ netif: below(a) })),
      b: wrap(createEthernet({ netif: below(b) })),
      timers,
    };
  };
  const outcomes = await runSuite(ethernetSuite, make, (run) => runVirtual({ clock, schedulers: [timers], turn }, run));
  return outcomes.filter(({ status }) => status === "failed").map(({ name }) => name);
}

const asItIs = <T>(each: T): T => each;

describe("the suite of Ethernet notices", () => {
  test("nothing, of a good one", async () => {
    expect(await failures((inner) => new Wrapped(inner), asItIs)).toEqual([]);
  });

  test.each<[string, new (inner: Ethernet) => Ethernet, string]>([
    ["one address for all", SameAddress, "each host has a MAC address"],
    ["a handler of all types", OtherType, "frames reach the handler of their EtherType"],
    ["a first handler that stays", FirstHandlerStays, "listen replaces"],
    ["types that are not checked", AnyType, "a type that is none"],
    ["a wrong place of the header", WrongFrameOffset, "the header names both ends"],
    ["a header in a fixed place", FixedOffset, "send writes its header in front"],
    ["payloads that are cut", CutShort, "payloads of all sizes"],
    ["a page that is not given back", KeepsLongFrames, "send takes the page"],
    ["drops that are called sent", CountsLongFramesAsSent, "send takes the page"],
    ["a release that is not one", LeaksOnRelease, "a page has room"],
  ])("%s", async (_, Mutant, caseName) => {
    const names = await failures((inner) => new Mutant(inner), asItIs);
    expect(names).toContainEqual(expect.stringContaining(caseName));
  });

  test.each<[string, new (inner: Netif) => Netif, string]>([
    ["frames for another address", Promiscuous, "what is for another host does not"],
    ["broadcasts that are not taken", DeafToGroups, "a broadcast arrives"],
    ["a wrong source", WrongSource, "the header names both ends"],
  ])("%s", async (_, Mutant, caseName) => {
    const names = await failures(asItIs, (netif) => new Mutant(netif));
    expect(names).toContainEqual(expect.stringContaining(caseName));
  });
});
