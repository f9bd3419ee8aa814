import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import { type Flow, FlowError } from "@tesserae/device/flow";
import type { Datagram, UdpSocket } from "@tesserae/device/udp";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, it } from "vitest";
import { nameFromText } from "../name-bytes.ts";
import type { Extension } from "./extension.ts";
import { createNameServer, type NameServerOptions } from "./name-server.ts";
import { loadZone } from "./zone-file.ts";
import { Zones } from "./zones.ts";

const source = IpAddress.parse("192.0.2.99");
const local = { address: IpAddress.parse("192.0.2.53"), port: 53 };

/** The server's end of a connection: what is pushed is read, what is written is kept. */
class FakeFlow implements Flow {
  readonly local = local;
  readonly remote = { address: source, port: 4000 };
  readonly written: number[] = [];
  state: "open" | "closed" | "aborted" = "open";
  #waiting: ((length: number) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;
  #into = new Uint8Array(0);
  #queue: number[] = [];
  #ended = false;

  push(bytes: readonly number[]): void {
    this.#queue.push(...bytes);
    this.#serve();
  }
  finish(): void {
    this.#ended = true;
    this.#serve();
  }
  read(into: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#into = into as Uint8Array<ArrayBuffer>;
      this.#waiting = resolve;
      this.#fail = reject;
      this.#serve();
    });
  }
  #serve(): void {
    if (this.#waiting === undefined || (this.#queue.length === 0 && !this.#ended)) return;
    const some = this.#queue.splice(0, this.#into.length);
    this.#into.set(some);
    const resolve = this.#waiting;
    this.#waiting = undefined;
    resolve(some.length);
  }
  async write(bytes: Uint8Array): Promise<void> {
    this.written.push(...bytes);
  }
  async end(): Promise<void> {}
  async close(): Promise<void> {
    this.state = "closed";
    this.#fail?.(new FlowError("closed", "closed"));
  }
  abort(): void {
    this.state = "aborted";
    this.#fail?.(new FlowError("aborted", "aborted"));
  }
}

async function start(more: Partial<NameServerOptions> = {}) {
  const loaded = loadZone(nameFromText("example."), "@ 60 SOA a b 1 2 3 4 5\n$GENERATE 1-50 h$ A 10.0.0.$\n");
  if (!loaded.ok) throw new Error(loaded.errors.join());
  const zones = new Zones();
  zones.replace(loaded.zone);
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const sent: Uint8Array[] = [];
  let receive: (datagram: Datagram) => void = () => undefined;
  let accept: (flow: Flow) => void | Promise<void> = () => undefined;
  const socket = {
    local,
    send: (bytes: Uint8Array, at: number, length: number) => sent.push(bytes.slice(at, at + length)) > 0,
  };
  const server = await createNameServer({
    udp: {
      bind: (_, handler) => {
        receive = handler;
        return Promise.resolve({
          ...socket,
          sendMany: () => 0,
          join() {},
          leave() {},
          close: async () => {},
        } satisfies UdpSocket);
      },
    },
    tcp: {
      connect: () => Promise.reject(new Error("no client")),
      listen: (_, handler) => {
        accept = handler;
        return Promise.resolve({ local, close: async () => {} });
      },
    },
    ...{ timers, random: new SeededRandom(1), zones, rateLimit: false, ...more },
  });
  const ask = (bytes: Uint8Array): void =>
    receive({
      bytes,
      offset: 0,
      length: bytes.length,
      source,
      sourcePort: 4000,
      destination: local.address,
      interface: 1,
    });
  const connect = (): FakeFlow => {
    const flow = new FakeFlow();
    void accept(flow);
    return flow;
  };
  const pass = (milliseconds: number): void => {
    clock.advanceTo(clock.now() + milliseconds);
    timers.run();
  };
  return { server, zones, sent, ask, connect, pass };
}

function query(text: string, id: number, type = 1): Uint8Array {
  return Uint8Array.of(id >>> 8, id, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...nameFromText(text), type >>> 8, type, 0, 1);
}
const framed = (message: Uint8Array): number[] => [message.length >>> 8, message.length & 255, ...message];
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
};

/** Identifiers of the messages on a stream. */
function ids(bytes: readonly number[]): number[] {
  const found: number[] = [];
  for (let at = 0; at < bytes.length; at += 2 + (bytes[at]! << 8) + bytes[at + 1]!) found.push(bytes[at + 3]!);
  return found;
}

describe("queries over TCP (RFC 7766)", () => {
  it("are answered one after the other, however they are cut", async () => {
    const { connect, server } = await start();
    const flow = connect();
    const all = Array.from({ length: 40 }, (_, index) => framed(query(`h${index + 1}.example.`, index + 1))).flat();
    for (let at = 0; at < all.length; at += 37) {
      flow.push(all.slice(at, at + 37));
      await settle();
    }
    expect(ids(flow.written)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    flow.finish();
    await settle();
    expect(flow.state).toBe("closed");
    expect(server.statistics()).toMatchObject({ streams: 40, connections: 0, accepted: 1 });
  });

  it("end with a connection that is silent", async () => {
    const { connect, pass, server } = await start({ idleTimeout: 5000 });
    const [quiet, busy] = [connect(), connect()];
    pass(4000);
    busy.push(framed(query("h1.example.", 1)));
    await settle();
    pass(1001);
    await settle();
    expect([quiet.state, busy.state]).toEqual(["closed", "open"]);
    pass(5000);
    await settle();
    expect(busy.state).toBe("closed");
    expect(server.statistics()).toMatchObject({ timedOut: 2, connections: 0 });
  });

  it("come by a bounded number of connections, of which the silent ones go first", async () => {
    const { connect, pass, server } = await start({ connections: 3 });
    const [first, second] = [connect(), connect(), connect()];
    pass(10);
    first.push(framed(query("h1.example.", 1)));
    await settle();
    const fourth = connect();
    await settle();
    expect([first.state, second.state, fourth.state]).toEqual(["open", "aborted", "open"]);
    expect(server.statistics().connections).toBe(3);
  });

  it("come by a bounded number of connections from one client", async () => {
    const { connect, server } = await start({ connectionsPerClient: 2 });
    const flows = [connect(), connect(), connect()];
    expect(flows.map((each) => each.state)).toEqual(["open", "open", "aborted"]);
    expect(server.statistics().refused).toBe(1);
  });
});

describe("queries over UDP", () => {
  it("are limited by network and kind, and some refusals say to use TCP", async () => {
    const { ask, sent, pass, server } = await start({ rateLimit: { perSecond: 10, slip: 2 } });
    for (let index = 0; index < 100; index++) ask(query("h1.example.", index));
    const whole = sent.filter((each) => (each[2]! & 2) === 0);
    const short = sent.filter((each) => (each[2]! & 2) !== 0);
    expect(whole).toHaveLength(5);
    expect(short).toHaveLength(47);
    expect(short.every((each) => each.length === query("h1.example.", 0).length)).toBe(true);
    expect(server.statistics()).toMatchObject({ limited: 48, slipped: 47 });
    sent.length = 0;
    pass(1000);
    for (let index = 0; index < 12; index++) ask(query("h1.example.", index));
    const later = sent.filter((each) => (each[2]! & 2) === 0);
    expect(later).toHaveLength(10);
    // What is remembered was cut short in copies only.
    for (const each of later) expect(each.subarray(2)).toEqual(whole[0]!.subarray(2));
  });

  it("see a zone before or after a change, and are all answered", async () => {
    const { ask, sent, zones } = await start();
    const zone = zones.get(nameFromText("example."))!;
    for (let index = 0; index < 50; index++) {
      ask(query("h1.example.", index));
      const data = Uint8Array.of(10, 1, 0, index);
      const record = { owner: nameFromText("h1.example."), type: 1, class: 1, ttl: 1, data };
      zones.replace(zone.update([{ kind: "add", record }]));
      ask(query("h1.example.", index));
    }
    expect(sent).toHaveLength(100);
    expect(sent.every((each) => (each[3]! & 15) === 0)).toBe(true);
  });
});

describe("extensions", () => {
  it("take what they want; what none takes is refused", async () => {
    const extension: Extension = {
      handle: (request) =>
        request.opcode === 5 || request.type !== 252
          ? undefined
          : request.respond(Uint8Array.of(0, 9)).then(() => request.respond(Uint8Array.of(0, 8)).then(() => undefined)),
    };
    const { connect, ask, sent, server } = await start({ extensions: [extension] });
    const flow = connect();
    flow.push([...framed(query("example.", 1, 252)), ...framed(query("h1.example.", 2))]);
    await settle();
    expect(ids(flow.written).sort()).toEqual([2, 8, 9]);
    const update = query("example.", 3);
    update[2] = 5 << 3;
    ask(update);
    expect(sent.map((each) => each[3]! & 15)).toEqual([5]);
    expect(server.statistics().extended).toBe(1);
  });

  it("that fail cost nobody but who asked", async () => {
    const extension: Extension = { handle: () => Promise.reject(new Error("broken")) };
    const { connect, server } = await start({ extensions: [extension] });
    const flow = connect();
    flow.push(framed(query("example.", 1, 252)));
    await settle();
    expect(flow.written.slice(0, 6)).toEqual([0, 12, 0, 1, 0x80, 2]);
    expect(server.statistics().failed).toBe(1);
  });
});
