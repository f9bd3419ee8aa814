// A server under attack and an honest client beside it, in a simulated network: who was served, and what the server
// held at most meanwhile.
import type { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { IpStack } from "@tesserae/tcpip/stack/stack";
import type { Host } from "@tesserae/sim/host";
import { createWorld, type World } from "@tesserae/sim/world";
import { headroom } from "@tesserae/device/page";

const honestPort = 7;
const question = 10_000;
/** Virtual milliseconds from one honest connection to the next. */
const interval = 250;

export interface Siege {
  readonly world: World;
  readonly server: Host;
  readonly attacker: Host;
  /** Where the server is, for frames. */
  readonly address: IpAddress;
  /** Sends a frame from the attacker's interface. */
  readonly inject: (frame: Uint8Array) => void;
  /** Waits, in virtual milliseconds. */
  readonly pause: (ms: number) => Promise<void>;
}

export interface Outcome {
  /** Honest connections that were made, and that got all their bytes back. */
  readonly asked: number;
  readonly served: number;
  /** The longest of them, virtual milliseconds. */
  readonly slowest: number;
  /** The most that the server held at any look, and what it holds an hour after the attack. */
  readonly most: Held;
  readonly after: Held;
  readonly stack: IpStack;
}

/** What a stack holds. */
export interface Held {
  readonly connections: number;
  readonly halfOpen: number;
  readonly bufferBytes: number;
  readonly fragments: number;
  readonly neighbours: number;
}

export interface SiegeOptions {
  /** Does not end before the attack is over. */
  readonly attack: (siege: Siege) => Promise<void>;
  /** What the server does besides. */
  readonly serve?: (siege: Siege) => Promise<void>;
  /** False: the attacker has a stack of its own, and its frames are honest. Default true. */
  readonly raw?: boolean;
}

/** Runs an attack, with an honest client asking all the time. */
export async function besiege(seed: string, { attack, serve, raw = true }: SiegeOptions): Promise<Outcome> {
  const world = createWorld({ seed, link: { delay: 5 } });
  const server = world.host("server", { ipv4: "10.0.0.1/16" });
  const client = world.host("client", { ipv4: "10.0.0.2/16" });
  const attacker = world.host("attacker", { ipv4: "10.0.0.3/16", stack: !raw });
  const pause = (ms: number): Promise<void> =>
    new Promise((done) => {
      client.timers.timer(done).set(world.now + ms);
    });
  const siege: Siege = {
    world,
    server,
    attacker,
    address: server.address,
    pause,
    inject(frame) {
      const page = attacker.netif.allocate();
      if (page === undefined) throw new Error("the attacker has no page");
      page.bytes.set(frame, headroom);
      attacker.netif.transmit(page, headroom, frame.length);
    },
  };
  let over = false;
  let asked = 0;
  let served = 0;
  let slowest = 0;
  const seen: Held[] = [];
  const done = server.run(async ({ stack }) => {
    // The attacker's connections may die as they like.
    await stack.tcp.listen({ port: honestPort }, (flow) =>
      echo(flow).catch(() => {
        flow.abort();
      }),
    );
    await serve?.(siege);
  }, "serve");
  attacker.run(async () => {
    await done;
    await attack(siege);
    over = true;
  }, "attack");
  client.run(async ({ stack }) => {
    await done;
    while (!over) {
      const start = world.now;
      asked++;
      const flow = await stack.tcp.connect({ address: server.address, port: honestPort });
      if (await echoes(flow)) served++;
      slowest = Math.max(slowest, world.now - start);
      seen.push(holds(server.ownStack));
      await pause(interval);
    }
    await pause(3_600_000);
    seen.push(holds(server.ownStack));
  }, "ask");
  await world.run();
  const stack = server.ownStack;
  await world.close();
  const after = seen.at(-1);
  if (after === undefined) throw new Error("nobody looked");
  const most = (name: keyof Held): number => Math.max(...seen.map((held) => held[name]));
  return {
    asked,
    served,
    slowest,
    most: {
      connections: most("connections"),
      halfOpen: most("halfOpen"),
      bufferBytes: most("bufferBytes"),
      fragments: most("fragments"),
      neighbours: most("neighbours"),
    },
    after,
    stack,
  };
}

async function echo(flow: Flow): Promise<void> {
  const into = new Uint8Array(4096);
  for (let length = await flow.read(into); length > 0; length = await flow.read(into)) {
    await flow.write(into.subarray(0, length));
  }
  await flow.close();
}

async function echoes(flow: Flow): Promise<boolean> {
  const sent = new Uint8Array(question).map((_, index) => Math.imul(index, 0x9e3779b1) >>> 24);
  await flow.write(sent);
  await flow.end();
  const got = new Uint8Array(question + 1);
  let length = 0;
  for (let read = -1; read !== 0 && length <= question; length += read) read = await flow.read(got.subarray(length));
  await flow.close();
  return length === question && sent.every((byte, index) => got[index] === byte);
}

function holds(stack: IpStack): Held {
  const { connections, halfOpen, bufferBytes } = stack.statistics.tcp;
  return {
    connections,
    halfOpen,
    bufferBytes,
    fragments: stack.ip.reassembly.pending,
    neighbours: stack.arp.cache.size,
  };
}
