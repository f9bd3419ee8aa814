import { expect, test } from "vitest";
import { readPcapng, type PcapngItem } from "@tesserae/wire/pcapng-reader";
import { PcapngWriter } from "@tesserae/wire/pcapng-writer";
import { LinkCapture } from "./link-capture.ts";
import { createWorld } from "./world.ts";

test("each link has a capture, an interface a direction, and says what it dropped and why", async () => {
  const world = createWorld({ seed: "a", link: { delay: 5 } });
  const blocks = new Map<string, Uint8Array[]>();
  const capture = new LinkCapture((link) => {
    if (link === "lan-other") return undefined;
    const list: Uint8Array[] = [];
    blocks.set(link, list);
    return new PcapngWriter((block) => list.push(block.slice()));
  }, 1_767_225_600_000);
  world.observe(capture);
  const [server, client] = [world.host("server"), world.host("client")];
  world.host("other");
  client.run(async ({ stack }) => {
    await server.ready;
    await server.stack.tcp.listen({ port: 7 }, (flow) => flow.close());
    const [link] = world.linksOf(client);
    link?.forward.configure({ loss: 0.3 });
    const flow = await stack.tcp.connect({ address: server.address, port: 7 });
    await flow.write(new Uint8Array(20_000));
    await flow.close();
  });
  await world.run();
  expect([...blocks.keys()].sort()).toEqual(["client-lan", "lan-server"]);
  const [link] = world.linksOf(client);
  const items = [...readPcapng(Buffer.concat(blocks.get("client-lan") ?? []))];
  const packets = (direction: string): (PcapngItem & { readonly kind: "packet" })[] => {
    const id = items.flatMap((item) => (item.kind === "interface" && item.name === direction ? [item.id] : []))[0];
    return items.flatMap((item) => (item.kind === "packet" && item.interfaceId === id ? [item] : []));
  };
  const out = packets("client>lan");
  expect(out.length).toBe(link?.forward.sent);
  expect(out.filter((each) => each.comment === "lost").length).toBe(link?.forward.dropped);
  expect(link?.forward.dropped).toBeGreaterThan(0);
  expect(packets("lan>client").length).toBe(link?.backward.sent);
});
