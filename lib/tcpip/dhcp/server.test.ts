import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { addressBytes, addressesOption, option, routesOption, textOption, uint32Option } from "./options.ts";
import type { DhcpPool } from "./pool.ts";
import { DhcpServer, type DhcpServerOptions } from "./server.ts";
import { type DhcpMessage, type DhcpMessageType, emitDhcp, parseDhcp } from "./wire.ts";

const ip = (text: string): IpAddress => IpAddress.parse(text);
const own = ip("10.0.0.1");
const one = MacAddress.parse("02:00:00:00:00:01");
const two = MacAddress.parse("02:00:00:00:00:02");
const pool: DhcpPool = {
  network: Prefix.parse("10.0.0.0/24"),
  first: ip("10.0.0.100"),
  last: ip("10.0.0.103"),
  router: own,
  nameServers: [ip("10.0.0.53")],
  timeServers: [ip("10.0.0.123")],
  domainName: "home.arpa",
  mtu: 1400,
  routes: [{ prefix: Prefix.parse("10.9.0.0/16"), gateway: ip("10.0.0.9") }],
  leaseTime: 3_600_000,
};

interface Ask {
  readonly mac?: MacAddress;
  readonly clientIp?: string;
  readonly relayIp?: string;
  readonly requested?: string;
  readonly server?: string;
  readonly more?: readonly (readonly [number, Uint8Array])[];
  readonly broadcast?: boolean;
}

function setup(options: Partial<DhcpServerOptions> = {}) {
  const clock = new VirtualClock();
  const sent: { message: DhcpMessage; to: string }[] = [];
  const checks: IpAddress[] = [];
  const stored: string[] = [];
  const server: DhcpServer = new DhcpServer({
    address: own,
    pools: [pool],
    clock,
    check: false,
    actions: {
      send: (bytes, length, to) => {
        const parsed = parseDhcp(bytes, 0, length);
        if (!parsed.ok) throw new Error(parsed.error.message);
        sent.push({ message: parsed.value, to: `${to.address.toString()}:${to.port}` });
      },
      check: (address) => checks.push(address),
      store: ({ address, state }) => stored.push(`${IpAddress.v4(address).toString()} ${state}`),
    },
    ...options,
  });
  let transaction = 0;
  const send = (type: DhcpMessageType, ask: Ask = {}): void => {
    const bytes = new Uint8Array(600);
    const { mac = one, clientIp, relayIp, requested, server: id, more = [], broadcast = false } = ask;
    const options = new Map<number, Uint8Array>(more);
    if (requested !== undefined) options.set(option.requestedAddress, addressBytes(ip(requested)));
    if (id !== undefined) options.set(option.serverIdentifier, addressBytes(ip(id)));
    const length = emitDhcp(
      {
        ...{ operation: "request", type, transactionId: ++transaction, seconds: 0, broadcast, clientMac: mac, options },
        clientIp: clientIp === undefined ? IpAddress.any4 : ip(clientIp),
        yourIp: IpAddress.any4,
        ...(relayIp === undefined ? {} : { relayIp: ip(relayIp) }),
      },
      bytes,
    );
    server.receive(bytes, 0, length);
  };
  /** What the server says to a message: `offer 10.0.0.100 → 255.255.255.255:68`, or nothing. */
  const ask = (type: DhcpMessageType, about: Ask = {}): string | undefined => {
    sent.length = 0;
    send(type, about);
    const [first] = sent;
    if (first !== undefined) expect(first.message.transactionId).toBe(transaction);
    return first === undefined ? undefined : `${first.message.type} ${first.message.yourIp.toString()} → ${first.to}`;
  };
  /** From the first question to the lease. */
  const lease = (mac: MacAddress, requested?: string): string => {
    const offer = ask("discover", { mac, ...(requested === undefined ? {} : { requested }) });
    if (offer === undefined) return "nothing";
    const offered = sent[0]!.message.yourIp.toString();
    const answer = ask("request", { mac, requested: offered, server: "10.0.0.1" });
    return answer?.startsWith("ack") === true ? offered : String(answer);
  };
  return { clock, server, sent, checks, stored, send, ask, lease };
}

describe("RFC 2131 §4.3.1: DHCPDISCOVER", () => {
  test("is offered the address asked for, when it is free; another gets another", () => {
    const { ask } = setup();
    expect(ask("discover", { requested: "10.0.0.102" })).toBe("offer 10.0.0.102 → 255.255.255.255:68");
    expect(ask("discover", { mac: two, requested: "10.0.0.102" })).not.toMatch(/10\.0\.0\.102/);
    expect(ask("discover", { mac: two, requested: "10.0.0.77" })).toMatch(/^offer 10\.0\.0\.10[013] /);
  });

  test("gets the address it had, though the lease has ended", () => {
    const { lease, clock } = setup();
    const mine = lease(one, "10.0.0.103");
    expect(mine).toBe("10.0.0.103");
    clock.advanceTo(10_000_000);
    expect(lease(one)).toBe(mine);
  });

  test("a pool that is full gives nothing, then what has been free for longest", () => {
    const { lease, clock, server, ask } = setup();
    const macs = [1, 2, 3, 4, 5].map((low) => new MacAddress(0x0200, low + 16));
    const given = macs.map((mac) => {
      clock.advanceTo(clock.now() + 1000);
      return lease(mac);
    });
    expect(new Set(given.slice(0, 4)).size).toBe(4);
    expect(given[4]).toBe("nothing");
    expect(server.statistics.exhausted).toBe(1);
    clock.advanceTo(clock.now() + 700_000);
    expect(ask("discover", { mac: macs[4]! })).toBe(`offer ${given[0]!} → 255.255.255.255:68`);
  });

  test("an offer that nobody takes is free again after a quarter of a minute", () => {
    const { ask, clock, server } = setup();
    for (let low = 0; low < 4; low++) ask("discover", { mac: new MacAddress(0x0200, low + 16) });
    expect(ask("discover", { mac: two })).toBe(undefined);
    clock.advanceTo(15_000);
    expect(ask("discover", { mac: two })).toMatch(/^offer/);
    expect(server.leases.size).toBeLessThanOrEqual(4);
  });

  test("a fixed lease is for its client alone, even outside the range", () => {
    const fixed = [{ mac: two, address: ip("10.0.0.50") }];
    const { lease, ask, sent } = setup({ pools: [{ ...pool, fixed }] });
    expect(ask("discover", { requested: "10.0.0.50" })).not.toMatch(/10\.0\.0\.50/);
    expect(lease(two, "10.0.0.101")).toBe("10.0.0.50");
    expect(uint32Option(sent[0]!.message.options, option.leaseTime)).toBe(3600);
  });

  test("new clients are served a few dozen a second: a flood does not walk the pool for nothing", () => {
    const { send, server } = setup({ pools: [{ ...pool, first: ip("10.0.0.2"), last: ip("10.0.0.254") }] });
    for (let low = 0; low < 1000; low++) send("discover", { mac: new MacAddress(0x0200, low + 16) });
    expect(server.statistics).toMatchObject({ offers: 100, suppressed: 900 });
  });
});

describe("§3.1 (2): addresses are checked before they are offered", () => {
  test("one that is in use is left alone for ten minutes, and the next is tried", () => {
    const { ask, checks, server, sent, clock } = setup({ check: true });
    expect(ask("discover", { requested: "10.0.0.101" })).toBe(undefined);
    expect(checks.map(String)).toEqual(["10.0.0.101"]);
    // It asks again meanwhile: nothing new is checked.
    expect(ask("discover")).toBe(undefined);
    server.checked(checks[0]!, true);
    expect(checks).toHaveLength(2);
    expect(String(checks[1])).not.toBe("10.0.0.101");
    server.checked(checks[1]!, false);
    expect(sent.map(({ message }) => message.type)).toEqual(["offer"]);
    expect(server.statistics.conflicts).toBe(1);
    clock.advanceTo(599_999);
    ask("discover", { mac: two, requested: "10.0.0.101" });
    expect(String(checks[2])).not.toBe("10.0.0.101");
    // An answer that nobody waits for changes nothing.
    server.checked(ip("10.0.0.103"), true);
    expect(server.statistics.conflicts).toBe(1);
  });
});

describe("§4.3.2: DHCPREQUEST", () => {
  test("the lease has what is configured, as far as it is asked for", () => {
    const { ask, sent, stored } = setup({ firstLease: 3_600_000 });
    ask("discover", { requested: "10.0.0.100" });
    const list = Uint8Array.of(option.router, option.nameServers, option.domainName, 26, 42, 121, 200);
    const about = { requested: "10.0.0.100", server: "10.0.0.1", more: [[option.parameterRequestList, list]] as const };
    expect(ask("request", about)).toBe("ack 10.0.0.100 → 255.255.255.255:68");
    const { options } = sent[0]!.message;
    expect(addressesOption(options, option.serverIdentifier).map(String)).toEqual(["10.0.0.1"]);
    expect(addressesOption(options, option.subnetMask).map(String)).toEqual(["255.255.255.0"]);
    expect(addressesOption(options, option.router).map(String)).toEqual(["10.0.0.1"]);
    expect(addressesOption(options, option.nameServers).map(String)).toEqual(["10.0.0.53"]);
    expect(addressesOption(options, option.timeServers).map(String)).toEqual(["10.0.0.123"]);
    expect(textOption(options, option.domainName)).toBe("home.arpa");
    expect([...options.get(option.interfaceMtu)!]).toEqual([5, 120]);
    expect(options.has(option.broadcastAddress)).toBe(false);
    expect([3600, 1800, 3150]).toEqual([51, 58, 59].map((code) => uint32Option(options, code)));
    // RFC 3442: who takes the routes needs the default one among them.
    expect(routesOption(options)?.map(({ prefix, gateway }) => `${prefix.toString()} ${String(gateway)}`)).toEqual([
      "10.9.0.0/16 10.0.0.9",
      "0.0.0.0/0 10.0.0.1",
    ]);
    expect(stored).toEqual(["10.0.0.100 bound"]);
  });

  test("a client's first lease is short, the renewed one whole", () => {
    const { lease, ask, sent, clock } = setup();
    const mine = lease(one);
    expect(uint32Option(sent[0]!.message.options, option.leaseTime)).toBe(600);
    clock.advanceTo(300_000);
    expect(ask("request", { clientIp: mine })).toBe(`ack ${mine} → ${mine}:68`);
    expect(uint32Option(sent[0]!.message.options, option.leaseTime)).toBe(3600);
  });

  test("one that takes another server's offer frees ours", () => {
    const { ask, server } = setup();
    ask("discover", { requested: "10.0.0.100" });
    expect(ask("request", { requested: "10.7.0.1", server: "10.0.0.2" })).toBe(undefined);
    expect(ask("discover", { mac: two, requested: "10.0.0.100" })).toMatch(/^offer 10\.0\.0\.100/);
    expect(server.statistics.ignored).toBe(1);
  });

  test("an address that is another's, or of another network, is refused, by broadcast", () => {
    const { lease, ask } = setup();
    const mine = lease(one);
    expect(ask("request", { mac: two, requested: mine, server: "10.0.0.1" })).toBe("nak 0.0.0.0 → 255.255.255.255:68");
    expect(ask("request", { mac: two, requested: mine })).toBe("nak 0.0.0.0 → 255.255.255.255:68");
    expect(ask("request", { mac: two, clientIp: mine })).toBe("nak 0.0.0.0 → 255.255.255.255:68");
    expect(ask("request", { mac: two, requested: "192.168.1.5" })).toBe("nak 0.0.0.0 → 255.255.255.255:68");
  });

  test("of one that says it had an address, and is not known: silence, unless we alone serve", () => {
    const about = { mac: two, requested: "10.0.0.101" };
    expect(setup().ask("request", about)).toBe(undefined);
    expect(setup({ authoritative: true }).ask("request", about)).toBe("nak 0.0.0.0 → 255.255.255.255:68");
    // Known: it has it again.
    const { lease, ask } = setup();
    lease(two, "10.0.0.101");
    expect(ask("request", about)).toBe("ack 10.0.0.101 → 255.255.255.255:68");
  });

  test("a renewal that we have forgotten is granted when the address is free", () => {
    const { ask } = setup();
    expect(ask("request", { clientIp: "10.0.0.101" })).toBe("ack 10.0.0.101 → 10.0.0.101:68");
    expect(ask("request", { mac: two, clientIp: "10.0.0.200" })).toBe(undefined);
  });

  test("leases of an earlier life are kept", () => {
    const { server, ask } = setup();
    server.restore(ip("10.0.0.102"), "01020000000001", 100_000, "one");
    server.restore(ip("192.0.2.1"), "01020000000002", 100_000, undefined);
    expect(server.leases.size).toBe(1);
    expect(ask("discover", { mac: two, requested: "10.0.0.102" })).not.toMatch(/102/);
    expect(ask("request", { requested: "10.0.0.102" })).toBe("ack 10.0.0.102 → 255.255.255.255:68");
  });
});

describe("the other messages", () => {
  test("§4.3.3: an address that a client declines is not offered for ten minutes", () => {
    const { lease, ask, server, stored } = setup();
    const mine = lease(one);
    ask("decline", { mac: two, requested: mine, server: "10.0.0.1" });
    expect(server.statistics.conflicts).toBe(0);
    ask("decline", { requested: mine, server: "10.0.0.1" });
    expect(stored.at(-1)).toBe(`${mine} declined`);
    expect(lease(one, mine)).not.toBe(mine);
  });

  test("§4.3.4: an address that is given back goes to others, and to the same client first", () => {
    const { lease, ask, stored } = setup();
    const mine = lease(one);
    ask("release", { mac: two, clientIp: mine });
    expect(ask("discover", { mac: two, requested: mine })).not.toContain(mine);
    ask("release", { clientIp: mine });
    expect(stored.at(-1)).toBe(`${mine} free`);
    expect(lease(one)).toBe(mine);
  });

  test("§4.3.5: one that has its address is told the rest", () => {
    const { ask, sent } = setup();
    expect(ask("inform", { clientIp: "10.0.0.7" })).toBe("ack 0.0.0.0 → 10.0.0.7:68");
    expect(sent[0]!.message.options.has(option.leaseTime)).toBe(false);
    expect(sent[0]!.message.options.has(option.router)).toBe(true);
  });

  test("RFC 1542, RFC 3046: what came through a relay goes back to it, with its note; its network counts", () => {
    const behind = {
      network: Prefix.parse("10.5.0.0/24"),
      first: ip("10.5.0.10"),
      last: ip("10.5.0.20"),
    };
    const { ask, sent } = setup({ pools: [pool, behind] });
    const note = Uint8Array.of(1, 2, 65, 66);
    const about = { relayIp: "10.5.0.1", more: [[option.relayInformation, note]] as const };
    expect(ask("discover", about)).toMatch(/^offer 10\.5\.0\.\d+ → 10\.5\.0\.1:67$/);
    expect(sent[0]!.message.options.get(option.relayInformation)).toEqual(note);
    expect(String(sent[0]!.message.relayIp)).toBe("10.5.0.1");
    expect(ask("discover", { relayIp: "10.6.0.1" })).toBe(undefined);
    expect(ask("request", { relayIp: "10.5.0.1", requested: "10.0.0.9" })).toBe("nak 0.0.0.0 → 10.5.0.1:67");
    expect(sent[0]!.message.broadcast).toBe(true);
  });

  test("RFC 4361, RFC 6842: a client is its identifier, and gets it back", () => {
    const { ask, sent } = setup();
    const more = [[option.clientIdentifier, Uint8Array.of(255, 1, 2, 3, 4)]] as const;
    ask("discover", { requested: "10.0.0.101", more });
    expect(sent[0]!.message.options.get(option.clientIdentifier)).toEqual(more[0][1]);
    // Another card, the same client.
    expect(ask("discover", { mac: two, more })).toMatch(/^offer 10\.0\.0\.101/);
  });
});

test.each<[string, Partial<DhcpPool>]>([
  ["is not within", { last: ip("10.0.1.1") }],
  ["has not 1 to 65536 addresses", { last: ip("10.0.0.99") }],
  ["below a minute", { leaseTime: 5 }],
  ["mtu 10", { mtu: 10 }],
  ["too long", { domainName: "x".repeat(400) }],
])("a pool that %s is refused", (words, wrong) => {
  expect(() => setup({ pools: [{ ...pool, ...wrong }] })).toThrow(words);
});
