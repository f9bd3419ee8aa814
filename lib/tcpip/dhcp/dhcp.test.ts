import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import type { Log } from "@tesserae/device/log";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Lan } from "@tesserae/netif/lan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { expect, test } from "vitest";
import { createStack, type Ipv4Setting } from "../stack/stack.ts";
import { addressBytes, addressesOption, option } from "./options.ts";
import { type DhcpMessage, type DhcpMessageType, emitDhcp, parseDhcp } from "./wire.ts";

const serverIp = IpAddress.parse("10.0.0.254");

/** A server on a stack of our own, with its hosts on one switch. */
async function setup(leaseTime = 600) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const lan = new Lan({ timers, delay: 1 });
  const drive = <T>(promise: Promise<T>): Promise<T> =>
    runVirtual({ clock, schedulers: [timers], turn: () => new Promise((resolve) => setImmediate(resolve)) }, promise);
  const host = (name: string, low: number, ipv4: Ipv4Setting) =>
    drive(
      createStack({
        netif: lan.attach({ name, mac: new MacAddress(0x0200, low) }),
        timers,
        random: new SeededRandom(low),
        ipv4,
      }),
    );
  const pause = (ms: number): Promise<void> =>
    drive(new Promise((resolve) => timers.timer(resolve).set(clock.now() + ms)));
  const server = await host("server", 254, { kind: "static", address: Prefix.parse("10.0.0.254/24") });
  const log: string[] = [];
  let next = 50;
  let refusing = false;
  const socket = await server.udp.bind({ port: 67 }, ({ bytes, offset, length, source, destination }) => {
    const parsed = parseDhcp(bytes, offset, length);
    if (!parsed.ok) throw new Error(parsed.error.message);
    const message = parsed.value;
    log.push(`${message.type} ${source.toString()}→${destination.toString()}`);
    const reply = (type: DhcpMessageType, yourIp: IpAddress): void => {
      const out: DhcpMessage = {
        ...message,
        operation: "reply",
        type,
        yourIp,
        options: new Map([
          [option.serverIdentifier, addressBytes(serverIp)],
          [option.leaseTime, Uint8Array.of(0, 0, leaseTime >>> 8, leaseTime)],
          [option.subnetMask, Uint8Array.of(255, 255, 255, 0)],
          [option.router, addressBytes(serverIp)],
        ]),
      };
      const buffer = new Uint8Array(600);
      const to = message.clientIp.isUnspecified ? IpAddress.broadcast4 : message.clientIp;
      socket.send(buffer, 0, emitDhcp(out, buffer), to, 68);
    };
    const [requested] = addressesOption(message.options, option.requestedAddress);
    if (message.type === "discover") reply("offer", IpAddress.v4(0x0a000000 + next));
    else if (message.type === "decline") next++;
    else if (message.type === "request") {
      if (refusing) reply("nak", IpAddress.any4);
      else reply("ack", message.clientIp.isUnspecified ? requested! : message.clientIp);
    }
  });
  const refuse = (): void => {
    refusing = true;
  };
  return { clock, timers, host, server, drive, pause, log, refuse };
}

test("a host gets an address, is reached under it, renews it and gives it back", async () => {
  const { host, server, drive, pause, log, clock } = await setup();
  const client = await host("client", 1, { kind: "dhcp" });
  expect(client.addresses.map(String)).toEqual(["10.0.0.50"]);
  // RFC 5227 asks for up to seven seconds of probes.
  expect(clock.now()).toBeLessThan(9000);
  expect(log.splice(0)).toEqual(["discover 0.0.0.0→255.255.255.255", "request 0.0.0.0→255.255.255.255"]);
  expect(await drive(server.icmp.ping(client.addresses[0]!))).toBe(4);
  expect(String(client.ip.source(IpAddress.parse("192.0.2.1")))).toBe("10.0.0.50");
  await pause(1_000_000);
  expect(log.length).toBeGreaterThanOrEqual(3);
  expect(new Set(log.splice(0))).toEqual(new Set(["request 10.0.0.50→10.0.0.254"]));
  expect(client.addresses.map(String)).toEqual(["10.0.0.50"]);
  await drive(client.close());
  await pause(10);
  expect(log).toEqual(["release 10.0.0.50→10.0.0.254"]);
  expect(client.addresses).toEqual([]);
});

test("an address that somebody uses already is declined, and the next one taken", async () => {
  const { host, log } = await setup();
  await host("squatter", 9, { kind: "static", address: Prefix.parse("10.0.0.50/24") });
  const client = await host("client", 1, { kind: "dhcp" });
  expect(client.addresses.map(String)).toEqual(["10.0.0.51"]);
  expect(log.map((line) => line.split(" ")[0])).toEqual(["discover", "request", "decline", "discover", "request"]);
});

test("RFC 5227 §2.4: an address that another host goes on using is declined, if that is wanted, or defended", async () => {
  for (const yields of [true, false]) {
    const { host, log, pause, server } = await setup();
    const client = await host("client", 1, { kind: "dhcp", probe: false, yields });
    const squatter = await host("squatter", 9, { kind: "static", address: Prefix.parse("10.0.0.77/24") });
    const address = IpAddress.parse("10.0.0.50");
    log.length = 0;
    for (let time = 0; time < 2; time++) {
      void squatter.arp.claim(address, { probe: false });
      await pause(1000);
      squatter.arp.yield(address);
    }
    expect(client.addresses.map(String)).toEqual(yields ? [] : ["10.0.0.50"]);
    await pause(30_000);
    expect(client.addresses.map(String)).toEqual([yields ? "10.0.0.51" : "10.0.0.50"]);
    expect(log.map((line) => line.split(" ")[0])).toEqual(yields ? ["decline", "discover", "request"] : []);
    await server.close();
  }
});

test("without probes an address is ours as soon as it is granted", async () => {
  const { host, clock } = await setup();
  const start = clock.now();
  const client = await host("client", 1, { kind: "dhcp", probe: false });
  expect(client.addresses.map(String)).toEqual(["10.0.0.50"]);
  expect(clock.now() - start).toBe(4);
});

test("the operator is told, once, when no server answers", async () => {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const warnings: string[] = [];
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (message) => warnings.push(message),
    error: () => undefined,
    enabled: () => true,
    child: () => log,
  };
  const controller = new AbortController();
  const stack = createStack({
    netif: new Lan({ timers }).attach({ name: "alone", mac: new MacAddress(0x0200, 1) }),
    timers,
    random: new SeededRandom(1),
    log,
    ipv4: { kind: "dhcp" },
    signal: controller.signal,
  });
  timers.timer(() => controller.abort()).set(600_000);
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  await expect(runVirtual({ clock, schedulers: [timers], turn }, stack)).rejects.toMatchObject({ kind: "aborted" });
  expect(warnings).toEqual(["no DHCP server answers; still asking"]);
});

test("a refused renewal takes the address away", async () => {
  const { host, pause, refuse, drive, server } = await setup();
  const client = await host("client", 1, { kind: "dhcp", probe: false });
  refuse();
  await pause(301_000);
  expect(client.addresses).toEqual([]);
  expect(client.ip.source(serverIp)).toBeUndefined();
  await expect(drive(server.icmp.ping(IpAddress.parse("10.0.0.50")))).rejects.toThrow();
});
