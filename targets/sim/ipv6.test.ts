import { IpAddress } from "@tesserae/device/address";
import { sleep } from "@tesserae/time/sleep";
import { expect, test } from "vitest";
import { TextTrace } from "./trace.ts";
import { createWorld } from "./world.ts";

test("hosts with IPv6: a connection through loss over fd00::/64, and its frames in words", async () => {
  const lines: string[] = [];
  const world = createWorld({ seed: "six", link: { delay: 5, loss: 0.02 } });
  world.observe(new TextTrace((line) => lines.push(line)));
  const server = world.host("server");
  const client = world.host("client");
  const remote = IpAddress.parse("fd00::1");
  let received = 0;
  server.run(async ({ stack }) => {
    expect(stack.addresses.map(String)).toEqual(["10.0.0.1", "fd00::1"]);
    await new Promise<void>((ended) => {
      void stack.tcp.listen({ port: 80 }, async (flow) => {
        expect(flow.remote.address.toString()).toBe("fd00::2");
        const into = new Uint8Array(65_536);
        for (let got = await flow.read(into); got > 0; got = await flow.read(into)) received += got;
        await flow.close();
        ended();
      });
    });
  });
  client.run(async ({ stack }) => {
    await server.ready;
    const flow = await stack.tcp.connect({ address: remote, port: 80 });
    await flow.write(new Uint8Array(300_000));
    await flow.close();
    expect(await client.ownStack.icmp6?.ping(remote, { size: 3000, timeout: 60_000 })).toBeGreaterThanOrEqual(10);
  });
  await world.run();
  await world.close();
  expect(received).toBe(300_000);
  const text = lines.join("\n");
  for (const part of [
    /NDP fd00::2 > ff02::1:ff00:1 who-has fd00::1/,
    /NDP fd00::1 > fd00::2 is-at fd00::1/,
    /MLD \S+ > ff02::16 report ff02::1:ff/,
    /TCP \[fd00::2\]:\d+ > \[fd00::1\]:80 \[S\] seq=\d+ win=\d+ len=0 mss=1440/,
    /IPv6 fd00::2 > fd00::1 fragment id=\d+ at=1448 len=1448\+ protocol=58/,
  ]) {
    expect(text).toMatch(part);
  }
});

test("hosts have both families unless they, or their world, are told otherwise", async () => {
  const world = createWorld();
  const both = world.host("both");
  const plain = world.host("plain", { ipv6: "off" });
  // RFC 8200 §5.
  const narrow = world.host("narrow", { mtu: 1279 });
  await world.run();
  expect(both.addresses.map(String)).toEqual(["10.0.0.1", "fd00::1"]);
  expect(plain.addresses.map(String)).toEqual(["10.0.0.2"]);
  expect(plain.ownStack.ipv6).toBeUndefined();
  expect(narrow.addresses.map(String)).toEqual(["10.0.0.3"]);
  await world.close();
  const old = createWorld({ ipv6: "off" });
  const host = old.host("host");
  const other = old.host("other", { ipv6: "on" });
  await old.run();
  expect(host.addresses.map(String)).toEqual(["10.0.0.1"]);
  expect(other.addresses.map(String)).toEqual(["10.0.0.2", "fd00::2"]);
  await old.close();
});

test("RFC 6724: a name's addresses come in the order in which this host had better try them", async () => {
  const world = createWorld();
  const server = world.host("server");
  const near = world.host("near");
  const far = world.host("far", { ipv4: "192.0.2.1/24" });
  const old = world.host("old", { ipv6: "off" });
  const resolved = (host: typeof near) => host.run(async () => (await host.resolver.resolve("server")).map(String));
  const asked = Promise.all([server, near, far, old].map(resolved));
  await world.run();
  // fd00::/8 has the lower precedence (§2.1); what no route leads to comes last (§6 rule 1).
  expect(await asked).toEqual([
    ["10.0.0.1", "fd00::1"],
    ["10.0.0.1", "fd00::1"],
    ["fd00::1", "10.0.0.1"],
    ["10.0.0.1", "fd00::1"],
  ]);
  await world.close();
});

test("on a big LAN neighbours are asked for where they are, and reports bother no host", async () => {
  const received = async (arp: "flood" | "snoop") => {
    const world = createWorld();
    world.lan("lan", { arp });
    const hosts = Array.from({ length: 20 }, (_, index) => world.host(`h${index}`));
    world.task("pings", async () => {
      for (const host of hosts) await host.ready;
      await sleep(world.timers, 5000);
      for (const host of hosts.slice(1)) await host.ownStack.icmp6?.ping(IpAddress.parse("fd00::1"));
    });
    await world.run();
    await world.close();
    return hosts.reduce((sum, { netif }) => sum + netif.statistics.receivedFrames, 0);
  };
  const flooded = await received("flood");
  const snooped = await received("snoop");
  // Two reports of each host, two announcements and a question: without snooping 19 others hear each of them.
  expect(flooded).toBeGreaterThan(20 * 19 * 4);
  // A question, an answer, and a ping there and back.
  expect(snooped).toBeLessThan(20 * 8);
});
