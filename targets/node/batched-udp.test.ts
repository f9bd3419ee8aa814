import { IpAddress } from "@tesserae/device/address";
import { afterEach, expect, test } from "vitest";
import { batchedUdp } from "./batched-udp.ts";
import { createKernelStack } from "./kernel-stack.ts";

const available = batchedUdp();
const open: { close(): Promise<void> | void }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

async function until(condition: () => boolean): Promise<void> {
  const since = Date.now();
  while (!condition() && Date.now() - since < 10_000) await new Promise((resolve) => void setTimeout(resolve, 5));
}

test.skipIf(available !== true)("several stacks share a port, and each sender stays with one", async () => {
  const heard: Set<number>[] = [];
  let port = 0;
  for (let index = 0; index < 2; index++) {
    const stack = createKernelStack({ spread: true });
    open.push(stack);
    const senders = new Set<number>();
    heard.push(senders);
    const socket = await stack.udp.bind({ address: IpAddress.loopback4, port }, ({ sourcePort }) => {
      senders.add(sourcePort);
    });
    port = socket.local.port;
  }
  const client = createKernelStack();
  open.push(client);
  for (let index = 0; index < 64; index++) {
    const socket = await client.udp.bind({}, () => undefined);
    for (let round = 0; round < 3; round++) socket.send(new Uint8Array(5), 0, 5, IpAddress.loopback4, port);
  }
  await until(() => heard[0]!.size + heard[1]!.size >= 64);
  const [first, second] = heard;
  expect(first!.size + second!.size).toBe(64);
  expect([...first!].filter((each) => second!.has(each))).toEqual([]);
  // The chance that all of 64 fall to one is 2⁻⁶³.
  expect(Math.min(first!.size, second!.size)).toBeGreaterThan(0);
});

test.skipIf(available !== true)(
  "more than a batch of datagrams, sent in one turn, arrive whole and in order",
  async () => {
    const stack = createKernelStack();
    open.push(stack);
    const got: string[] = [];
    const there = await stack.udp.bind({ address: IpAddress.loopback4 }, ({ bytes, offset, length }) => {
      got.push(`${bytes[offset] ?? -1} ${length}`);
    });
    const here = await stack.udp.bind({ address: IpAddress.loopback4 }, () => undefined);
    const bytes = new Uint8Array(200);
    const wanted: string[] = [];
    for (let index = 0; index < 150; index++) {
      bytes[0] = index;
      const length = 1 + (index % 200);
      here.send(bytes, 0, length, IpAddress.loopback4, there.local.port);
      wanted.push(`${index} ${length}`);
    }
    await until(() => got.length >= 150);
    expect(got).toEqual(wanted);
  },
);
