// A zone that is read anew while queries come: none is lost, and answers go on while a large file is read.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import { IpAddress } from "@tesserae/device/address";
import { createNameServer } from "@tesserae/dns/authoritative/name-server";
import { inTurns } from "@tesserae/dns/authoritative/steps";
import { loadZone, loadZoneInSteps } from "@tesserae/dns/authoritative/zone-file";
import { Zones } from "@tesserae/dns/authoritative/zones";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { sleep } from "@tesserae/time/sleep";

const apex = nameFromText("example.test.");
const hosts = 20_000;
const outstanding = 16;

/** In an order that has to be sorted. The address of `www` says which version it is. */
function text(version: number): string {
  const lines = [
    `@ 60 SOA ns admin ${version} 1 1 1 1`,
    "@ 60 NS ns",
    "ns 60 A 192.0.2.1",
    `www 60 A 192.0.2.${version}`,
  ];
  for (let at = 0; at < hosts; at++) lines.push(`h${(at * 7919) % hosts} 60 A 10.0.${at >>> 8}.${at & 255}`);
  return lines.join("\n");
}

function load(version: number) {
  const loaded = loadZone(apex, text(version));
  if (!loaded.ok) throw new Error(loaded.errors.join("\n"));
  return loaded.zone;
}

test("a reload loses no query: each is answered, from the old zone or the new one", { timeout: 120_000 }, async () => {
  const zones = new Zones();
  zones.replace(load(1));
  const { udp, tcp } = createKernelStack();
  const timers = createTimers();
  const address = IpAddress.loopback4;
  const options = { udp, tcp, timers, random: createRandom(), zones, rateLimit: false as const, port: 0, address };
  const server = await createNameServer(options);
  const client = createSocket("udp4");
  client.bind(0, "127.0.0.1");
  await once(client, "listening");
  /** By the version that was answered; index 0 counts what is no answer. */
  const answered = [0, 0, 0, 0, 0];
  const open = new Set<number>();
  let next = 0;
  let ended = false;
  let over: () => void = () => undefined;
  const allOver = new Promise<void>((resolve) => (over = resolve));
  const question = Buffer.from([...nameFromText("www.example.test."), 0, 1, 0, 1]);
  const ask = (): void => {
    const id = next++ & 0xffff;
    open.add(id);
    const header = Buffer.from([id >>> 8, id & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    client.send(Buffer.concat([header, question]), server.local.port, "127.0.0.1");
  };
  client.on("message", (message) => {
    const version = (message[3]! & 15) === 0 && message.readUInt16BE(6) === 1 ? message.at(-1)! : 0;
    answered[version]!++;
    expect(open.delete(message.readUInt16BE(0))).toBe(true);
    if (!ended) ask();
    else if (open.size === 0) over();
  });
  for (let count = 0; count < outstanding; count++) ask();
  for (const version of [2, 3, 4]) {
    const before = answered[version - 1]!;
    let steps = 0;
    const loaded = await inTurns(loadZoneInSteps(apex, text(version)), async () => {
      steps++;
      await sleep(timers, 0);
    });
    if (!loaded.ok) throw new Error(loaded.errors.join("\n"));
    // Answers were given between the steps, all from the zone as it was.
    expect(steps).toBeGreaterThan(50);
    expect(answered[version - 1]! - before).toBeGreaterThan(steps / 4);
    expect(answered[version]).toBe(0);
    zones.replace(loaded.zone);
    while (answered[version] === 0) await sleep(timers, 1);
  }
  ended = true;
  await allOver;
  expect(answered[0]).toBe(0);
  client.close();
  await server.close();
});
