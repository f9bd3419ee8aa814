import type { IpAddress } from "@tesserae/device/address";
import { IpAddress as Address } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Stack } from "@tesserae/device/stack";
import type { Tcp, TcpListener, TcpListenOptions } from "@tesserae/device/tcp";
import { ensure, ensureEqual, ensureFlowError, ensureRejects } from "./assert.ts";
import { closeBoth, type FlowPair, type FlowSubject, flowSuite, readExactly, readToEnd } from "./flow.ts";
import { pattern, pause, settleTime, within } from "./pause.ts";
import { adapt, defineCase, Skipped, type Suite } from "./suite.ts";

/** Two hosts that reach each other; they may be one and the same. */
export interface StackPair {
  readonly a: Stack;
  readonly b: Stack;
  /** Where B answers A. */
  readonly addressOfB: IpAddress;
  /** The time both run in. */
  readonly timers: Timers;
  /** An address from which A gets no answer at all, not even an error, for at least a second. */
  readonly silent?: IpAddress;
}

/** One of the addresses for documentation (RFC 5737): nobody's. */
const foreign = Address.parse("203.0.113.77");
const hello = new TextEncoder().encode("hello");

/** Listens on a free port and queues what is accepted. */
class Server {
  readonly #waiting: Flow[] = [];
  readonly #takers: ((flow: Flow) => void)[] = [];
  #listener: TcpListener | undefined;

  static async on(tcp: Tcp, options: TcpListenOptions = { port: 0 }): Promise<Server> {
    const server = new Server();
    server.#listener = await tcp.listen(options, (flow) => {
      const taker = server.#takers.shift();
      if (taker === undefined) server.#waiting.push(flow);
      else taker(flow);
    });
    return server;
  }

  get listener(): TcpListener {
    ensure(this.#listener !== undefined, "the server listens");
    return this.#listener;
  }

  get port(): number {
    return this.listener.local.port;
  }

  accept(): Promise<Flow> {
    const flow = this.#waiting.shift();
    return flow === undefined ? new Promise((resolve) => this.#takers.push(resolve)) : Promise.resolve(flow);
  }
}

async function connectTo(subject: StackPair, server: Server): Promise<FlowPair> {
  const accepting = server.accept();
  const near = await subject.a.tcp.connect({ address: subject.addressOfB, port: server.port });
  return { near, far: await within(subject.timers, accepting, "accept") };
}

/** Connections between the hosts of a pair, for the suite of Flow. */
export function flowsOver(subject: StackPair): FlowSubject {
  return {
    timers: subject.timers,
    connect: async () => {
      const server = await Server.on(subject.b.tcp);
      const pair = await within(subject.timers, connectTo(subject, server), "a connection");
      await server.listener.close();
      return pair;
    },
  };
}

async function exchange(pair: FlowPair, timers: Timers, message: Uint8Array): Promise<void> {
  await pair.near.write(message);
  ensureEqual(await within(timers, readExactly(pair.far, message.length), "the message"), message, "there");
  await pair.far.write(message);
  ensureEqual(await within(timers, readExactly(pair.near, message.length), "the reply"), message, "and back");
}

/** The contract of `Tcp`, and of `Flow` over it. */
export const tcpSuite: Suite<StackPair> = [
  ...adapt(flowSuite, "flow: ", flowsOver),

  defineCase("port 0 takes a free port and says which", async ({ b }) => {
    const one = await Server.on(b.tcp);
    const two = await Server.on(b.tcp);
    for (const { port } of [one, two])
      ensure(Number.isInteger(port) && port > 0 && port < 65_536, `port ${String(port)}`);
    ensure(one.port !== two.port, "two listeners got one port");
    await one.listener.close();
    await two.listener.close();
  }),

  defineCase("a connection to a port without a listener is refused", async ({ a, b, addressOfB, timers }) => {
    const server = await Server.on(b.tcp);
    const { port } = server;
    await server.listener.close();
    const connecting = a.tcp.connect({ address: addressOfB, port });
    await within(timers, ensureFlowError(connecting, "refused", "connect"), "the refusal");
  }),

  defineCase("a bad port rejects with RangeError", async ({ a, b, addressOfB }) => {
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
      await ensureRejects(a.tcp.connect({ address: addressOfB, port }), RangeError, `connect to port ${String(port)}`);
    }
    for (const port of [-1, 65_536, 1.5, Number.NaN]) {
      const listening = b.tcp.listen({ port }, (flow) => flow.abort());
      await ensureRejects(listening, RangeError, `listen on port ${String(port)}`);
    }
  }),

  defineCase("a port can have one listener at a time", async (subject) => {
    const server = await Server.on(subject.b.tcp);
    const { port } = server;
    const second = subject.b.tcp.listen({ port }, (flow) => flow.abort());
    await ensureFlowError(second, "address-in-use", "a second listener");
    await closeBoth(await connectTo(subject, server), subject.timers);
    await server.listener.close();
  }),

  defineCase("listening on an address that is not ours is refused", async ({ b }) => {
    const listening = b.tcp.listen({ port: 0, address: foreign }, (flow) => flow.abort());
    await ensureFlowError(listening, "address-not-available", "listen");
  }),

  defineCase("a listener on one of our addresses accepts there", async (subject) => {
    const server = await Server.on(subject.b.tcp, { port: 0, address: subject.addressOfB });
    ensureEqual(server.listener.local.address.toString(), subject.addressOfB.toString(), "the listener's address");
    const pair = await connectTo(subject, server);
    await exchange(pair, subject.timers, hello);
    await closeBoth(pair, subject.timers);
    await server.listener.close();
  }),

  defineCase("a closed listener frees its port, and what it accepted goes on", async (subject) => {
    const { a, b, addressOfB, timers } = subject;
    const server = await Server.on(b.tcp);
    const { port } = server;
    const pair = await connectTo(subject, server);
    await Promise.all([server.listener.close(), server.listener.close()]);
    await server.listener.close();
    await within(
      timers,
      ensureFlowError(a.tcp.connect({ address: addressOfB, port }), "refused", "connect after close"),
      "the refusal",
    );
    await exchange(pair, timers, pattern(50_000, 1));
    const again = await Server.on(b.tcp, { port });
    await exchange(pair, timers, hello);
    const other = await connectTo(subject, again);
    await exchange(other, timers, hello);
    await closeBoth(pair, timers);
    await closeBoth(other, timers);
    await again.listener.close();
  }),

  defineCase("accept gets an established flow, and may speak first", async ({ a, b, addressOfB, timers }) => {
    const listener = await b.tcp.listen({ port: 0 }, async (flow) => {
      await flow.write(hello);
      await flow.close();
    });
    const flow = await a.tcp.connect({ address: addressOfB, port: listener.local.port });
    ensureEqual(await within(timers, readToEnd(flow), "the greeting"), hello, "the greeting");
    await within(timers, flow.close(), "close");
    await listener.close();
  }),

  defineCase("what accept throws or rejects with aborts that flow alone", async ({ a, b, addressOfB, timers }) => {
    let count = 0;
    const listener = await b.tcp.listen({ port: 0 }, (flow) => {
      count++;
      if (count === 1) throw new Error("deliberately thrown by a conformance case");
      if (count === 2) return Promise.reject(new Error("deliberately rejected by a conformance case"));
      return flow.write(hello).then(() => flow.close());
    });
    const port = listener.local.port;
    for (const how of ["threw", "rejected"]) {
      // The reset may come as soon as the connection is made.
      const failing = a.tcp.connect({ address: addressOfB, port }).then((flow) => flow.read(new Uint8Array(8)));
      await within(timers, ensureFlowError(failing, "reset", `a flow whose accept ${how}`), "the reset");
    }
    const flow = await a.tcp.connect({ address: addressOfB, port });
    ensureEqual(await within(timers, readToEnd(flow), "the greeting"), hello, "the next connection");
    await within(timers, flow.close(), "close");
    await listener.close();
  }),

  defineCase("a hundred connections at once are kept apart", async (subject) => {
    const { a, b, addressOfB, timers } = subject;
    const listener = await b.tcp.listen({ port: 0 }, async (flow) => {
      const bytes = await readToEnd(flow);
      await flow.write(bytes);
      await flow.close();
    });
    const ports = new Set<number>();
    const one = async (index: number): Promise<void> => {
      const flow = await a.tcp.connect({ address: addressOfB, port: listener.local.port });
      ports.add(flow.local.port);
      const message = pattern(1000 + index * 37, index);
      await flow.write(message);
      await flow.end();
      ensureEqual(await readToEnd(flow), message, `connection ${String(index)}`);
      await flow.close();
    };
    await within(timers, Promise.all(Array.from({ length: 100 }, (_, index) => one(index))), "100 echoes", 60_000);
    ensureEqual(ports.size, 100, "distinct local ports");
    await listener.close();
  }),

  defineCase("three hundred connections one after the other", async (subject) => {
    const server = await Server.on(subject.b.tcp);
    for (let round = 0; round < 300; round++) {
      const pair = await within(subject.timers, connectTo(subject, server), `connection ${String(round)}`);
      await pair.near.write(hello);
      ensureEqual(await readExactly(pair.far, 5), hello, "received");
      await closeBoth(pair, subject.timers);
    }
    await server.listener.close();
  }),

  defineCase("a host reaches itself under its own address", async (subject) => {
    const address = subject.addressOfB;
    await closeBoth(await flowsOver({ ...subject, a: subject.b, addressOfB: address }).connect(), subject.timers);
    const pair = await flowsOver({ ...subject, a: subject.b, addressOfB: address }).connect();
    await exchange(pair, subject.timers, pattern(20_000, 2));
    await closeBoth(pair, subject.timers);
  }),

  defineCase("a connection made with noDelay and keepAlive carries bytes", async ({ a, b, addressOfB, timers }) => {
    const server = await Server.on(b.tcp, { port: 0, backlog: 4, noDelay: true, keepAlive: 30_000 });
    const accepting = server.accept();
    const near = await a.tcp.connect({
      address: addressOfB,
      port: server.port,
      noDelay: true,
      keepAlive: 30_000,
      timeout: 10_000,
    });
    const pair = { near, far: await within(timers, accepting, "accept") };
    for (let round = 0; round < 20; round++) await exchange(pair, timers, pattern(10, round));
    await closeBoth(pair, timers);
    await server.listener.close();
  }),

  defineCase("a signal that is aborted before connect rejects with aborted", async ({ a, b, addressOfB }) => {
    const server = await Server.on(b.tcp);
    const signal = AbortSignal.abort();
    const connecting = a.tcp.connect({ address: addressOfB, port: server.port, signal });
    await ensureFlowError(connecting, "aborted", "connect");
    await server.listener.close();
  }),

  defineCase("a signal aborted after connect has resolved changes nothing", async (subject) => {
    const { a, b, addressOfB, timers } = subject;
    const server = await Server.on(b.tcp);
    const controller = new AbortController();
    const accepting = server.accept();
    const near = await a.tcp.connect({ address: addressOfB, port: server.port, signal: controller.signal });
    const pair = { near, far: await within(timers, accepting, "accept") };
    controller.abort();
    await exchange(pair, timers, hello);
    await closeBoth(pair, timers);
    await server.listener.close();
  }),

  defineCase("aborting a connect that gets no answer rejects with aborted", async ({ a, silent, timers }) => {
    if (silent === undefined) throw new Skipped("the subject has no silent address");
    const controller = new AbortController();
    const connecting = a.tcp.connect({ address: silent, port: 9, signal: controller.signal });
    const failed = ensureFlowError(connecting, "aborted", "connect");
    await pause(timers, settleTime);
    controller.abort();
    await within(timers, failed, "the abort");
  }),

  defineCase("a connect that gets no answer in its time rejects with timeout", async ({ a, silent, timers }) => {
    if (silent === undefined) throw new Skipped("the subject has no silent address");
    const started = timers.now();
    const connecting = a.tcp.connect({ address: silent, port: 9, timeout: 300 });
    await within(timers, ensureFlowError(connecting, "timeout", "connect"), "the timeout");
    ensure(timers.now() - started >= 299, "timed out early");
  }),
];
