import { IpAddress } from "@tesserae/device/address";
import { expect, test } from "vitest";
import { TextTrace } from "./trace.ts";
import { createWorld } from "./world.ts";

test("hosts with IPv6: a connection through loss over fd00::/64, and its frames in words", async () => {
  const lines: string[] = [];
  const world = createWorld({ seed: "six", link: { delay: 5, loss: 0.02 } });
  world.observe(new TextTrace((line) => lines.push(line)));
  const server = world.host("server", { ipv6: "on" });
  const client = world.host("client", { ipv6: "on" });
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

test("hosts have no IPv6 unless they are given it", async () => {
  const world = createWorld();
  const host = world.host("plain");
  await world.run();
  expect(host.addresses.map(String)).toEqual(["10.0.0.1"]);
  expect(host.ipv6).toBeUndefined();
  await world.close();
});
