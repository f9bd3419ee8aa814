import { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import { stackSuite } from "@tesserae/conformance/stack";
import { Skipped } from "@tesserae/conformance/suite";
import { tcpSuite, type StackPair } from "@tesserae/conformance/tcp";
import { udpSuite } from "@tesserae/conformance/udp";
import { afterEach, describe, expect, test } from "vitest";
import { createKernelStack } from "./kernel-stack.ts";
import { createTimers } from "./timers.ts";

const open: { close(): void | Promise<void> }[] = [];
const reported: unknown[] = [];

function pair(batched = true): StackPair {
  const report = (error: unknown): void => void reported.push(error);
  const a = createKernelStack({ report, linger: 2000, batched });
  const b = createKernelStack({ report, linger: 2000, batched });
  const timers = createTimers();
  open.push(a, b, timers);
  return { a, b, addressOfB: IpAddress.loopback4, timers };
}

afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

async function connected(subject: StackPair): Promise<[near: Flow, far: Flow]> {
  const accepted: Flow[] = [];
  const listener = await subject.b.tcp.listen({ port: 0 }, (flow) => void accepted.push(flow));
  const near = await subject.a.tcp.connect({ address: IpAddress.loopback4, port: listener.local.port });
  while (accepted.length === 0) await new Promise((resolve) => void setImmediate(resolve));
  return [near, accepted[0]!];
}

describe.each([
  ["Tcp", tcpSuite, true],
  ["Udp, many datagrams a call", udpSuite, true],
  ["Udp, one datagram a call", udpSuite, false],
  ["Stack", stackSuite, true],
] as const)("kernel sockets keep the contract of %s", (_name, suite, batched) => {
  for (const each of suite) {
    test(each.name, async (context) => {
      try {
        await each.run(pair(batched));
      } catch (error) {
        if (error instanceof Skipped) context.skip(error.message);
        throw error;
      }
    });
  }
});

describe("kernel flows", () => {
  test("an IPv4 peer of a dual-stack listener has an IPv4 address", async () => {
    const [near, far] = await connected(pair());
    expect(far.remote.address.toString()).toBe("127.0.0.1");
    expect(far.local.address.toString()).toBe("127.0.0.1");
    near.abort();
  });

  test("close waits no longer than the linger bound for a peer that never ends", async () => {
    const a = createKernelStack({ linger: 50 });
    const subject = { ...pair(), a };
    open.push(a);
    const [near, far] = await connected(subject);
    await near.write(new Uint8Array(10));
    await near.close();
    expect(await far.read(new Uint8Array(20))).toBe(10);
    far.abort();
  });

  test("a short write after one with more leaves in the same segment", async () => {
    const [near, far] = await connected(pair());
    const reading = far.read(new Uint8Array(100));
    void near.write(new Uint8Array(30), true);
    await near.write(new Uint8Array(12));
    expect(await reading).toBe(42);
    near.abort();
  });

  test("a listener below port 1024 without the privilege rejects with permission", async (context) => {
    if (process.getuid?.() === 0) context.skip("root may listen on any port: run as a user");
    const { b } = pair();
    await expect(b.tcp.listen({ port: 1 }, () => undefined)).rejects.toMatchObject({ kind: "permission" });
  });

  test("connect and listen after the stack was closed reject with closed", async () => {
    const { a } = pair();
    await a.close();
    await expect(a.tcp.connect({ address: IpAddress.loopback4, port: 9 })).rejects.toMatchObject({ kind: "closed" });
    await expect(a.tcp.listen({ port: 0 }, () => undefined)).rejects.toMatchObject({ kind: "closed" });
    await expect(a.udp.bind({}, () => undefined)).rejects.toMatchObject({ kind: "closed" });
  });
});
