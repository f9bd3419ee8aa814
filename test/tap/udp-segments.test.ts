// Many datagrams at once between our stack and the kernel's sockets: in long frames that neither side's stack has cut.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { loadCalls } from "@tesserae/tap/libc";
import { openNetif, type TapOptions } from "@tesserae/tap/netif";
import { createRouter, type RouterStack } from "@tesserae/tcpip/stack/router";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { afterEach, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";

const reason = unavailable("python3", "ping");
const kernel = { 4: "10.1.0.1", 6: "fd01::1" } as const;
const own = { 4: "10.1.0.2", 6: "fd01::2" } as const;
const size = 1400;
/** Datagrams in one call: all but the last are of `size` bytes. */
const atOnce = 46;
const length = (atOnce - 1) * size + 700;
const rounds = 10;

/** Sends rounds of datagrams, by UDP_SEGMENT. */
const sender = `
import socket, sys, time
family, address, port, size, length, rounds = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(17, 103, size)
for round in range(rounds):
    s.sendto(bytes((index * 7 + (index >> 8) + round) & 255 for index in range(length)), (address, port))
    time.sleep(0.02)
`;

/** Receives so many bytes, with or without UDP_GRO: prints reads, datagrams, lengths other than the usual, and a hash. */
const receiver = `
import hashlib, socket, struct, sys
address, family, gro, size, total = sys.argv[1], *map(int, sys.argv[2:])
s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
if gro:
    s.setsockopt(17, 104, 1)
s.bind((address, 0))
s.settimeout(10)
print(s.getsockname()[1], flush=True)
reads, datagrams, others, got, sha = 0, 0, 0, 0, hashlib.sha256()
while got < total:
    try:
        data, control, _, _ = s.recvmsg(65536, 64)
    except TimeoutError:
        break
    each = next((struct.unpack("i", c[2][:4])[0] for c in control if c[:2] == (17, 104)), len(data))
    reads += 1
    datagrams += -(-len(data) // each)
    others += sum(1 for at in range(0, len(data), each) if min(each, len(data) - at) != size)
    got += len(data)
    sha.update(data)
print(reads, datagrams, others, sha.hexdigest(), flush=True)
`;

function pattern(round: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index * 7 + (index >>> 8) + round);
}

const expectedHash = (): string => {
  const hash = createHash("sha256");
  for (let round = 0; round < rounds; round++) hash.update(pattern(round));
  return hash.digest("hex");
};

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Host {
  readonly namespace: Namespace;
  readonly netif: Netif;
  readonly stack: IpStack;
}

async function host(
  options: Partial<TapOptions> = {},
  change: (calls: SystemCalls) => SystemCalls = (calls) => calls,
): Promise<Host> {
  const namespace = Namespace.create({ ipv6: true });
  open.push(() => namespace.destroy());
  const calls = change(await loadCalls());
  const timers = createTimers();
  open.push(() => timers.close());
  const device = { name: "t0", hostAddress: Prefix.parse(`${kernel[4]}/24`), ...options };
  const netif = await namespace.inside(() => openNetif(calls, device));
  namespace.ip(`address add ${kernel[6]}/64 dev t0 nodad`);
  const stack = await createStack({
    ...{ netif, timers, random: createRandom() },
    ipv4: { kind: "static", address: Prefix.parse(`${own[4]}/24`) },
    ipv6: { kind: "static", address: Prefix.parse(`${own[6]}/64`) },
  });
  open.push(() => stack.close());
  return { namespace, netif, stack };
}

/** What our stack hears of the kernel's sender, and in how many frames. */
async function fromKernel(
  { namespace, netif, stack }: Host,
  family: 4 | 6,
): Promise<{ frames: number; heard: string }> {
  const hash = createHash("sha256");
  let datagrams = 0;
  let others = 0;
  const socket = await stack.udp.bind({ port: 7 }, ({ bytes, offset, length: each }) => {
    hash.update(bytes.subarray(offset, offset + each));
    datagrams++;
    if (each !== size) others++;
  });
  const before = netif.statistics.receivedFrames;
  const args = [family, own[family], 7, size, length, rounds].map(String);
  await namespace.succeeds("python3", ["-c", sender, ...args]);
  for (let wait = 0; wait < 200 && datagrams < atOnce * rounds; wait++) {
    await new Promise((resolve) => void setTimeout(resolve, 10));
  }
  await socket.close();
  return {
    frames: netif.statistics.receivedFrames - before,
    heard: `${datagrams} ${others} ${hash.digest("hex")}`,
  };
}

/** The kernel's receiver: its port, and what it hears in the end, behind how many reads. */
async function listener(
  namespace: Namespace,
  address: string,
  family: 4 | 6,
  gro: boolean,
): Promise<{ port: number; heard: () => Promise<{ reads: number; heard: string }> }> {
  const args = [address, family, gro ? 1 : 0, size, length * rounds].map(String);
  const child = namespace.start("python3", ["-c", receiver, ...args]);
  const ended = once(child, "exit");
  if (child.stdout === null) throw new Error("no output");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const port = Number((await lines.next()).value);
  const heard = async (): Promise<{ reads: number; heard: string }> => {
    const [reads = "", ...words] = String((await lines.next()).value).split(" ");
    await ended;
    return { reads: Number(reads), heard: words.join(" ") };
  };
  return { port, heard };
}

/** What the kernel's receiver hears of our stack, and in how many frames. */
async function toKernel(
  { namespace, netif, stack }: Host,
  family: 4 | 6,
  gro: boolean,
): Promise<{ frames: number; reads: number; heard: string }> {
  const { port, heard } = await listener(namespace, kernel[family], family, gro);
  const socket = await stack.udp.bind({}, () => undefined);
  // Few wait for a neighbour.
  await (family === 4 ? stack.icmp : stack.icmp6)?.ping(IpAddress.parse(kernel[family]), { timeout: 10_000 });
  const before = netif.statistics.sentFrames;
  const target = IpAddress.parse(kernel[family]);
  for (let round = 0; round < rounds; round++) {
    expect(socket.sendMany(pattern(round), 0, length, size, target, port)).toBe(atOnce);
    await new Promise((resolve) => void setTimeout(resolve, 20));
  }
  const said = await heard();
  await socket.close();
  return { frames: netif.statistics.sentFrames - before, ...said };
}

/** A router of ours between two of the kernel's hosts: one's device cuts, the other's perhaps not. */
async function routed(offload: boolean): Promise<{ near: Namespace; far: Namespace; out: Netif; router: RouterStack }> {
  const calls = await loadCalls();
  const timers = createTimers();
  open.push(() => timers.close());
  const sides = [];
  for (const place of [1, 2]) {
    const namespace = Namespace.create({ ipv6: true });
    open.push(() => namespace.destroy());
    const device = { name: "t0", hostAddress: Prefix.parse(`10.${place}.0.1/24`), offload: place === 1 || offload };
    const netif = await namespace.inside(() => openNetif(calls, device));
    namespace.ip(`address add fd0${place}::1/64 dev t0 nodad`);
    namespace.ip(`route add default via 10.${place}.0.2`);
    namespace.ip(`-6 route add default via fd0${place}::2`);
    sides.push({ namespace, netif });
  }
  const router = await createRouter({
    interfaces: sides.map(({ netif }, index) => ({
      ...{ netif, name: `side${index + 1}` },
      ipv4: { kind: "static", address: Prefix.parse(`10.${index + 1}.0.2/24`) },
      ipv6: { kind: "static", address: Prefix.parse(`fd0${index + 1}::2/64`) },
    })),
    ...{ timers, random: createRandom() },
  });
  open.push(() => router.close());
  const [near, far] = sides;
  return { near: near!.namespace, far: far!.namespace, out: far!.netif, router };
}

describe.skipIf(reason !== undefined)(`many datagrams at once${reason === undefined ? "" : ` (${reason})`}`, () => {
  const wanted = `${atOnce * rounds} ${rounds} ${expectedHash()}`;

  describe.each([
    ["io_uring", {}],
    ["batches", { uring: false }],
  ])("by %s", (_how, options) => {
    test.each([4, 6] as const)(
      "come from UDP_SEGMENT in long frames, over IPv%i",
      async (family) => {
        const here = await host(options);
        expect(here.netif.features.segmentsUdp).toBe(true);
        const { frames, heard } = await fromKernel(here, family);
        expect(heard).toBe(wanted);
        // And what neighbours and groups are about.
        expect(frames).toBeLessThan(rounds + 20);
        expect(here.stack.statistics.udp).toMatchObject({ malformed: 0, badChecksum: 0 });
      },
      60_000,
    );

    test.each([
      [4, false],
      [4, true],
      [6, false],
      [6, true],
    ] as const)(
      "go to a socket in long frames, over IPv%i, with UDP_GRO: %s",
      async (family, gro) => {
        const here = await host(options);
        const { frames, reads, heard } = await toKernel(here, family, gro);
        expect(heard).toBe(wanted);
        expect(frames).toBeLessThan(rounds + 20);
        expect(reads).toBe(gro ? rounds : atOnce * rounds);
      },
      60_000,
    );
  });

  describe.each([
    ["cuts them", true],
    ["does not, so that the router cuts them", false],
  ])("through a router, out of a device that %s", (_how, offload) => {
    test.each([4, 6] as const)(
      "arrive, over IPv%i",
      async (family) => {
        const { near, far, out, router } = await routed(offload);
        const address = family === 4 ? "10.2.0.1" : "fd02::1";
        const { port, heard } = await listener(far, address, family, false);
        // Few wait for a neighbour.
        await near.succeeds("ping", ["-c", "1", "-W", "10", address]);
        const before = out.statistics.sentFrames;
        const args = [family, address, port, size, length, rounds].map(String);
        await near.succeeds("python3", ["-c", sender, ...args]);
        expect((await heard()).heard).toBe(wanted);
        const frames = out.statistics.sentFrames - before;
        if (offload) expect(frames).toBeLessThan(rounds + 20);
        else expect(frames).toBeGreaterThanOrEqual(atOnce * rounds);
        expect((family === 4 ? router.forwarding : router.forwarding6)?.statistics.segmented).toBe(0);
      },
      60_000,
    );
  });

  describe.each<[string, Partial<TapOptions>, (calls: SystemCalls) => SystemCalls]>([
    ["without offloads", { offload: false }, (calls) => calls],
    ["on a kernel before 6.2", {}, withoutUso],
  ])("%s", (_how, options, change) => {
    test.each([4, 6] as const)(
      "each has a frame of its own, over IPv%i",
      async (family) => {
        const here = await host(options, change);
        expect(here.netif.features.segmentsUdp).toBe(false);
        const came = await fromKernel(here, family);
        expect(came.heard).toBe(wanted);
        expect(came.frames).toBeGreaterThanOrEqual(atOnce * rounds);
        const went = await toKernel(here, family, false);
        expect(went.heard).toBe(wanted);
        expect(went.frames).toBeGreaterThanOrEqual(atOnce * rounds);
      },
      60_000,
    );
  });
});

/** A kernel that knows nothing of USO refuses the request that names it. */
function withoutUso(calls: SystemCalls): SystemCalls {
  const TUNSETOFFLOAD = 0x400454d0;
  const EINVAL = 22;
  const value = (fd: number, request: number, argument: number): number =>
    request === TUNSETOFFLOAD && (argument & 0x60) !== 0 ? -EINVAL : calls.ioctlNumber(fd, request, argument);
  // as: what it inherits is the rest of it
  return Object.create(calls, { ioctlNumber: { value } }) as SystemCalls;
}
