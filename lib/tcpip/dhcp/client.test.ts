import { IpAddress, MacAddress } from "@tesserae/device/address";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { describe, expect, test } from "vitest";
import { DhcpClient, type DhcpClientOptions } from "./client.ts";
import { addressBytes, addressesOption, option } from "./options.ts";
import type { Lease } from "./lease.ts";
import { type DhcpMessage, type DhcpMessageType, emitDhcp, parseDhcp } from "./wire.ts";

const mac = MacAddress.parse("02:00:00:00:00:01");
const server = IpAddress.parse("10.0.0.254");
const other = IpAddress.parse("10.0.0.253");
const address = IpAddress.parse("10.0.0.50");

function seconds(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

interface Sent {
  readonly at: number;
  readonly to: string;
  readonly message: DhcpMessage;
}

class World {
  now = 1000;
  readonly sent: Sent[] = [];
  readonly events: string[] = [];
  lease: Lease | undefined;
  readonly client: DhcpClient;

  constructor(options: Partial<DhcpClientOptions> = {}) {
    this.client = new DhcpClient({
      mac,
      random: new SeededRandom(7),
      actions: {
        send: (bytes, length, to) => {
          const parsed = parseDhcp(bytes, 0, length);
          if (!parsed.ok) throw new Error(parsed.error.message);
          this.sent.push({ at: this.now, to: to?.toString() ?? "all", message: parsed.value });
        },
        check: (ip) => this.events.push(`check ${ip.toString()}`),
        bound: (lease) => {
          this.lease = lease;
          this.events.push(`bound ${lease.address.toString()}`);
        },
        lost: (reason) => this.events.push(`lost ${reason}`),
      },
      ...options,
    });
  }

  /** Lets time pass, deadline by deadline. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (let steps = 0; this.client.deadline <= end; steps++) {
      if (steps > 10_000) throw new Error("the client does not come to rest");
      this.now = Math.max(this.now, this.client.deadline);
      this.client.tick(this.now);
    }
    this.now = end;
  }

  /** Sent since the last time, in short: `discover→all`. */
  heard(): string[] {
    return this.sent.splice(0).map(({ to, message }) => `${message.type}→${to}`);
  }

  get last(): DhcpMessage {
    return this.sent.at(-1)!.message;
  }

  answer(
    type: DhcpMessageType,
    changes: Partial<DhcpMessage> = {},
    options: [number, Uint8Array | undefined][] = [],
  ): void {
    const all = new Map<number, Uint8Array>([
      [option.serverIdentifier, addressBytes(server)],
      [option.leaseTime, seconds(3600)],
      [option.subnetMask, Uint8Array.of(255, 255, 255, 0)],
      [option.router, addressBytes(server)],
    ]);
    for (const [code, value] of options) {
      if (value === undefined) all.delete(code);
      else all.set(code, value);
    }
    const bytes = new Uint8Array(1500);
    const message: DhcpMessage = {
      operation: "reply",
      type,
      transactionId: this.last.transactionId,
      seconds: 0,
      broadcast: false,
      clientIp: IpAddress.any4,
      yourIp: type === "nak" ? IpAddress.any4 : address,
      clientMac: mac,
      options: all,
      ...changes,
    };
    this.client.receive(bytes, 0, emitDhcp(message, bytes), this.now);
  }

  /** Through to a lease. */
  static bound(options: Partial<DhcpClientOptions> = {}, ack: [number, Uint8Array | undefined][] = []): World {
    const world = new World({ check: false, ...options });
    world.client.start(world.now);
    world.answer("offer");
    world.answer("ack", {}, ack);
    expect(world.client.state).toBe("bound");
    // What an answer to a request that is yet to come would name.
    world.sent.splice(0, world.sent.length - 1);
    return world;
  }
}

describe("RFC 2131 §3.1: getting an address", () => {
  test("discover, offer, request, ack, check, bound", () => {
    const world = new World({ hostName: "www" });
    const { client } = world;
    client.start(world.now);
    expect(client.state).toBe("selecting");
    const discover = world.last;
    expect(discover).toMatchObject({ operation: "request", type: "discover", broadcast: false, seconds: 0 });
    expect(discover.clientMac.equals(mac)).toBe(true);
    expect([...discover.options.get(option.clientIdentifier)!]).toEqual([1, 2, 0, 0, 0, 0, 1]);
    expect(new TextDecoder().decode(discover.options.get(option.hostName))).toBe("www");
    world.advance(500);
    world.answer("offer");
    const request = world.last;
    expect(request).toMatchObject({ type: "request", transactionId: discover.transactionId });
    expect(addressesOption(request.options, option.requestedAddress).map(String)).toEqual(["10.0.0.50"]);
    expect(addressesOption(request.options, option.serverIdentifier).map(String)).toEqual(["10.0.0.254"]);
    expect(request.clientIp.isUnspecified).toBe(true);
    world.answer("ack");
    expect(client.state).toBe("checking");
    expect(world.events).toEqual(["check 10.0.0.50"]);
    client.checked(true, world.now);
    expect(world.events).toEqual(["check 10.0.0.50", "bound 10.0.0.50/24"]);
    expect(world.heard()).toEqual(["discover→all", "request→all"]);
    expect(client.lease).toMatchObject({
      gateway: server,
      server,
      expiresAt: 1500 + 3_600_000,
      renewAt: 1500 + 1_800_000,
    });
  });

  test("§4.1: retransmissions back off from 4 to 64 seconds, each give or take one", () => {
    const world = new World();
    world.client.start(world.now);
    world.advance(300_000);
    const times = world.sent.map(({ at }) => at);
    const gaps = times.slice(1).map((at, index) => at - times[index]!);
    for (const [index, gap] of gaps.entries()) {
      const nominal = Math.min(4000 * 2 ** index, 64_000);
      expect(Math.abs(gap - nominal)).toBeLessThanOrEqual(1000);
    }
    expect(gaps.length).toBeGreaterThanOrEqual(6);
    expect(new Set(gaps.map((gap) => gap % 1000)).size).toBeGreaterThan(1);
    expect(world.sent.at(-1)!.message.seconds).toBe(Math.floor((times.at(-1)! - 1000) / 1000));
  });

  test("a server that does not confirm its offer is left after a minute", () => {
    const world = new World();
    world.client.start(world.now);
    world.answer("offer");
    world.advance(64_001);
    expect(world.heard().slice(0, 6)).toEqual([
      "discover→all",
      ...Array<string>(4).fill("request→all"),
      "discover→all",
    ]);
    expect(world.client.state).toBe("selecting");
  });

  test("§3.1 (5): an address in use is declined, and ten seconds pass", () => {
    const world = new World();
    world.client.start(world.now);
    world.answer("offer");
    world.answer("ack");
    world.heard();
    world.client.checked(false, world.now);
    const { message, to } = world.sent.at(-1)!;
    expect([message.type, to]).toEqual(["decline", "all"]);
    expect(message.clientIp.isUnspecified).toBe(true);
    expect(addressesOption(message.options, option.requestedAddress).map(String)).toEqual(["10.0.0.50"]);
    expect(addressesOption(message.options, option.serverIdentifier).map(String)).toEqual(["10.0.0.254"]);
    world.heard();
    world.advance(9999);
    expect(world.heard()).toEqual([]);
    world.advance(1001);
    expect(world.heard()).toEqual(["discover→all"]);
    expect(world.events).toEqual(["check 10.0.0.50"]);
  });

  test("a refusal of the request starts over, ever more slowly", () => {
    const world = new World({ check: false });
    world.client.start(world.now);
    const delays: number[] = [];
    for (let round = 0; round < 5; round++) {
      world.answer("offer");
      world.answer("nak");
      delays.push(Math.floor((world.client.deadline - world.now) / 1000));
      world.advance(world.client.deadline - world.now);
    }
    expect(delays).toEqual([1, 2, 4, 8, 16]);
  });

  test("§4.4.2: an address held before is asked for again without a discover", () => {
    const world = new World({ previous: address, check: false });
    world.client.start(world.now);
    expect(world.client.state).toBe("rebooting");
    expect(world.last.options.has(option.serverIdentifier)).toBe(false);
    world.answer("ack");
    expect(world.events).toEqual(["bound 10.0.0.50/24"]);
    const refused = new World({ previous: address, check: false });
    refused.client.start(refused.now);
    refused.answer("nak");
    refused.advance(3000);
    expect(refused.heard()).toEqual(["request→all", "discover→all"]);
    const silent = new World({ previous: address, check: false });
    silent.client.start(silent.now);
    silent.advance(66_000);
    expect(silent.heard().at(-1)).toBe("discover→all");
  });

  test("the broadcast flag is set while there is no address, if wanted", () => {
    const world = World.bound({ broadcast: true });
    expect(world.last.broadcast).toBe(true);
    world.advance(1_800_000);
    expect(world.last.broadcast).toBe(false);
  });
});

describe("answers that do not count", () => {
  test.each<[string, Partial<DhcpMessage>, [number, Uint8Array | undefined][]]>([
    ["of another transaction", { transactionId: 1 }, []],
    ["for another client", { clientMac: MacAddress.parse("02:00:00:00:00:09") }, []],
    ["that is a request", { operation: "request" }, []],
    ["with another address than was offered", { yourIp: other }, []],
    ["of another server", {}, [[option.serverIdentifier, addressBytes(other)]]],
    ["without a server", {}, [[option.serverIdentifier, undefined]]],
    ["without a lease time", {}, [[option.leaseTime, undefined]]],
    ["with a mask that has holes", {}, [[option.subnetMask, Uint8Array.of(255, 0, 255, 0)]]],
    ["with a mask of nothing", {}, [[option.subnetMask, new Uint8Array(4)]]],
  ])("an ack %s", (_, changes, options) => {
    const world = new World({ check: false });
    world.client.start(world.now);
    world.answer("offer");
    world.answer("ack", changes, options);
    expect(world.client.state).toBe("requesting");
    expect(world.client.statistics.ignored).toBe(1);
    world.answer("ack");
    expect(world.client.state).toBe("bound");
  });

  test.each(["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"])("an offer of %s", (text) => {
    const world = new World();
    world.client.start(world.now);
    world.answer("offer", { yourIp: IpAddress.parse(text) });
    expect(world.client.state).toBe("selecting");
  });

  test("a second offer, an ack out of the blue, a nak of another server", () => {
    const world = new World({ check: false });
    world.client.start(world.now);
    world.answer("ack");
    expect(world.client.state).toBe("selecting");
    world.answer("offer");
    world.answer("offer", { yourIp: other });
    world.answer("nak", {}, [[option.serverIdentifier, addressBytes(other)]]);
    expect(world.client.state).toBe("requesting");
    world.answer("ack");
    world.answer("nak");
    expect(world.events).toEqual(["bound 10.0.0.50/24"]);
  });
});

describe("RFC 2131 §4.4.5: keeping it", () => {
  test("renewal at T1 from the server alone, rebinding at T2 from all, expiry", () => {
    const world = World.bound();
    world.heard();
    world.advance(1_799_999);
    expect(world.heard()).toEqual([]);
    world.advance(1);
    expect(world.client.state).toBe("renewing");
    expect(world.last.clientIp.equals(address)).toBe(true);
    expect(world.last.options.has(option.requestedAddress)).toBe(false);
    expect(world.last.options.has(option.serverIdentifier)).toBe(false);
    world.advance(1_349_999);
    const renewals = world.heard();
    expect(new Set(renewals)).toEqual(new Set(["request→10.0.0.254"]));
    // Half of what is left each time, at least a minute.
    expect(renewals.length).toBe(6);
    world.advance(1);
    expect(world.client.state).toBe("rebinding");
    world.advance(449_999);
    expect(new Set(world.heard())).toEqual(new Set(["request→all"]));
    expect(world.events).toEqual(["bound 10.0.0.50/24"]);
    world.advance(1);
    expect(world.events).toEqual(["bound 10.0.0.50/24", "lost expired"]);
    expect(world.heard()).toEqual(["discover→all"]);
  });

  test.each(["renewing", "rebinding"])("an ack while %s extends the lease from when it was asked for", (state) => {
    const world = World.bound();
    world.advance(state === "renewing" ? 1_800_000 : 3_150_000);
    expect(world.client.state).toBe(state);
    const asked = world.now;
    world.advance(300);
    world.answer("ack", {}, state === "renewing" ? [] : [[option.serverIdentifier, addressBytes(other)]]);
    expect(world.client.state).toBe("bound");
    expect(world.lease?.expiresAt).toBe(asked + 3_600_000);
    expect(world.lease?.server.equals(state === "renewing" ? server : other)).toBe(true);
  });

  test("a refused renewal gives the address up at once", () => {
    const world = World.bound();
    world.advance(1_800_000);
    world.answer("nak");
    expect(world.events).toEqual(["bound 10.0.0.50/24", "lost nak"]);
    expect(world.client.lease).toBeUndefined();
    world.heard();
    world.advance(2000);
    expect(world.heard()).toEqual(["discover→all"]);
  });

  test("T1 and T2 are the server's, if they make sense", () => {
    const given = World.bound({}, [
      [option.renewalTime, seconds(100)],
      [option.rebindingTime, seconds(200)],
    ]);
    expect(given.lease).toMatchObject({ renewAt: 101_000, rebindAt: 201_000 });
    const odd = World.bound({}, [
      [option.renewalTime, seconds(5000)],
      [option.rebindingTime, seconds(9000)],
    ]);
    expect(odd.lease).toMatchObject({ renewAt: 1_801_000, rebindAt: 3_151_000 });
    const never = World.bound({}, [[option.leaseTime, seconds(0xffffffff)]]);
    expect(never.lease).toMatchObject({ renewAt: Infinity, rebindAt: Infinity, expiresAt: Infinity });
    expect(never.client.deadline).toBe(Infinity);
  });

  test("a lease of no time does not make it ask without end", () => {
    const world = World.bound({}, [[option.leaseTime, seconds(0)]]);
    world.heard();
    world.advance(60_000);
    expect(world.heard().length).toBeLessThan(12);
  });

  test("RFC 3442: classless routes replace the routers", () => {
    const routes = Uint8Array.from([0, 10, 0, 0, 1, 16, 172, 16, 10, 0, 0, 2]);
    const world = World.bound({}, [[option.classlessRoutes, routes]]);
    expect(String(world.lease?.gateway)).toBe("10.0.0.1");
    expect(world.lease?.routes.map(({ prefix, gateway }) => `${prefix.toString()} ${String(gateway)}`)).toEqual([
      "172.16.0.0/16 10.0.0.2",
    ]);
  });

  test("§4.4.6: stopping gives the address back to its server, once", () => {
    const world = World.bound();
    world.heard();
    world.client.stop(world.now);
    expect(world.last.clientIp.equals(address)).toBe(true);
    world.client.stop(world.now);
    expect(world.heard()).toEqual(["release→10.0.0.254"]);
    expect(world.events).toEqual(["bound 10.0.0.50/24", "lost stopped"]);
    world.advance(10_000_000);
    expect(world.heard()).toEqual([]);
  });
});
