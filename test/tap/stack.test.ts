// Our stack over a tap device against the real Linux TCP/IP, in both roles.
import { mkdtemp, rm } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Netif } from "@tesserae/device/netif";
import { Skipped } from "@tesserae/conformance/suite";
import { stackSuite } from "@tesserae/conformance/stack";
import { tcpSuite, type StackPair } from "@tesserae/conformance/tcp";
import { udpSuite } from "@tesserae/conformance/udp";
import { faults } from "@tesserae/netif/faults";
import { pcap } from "@tesserae/netif/pcap";
import { CaptureFile } from "@tesserae/node/capture-file";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { createTap } from "@tesserae/tap/netif";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Namespace, netemUnavailable, unavailable } from "../namespace/namespace.ts";

const reason = unavailable("ping");
const kernelAddress = IpAddress.parse("10.1.0.1");
const ownAddress = IpAddress.parse("10.1.0.2");
const silent = IpAddress.parse("10.1.0.99");

const open: { close(): unknown }[] = [];
let namespace: Namespace;
let leave: () => void;

beforeAll(async () => {
  if (reason !== undefined) return;
  namespace = Namespace.create();
  // The kernel's sockets of this process are made inside too.
  leave = await namespace.enter();
});
afterAll(() => {
  if (reason !== undefined) return;
  leave();
  namespace.destroy();
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function stacks(
  options: { readonly mtu?: number; readonly offload?: boolean; readonly wrap?: (netif: Netif) => Netif } = {},
): Promise<{ readonly own: IpStack; readonly kernel: StackPair["a"]; readonly timers: StackPair["timers"] }> {
  const timers = createTimers();
  open.push(timers);
  // What looks into frames, or damages them, is to see them as on a wire.
  const { mtu, wrap = (netif: Netif): Netif => netif, offload = options.wrap === undefined } = options;
  const device = await createTap({
    name: "t0",
    hostAddress: Prefix.parse("10.1.0.1/24"),
    offload,
    ...(mtu === undefined ? {} : { mtu }),
  });
  const own = await createStack({
    netif: wrap(device),
    timers,
    random: createRandom(),
    ipv4: { kind: "static", address: Prefix.parse("10.1.0.2/24"), gateway: kernelAddress },
    onError: () => undefined,
  });
  open.push(own);
  const kernel = createKernelStack({ linger: 3000, report: () => undefined });
  open.push(kernel);
  return { own, kernel, timers };
}

const roles = {
  "the kernel connects, our stack listens": async (): Promise<StackPair> => {
    const { own, kernel, timers } = await stacks();
    return { a: kernel, b: own, addressOfB: ownAddress, timers, silent };
  },
  "our stack connects, the kernel listens": async (): Promise<StackPair> => {
    const { own, kernel, timers } = await stacks();
    return { a: own, b: kernel, addressOfB: kernelAddress, timers, silent };
  },
};

/** Sends `total` bytes from one flow to the other, and compares what arrives. */
async function transfer(from: Flow, to: Flow, total: number): Promise<void> {
  const sent = createHash("sha256");
  const received = createHash("sha256");
  const send = async (): Promise<void> => {
    const chunk = new Uint8Array(60_000);
    for (let done = 0; done < total;) {
      const part = chunk.subarray(0, Math.min(chunk.length, total - done));
      for (let index = 0; index < part.length; index += 97) part[index] = (done + index) * 31;
      sent.update(part);
      await from.write(part);
      done += part.length;
    }
    await from.end();
  };
  const receive = async (): Promise<number> => {
    const into = new Uint8Array(65_536);
    let count = 0;
    for (let got = await to.read(into); got > 0; got = await to.read(into)) {
      received.update(into.subarray(0, got));
      count += got;
    }
    return count;
  };
  const [count] = await Promise.all([receive(), send()]);
  expect(count).toBe(total);
  expect(received.digest("hex")).toBe(sent.digest("hex"));
}

async function connected(from: StackPair["a"], to: StackPair["a"], address: IpAddress): Promise<[Flow, Flow]> {
  let accepted: (flow: Flow) => void;
  const far = new Promise<Flow>((resolve) => (accepted = resolve));
  const listener = await to.tcp.listen({ port: 0 }, (flow) => accepted(flow));
  const near = await from.tcp.connect({ address, port: listener.local.port });
  return [near, await far];
}

describe.skipIf(reason !== undefined)(`on a tap device${reason === undefined ? "" : ` (${reason})`}`, () => {
  for (const [role, pair] of Object.entries(roles)) {
    describe.each([
      ["Tcp", tcpSuite],
      ["Udp", udpSuite],
      ["Stack", stackSuite],
    ] as const)(`${role}: the contract of %s`, (_name, suite) => {
      for (const each of suite) {
        test(
          each.name,
          async (context) => {
            try {
              await each.run(await pair());
            } catch (error) {
              if (error instanceof Skipped) context.skip(error.message);
              throw error;
            }
          },
          60_000,
        );
      }
    });
  }

  test.each([1, 56, 1472, 1473, 8000, 65_000])("the kernel's ping with %i bytes is answered", async (size) => {
    await stacks();
    // One by one: with an answer in hand, ping waits for the others no longer than a moment.
    for (let round = 0; round < 3; round++) {
      const ran = await namespace.ran("ping", ["-c", "1", "-W", "10", "-s", `${size}`, "10.1.0.2"]);
      expect(ran.stdout).toContain("1 received");
    }
  });

  test.each([
    [576, true],
    [1500, true],
    [1500, false],
    [9000, true],
    [65_521, true],
    [65_521, false],
  ])("megabytes both ways at MTU %i, offload %s", async (mtu, offload) => {
    const { own, kernel } = await stacks({ mtu, offload });
    const [near, far] = await connected(kernel, own, ownAddress);
    await Promise.all([transfer(near, far, 8_000_000), transfer(far, near, 8_000_000)]);
    await Promise.all([near.close(), far.close()]);
  });

  test("megabytes both ways through loss, reordering and duplication on both sides", async () => {
    const bad = { loss: 0.02, reorder: 0.02, duplicate: 0.02, corrupt: 0.005 };
    const timers = createTimers();
    open.push(timers);
    const { own, kernel } = await stacks({
      wrap: (inner) => faults(inner, { ...bad, timers, random: createRandom() }),
    });
    const [near, far] = await connected(kernel, own, ownAddress);
    await Promise.all([transfer(near, far, 3_000_000), transfer(far, near, 3_000_000)]);
    await Promise.all([near.close(), far.close()]);
  }, 120_000);

  const noNetem = netemUnavailable();
  test("megabytes both ways under netem with 2 % loss and 10 ms", async (context) => {
    if (noNetem !== undefined) context.skip(noNetem);
    const { own, kernel } = await stacks();
    namespace.netem("t0", { loss: 0.02, delay: 10, jitter: 2 });
    const [near, far] = await connected(own, kernel, kernelAddress);
    await Promise.all([transfer(near, far, 2_000_000), transfer(far, near, 2_000_000)]);
    await Promise.all([near.close(), far.close()]);
  }, 120_000);

  const noTshark = unavailable("tshark");
  test.skipIf(noTshark !== undefined)(
    "tshark finds no malformed packet and no bad checksum in a capture",
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "tesserae-capture-"));
      const path = join(folder, "t0.pcapng");
      try {
        const capture = new CaptureFile(path);
        const clock = createTimers();
        const wrap = (inner: Netif): Netif =>
          pcap(inner, { sink: capture, interfaceId: capture.addInterface({ name: "t0" }), clock });
        const { own, kernel } = await stacks({ wrap });
        await namespace.succeeds("ping", ["-c", "1", "-W", "10", "-s", "4000", "10.1.0.2"]);
        const echo = await own.udp.bind({}, ({ bytes, offset, length, source, sourcePort }) => {
          echo.send(bytes, offset, length, source, sourcePort);
        });
        const echoed = new Promise<number>((resolve) => {
          void kernel.udp
            .bind({}, ({ length }) => resolve(length))
            .then((socket) => socket.send(new Uint8Array(3001), 0, 3001, ownAddress, echo.local.port));
        });
        expect(await echoed).toBe(3001);
        for (const [from, to, address] of [
          [kernel, own, ownAddress],
          [own, kernel, kernelAddress],
        ] as const) {
          const [near, far] = await connected(from, to, address);
          await Promise.all([transfer(near, far, 300_001), transfer(far, near, 300_001)]);
          await Promise.all([near.close(), far.close()]);
        }
        await own.close();
        capture.close();
        const check = (filter: string): string =>
          namespace.run("tshark", [
            ...["-r", path, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"],
            // Nothing is told by the ports, which are drawn, nor by what the bytes look like.
            ...["-d", "tcp.port==1-65535,data", "-d", "udp.port==1-65535,data"],
            ...["-o", "udp.check_checksum:TRUE", "-Y", filter],
          ]);
        expect(check("_ws.malformed || _ws.short")).toBe("");
        const bad = ["ip", "tcp", "udp"].map((layer) => `${layer}.checksum.status == 0`).join(" || ");
        // Linux says 0xffff for a sum of zero in TCP, too, where it completes a checksum in software (CSUM_MANGLED_0).
        const linux = `(ip.src == ${kernelAddress.toString()} && tcp.checksum == 0xffff)`;
        expect(check(`(${bad} || icmp.checksum.status == 0) && !${linux}`)).toBe("");
        expect(check("tcp").split("\n").length).toBeGreaterThan(200);
        expect(check("udp").split("\n").length).toBeGreaterThan(2);
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    60_000,
  );
});
