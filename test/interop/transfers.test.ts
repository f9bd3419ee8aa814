// Bulk data between the kernel and our stack: many flows at once, and links of unusual size. Every byte is compared.
import { createHash } from "node:crypto";
import { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { FrameHandler, Netif } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import type { Tcp } from "@tesserae/device/tcp";
import { NetifMiddleware } from "@tesserae/netif/middleware";
import { afterEach, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { GuardedStack, kernelAddress, ownAddress, type GuardedStackOptions } from "./guarded-stack.ts";

const reason = unavailable("ip", "python3");
const patience = 60_000;

let guarded: GuardedStack | undefined;
afterEach(async () => {
  await guarded?.close();
  guarded = undefined;
});

async function open(options?: GuardedStackOptions): Promise<GuardedStack> {
  guarded = await GuardedStack.open(options);
  return guarded;
}

/** Bytes that differ from flow to flow and from place to place. */
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0, value = seed + 1; index < length; index++) {
    value = (Math.imul(value, 1_103_515_245) + 12_345) | 0;
    bytes[index] = value >>> 16;
  }
  return bytes;
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function readAll(flow: Flow): Promise<string> {
  const hash = createHash("sha256");
  const into = new Uint8Array(65_536);
  for (let got = await flow.read(into); got > 0; got = await flow.read(into)) hash.update(into.subarray(0, got));
  return hash.digest("hex");
}

/** Opens `flows` connections at once; on each one both sides send `length` bytes, and both say what they got. */
async function exchange(client: Tcp, server: Tcp, address: string, flows: number, length: number): Promise<void> {
  const port = 9000;
  const heard = new Map<number, Promise<string>>();
  const listener = await server.listen({ port }, async (flow) => {
    const index = flow.remote.port;
    const all = readAll(flow);
    heard.set(index, all);
    await flow.write(pattern(length, index));
    await flow.end();
    await all;
    await flow.close();
  });
  await Promise.all(
    Array.from({ length: flows }, async () => {
      const flow = await client.connect({ address: IpAddress.parse(address), port });
      const seed = flow.local.port;
      const [got] = await Promise.all([readAll(flow), flow.write(pattern(length, seed + 1000)).then(() => flow.end())]);
      expect(got).toBe(digest(pattern(length, seed)));
      expect(await heard.get(seed)).toBe(digest(pattern(length, seed + 1000)));
      await flow.close();
    }),
  );
  await listener.close();
}

describe.skipIf(reason !== undefined)(`between the kernel and us${reason === undefined ? "" : ` (${reason})`}`, () => {
  test(
    "a hundred flows at once, both ways on each, opened by the kernel",
    async () => {
      const { own, kernel, errors } = await open();
      await exchange(kernel.tcp, own.tcp, ownAddress, 100, 200_000);
      expect(errors).toEqual([]);
    },
    patience,
  );

  test(
    "a hundred flows at once, both ways on each, opened by us",
    async () => {
      const { own, kernel, errors } = await open();
      await exchange(own.tcp, kernel.tcp, kernelAddress, 100, 200_000);
      expect(errors).toEqual([]);
    },
    patience,
  );

  test.each([
    [576, false],
    [576, true],
    [9000, false],
    [9000, true],
    [65_521, true],
  ])(
    "a link with an MTU of %i, offload %s",
    async (mtu, offload) => {
      const { own, kernel } = await open({ mtu, offload });
      await exchange(kernel.tcp, own.tcp, ownAddress, 2, 3_000_000);
      await exchange(own.tcp, kernel.tcp, kernelAddress, 2, 3_000_000);
    },
    patience,
  );

  test(
    "a path that swallows packets above 1000 bytes, both ways: RFC 4821 finds out what passes",
    async () => {
      const { own, kernel, namespace } = await open({ wrap: (netif) => new NarrowNetif(netif, 1000) });
      // The kernel looks for black holes only when it is told to.
      namespace.run("sysctl", ["-qw", "net.ipv4.tcp_mtu_probing=1", "net.ipv4.tcp_base_mss=512"]);
      await exchange(own.tcp, kernel.tcp, kernelAddress, 1, 300_000);
    },
    patience,
  );

  test(
    "a hop with an MTU of 1000 that says so: RFC 1191",
    async () => {
      const { own, namespace } = await open();
      const far = Namespace.create();
      try {
        namespace.run("sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
        namespace.ip(`link add name far0 type veth peer name near0 netns ${far.name}`);
        namespace.ip("link set dev far0 mtu 1000 up");
        namespace.ip("address add 10.2.0.1/24 dev far0");
        far.ip("link set dev near0 up");
        far.ip("address add 10.2.0.2/24 dev near0");
        far.ip("route add default via 10.2.0.1");
        const length = 500_000;
        const source =
          "import socket,sys; s=socket.create_server(('',9100)); print('ready',flush=True); c,_=s.accept()";
        const sink = far.start("python3", [
          "-c",
          `${source}; n=0\nwhile (b:=c.recv(65536)): n+=len(b)\nprint(n,flush=True)`,
        ]);
        let said = "";
        sink.stdout?.setEncoding("utf8").on("data", (text: string) => (said += text));
        while (!said.includes("ready")) await new Promise((resolve) => setTimeout(resolve, 20));
        const flow = await own.tcp.connect({ address: IpAddress.parse("10.2.0.2"), port: 9100 });
        await flow.write(new Uint8Array(length));
        await flow.close();
        while (!said.includes(String(length))) await new Promise((resolve) => setTimeout(resolve, 20));
        expect(own.ip.mtu(IpAddress.parse("10.2.0.2"))).toBe(1000);
      } finally {
        far.destroy();
      }
    },
    patience,
  );
});

/** Swallows IP packets that are too long for it, both ways, and tells nobody. */
class NarrowNetif extends NetifMiddleware {
  readonly #most: number;

  constructor(inner: Netif, mtu: number) {
    super(inner);
    this.#most = mtu + 14;
  }

  override listen(handler: FrameHandler): void {
    super.listen((page, offset, length) => {
      if (length <= this.#most) handler(page, offset, length);
    });
  }

  override transmit(page: Page, offset: number, length: number): boolean {
    if (length <= this.#most) return super.transmit(page, offset, length);
    this.release(page);
    return true;
  }
}
