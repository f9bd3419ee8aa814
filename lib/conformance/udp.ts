import type { IpAddress } from "@tesserae/device/address";
import { IpAddress as Address } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Datagram, Udp, UdpBindOptions, UdpSocket } from "@tesserae/device/udp";
import { ensure, ensureEqual, ensureFlowError, ensureThrows } from "./assert.ts";
import { pattern, pause, settleTime, until } from "./pause.ts";
import { defineCase, type Suite } from "./suite.ts";
import type { StackPair } from "./tcp.ts";

const foreign = Address.parse("203.0.113.77");
const hello = new TextEncoder().encode("hello");

/** A copy of what a handler got. */
interface Received {
  readonly payload: Uint8Array;
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
}

/** A socket that keeps what it gets. */
class Receiver {
  readonly received: Received[] = [];
  #socket: UdpSocket | undefined;

  static async on(udp: Udp, options: UdpBindOptions = {}): Promise<Receiver> {
    const receiver = new Receiver();
    receiver.#socket = await udp.bind(options, (datagram) => receiver.received.push(copyOf(datagram)));
    return receiver;
  }

  get socket(): UdpSocket {
    ensure(this.#socket !== undefined, "the socket is bound");
    return this.#socket;
  }

  get port(): number {
    return this.socket.local.port;
  }
}

function copyOf({ bytes, offset, length, source, sourcePort, destination }: Datagram): Received {
  return { payload: bytes.slice(offset, offset + length), source, sourcePort, destination };
}

/**
 * Sends until `receiver` has one more datagram than before, and gives it. UDP may lose: the first to a new neighbour,
 * say.
 */
async function deliver(timers: Timers, receiver: Receiver, send: () => boolean, what: string): Promise<Received> {
  const before = receiver.received.length;
  for (let attempt = 0; attempt < 10; attempt++) {
    send();
    for (let wait = 0; wait < 50 && receiver.received.length === before; wait++) await pause(timers, 5);
    const got = receiver.received[before];
    if (got !== undefined) return got;
  }
  ensure(false, `${what}: none of 10 datagrams arrived`);
}

function sendAll(from: UdpSocket, bytes: Uint8Array, address: IpAddress, port: number): boolean {
  return from.send(bytes, 0, bytes.length, address, port);
}

/** The contract of `Udp`. */
export const udpSuite: Suite<StackPair> = [
  defineCase("a datagram arrives with its source, and can be answered", async ({ a, b, addressOfB, timers }) => {
    const there = await Receiver.on(b.udp);
    const here = await Receiver.on(a.udp);
    const got = await deliver(timers, there, () => sendAll(here.socket, hello, addressOfB, there.port), "the question");
    ensureEqual(got.payload, hello, "payload");
    ensureEqual(got.sourcePort, here.port, "source port");
    const { destination } = got;
    ensure(destination.isUnspecified || destination.equals(addressOfB), `destination ${destination.toString()}`);
    const answer = pattern(300, 1);
    const reply = await deliver(
      timers,
      here,
      () => sendAll(there.socket, answer, got.source, got.sourcePort),
      "the answer",
    );
    ensureEqual(reply.payload, answer, "answer");
    ensureEqual(reply.source.toString(), addressOfB.toString(), "the answer's source");
    ensureEqual(reply.sourcePort, there.port, "the answer's source port");
    await here.socket.close();
    await there.socket.close();
  }),

  defineCase("a handler may answer from inside", async ({ a, b, addressOfB, timers }) => {
    const echo: UdpSocket = await b.udp.bind({}, ({ bytes, offset, length, source, sourcePort }) => {
      echo.send(bytes, offset, length, source, sourcePort);
    });
    const here = await Receiver.on(a.udp);
    for (const size of [1, 2, 500, 1472]) {
      const message = pattern(size, size);
      const got = await deliver(
        timers,
        here,
        () => sendAll(here.socket, message, addressOfB, echo.local.port),
        `an echo of ${String(size)} bytes`,
      );
      ensureEqual(got.payload, message, "echo");
    }
    await here.socket.close();
    await echo.close();
  }),

  defineCase("sizes from 0 to 65,507 bytes arrive whole", async ({ a, b, addressOfB, timers }) => {
    const there = await Receiver.on(b.udp);
    const here = await Receiver.on(a.udp);
    for (const size of [0, 1, 7, 1471, 1472, 1473, 8192, 65_507]) {
      const message = pattern(size, size);
      const what = `a datagram of ${String(size)} bytes`;
      const got = await deliver(timers, there, () => sendAll(here.socket, message, addressOfB, there.port), what);
      ensureEqual(got.payload, message, what);
    }
    await here.socket.close();
    await there.socket.close();
  }),

  defineCase("only bytes[offset … offset + length) is sent", async ({ a, b, addressOfB, timers }) => {
    const there = await Receiver.on(b.udp);
    const here = await Receiver.on(a.udp);
    const bytes = pattern(100, 2);
    const got = await deliver(timers, there, () => here.socket.send(bytes, 33, 20, addressOfB, there.port), "it");
    ensureEqual(got.payload, bytes.slice(33, 53), "payload");
    await here.socket.close();
    await there.socket.close();
  }),

  defineCase("the bytes are the sender's again when send returns", async ({ a, b, addressOfB, timers }) => {
    const there = await Receiver.on(b.udp);
    const here = await Receiver.on(a.udp);
    // The first datagram may have to wait for the neighbour's address: it is the one worth scribbling over.
    const send = (): boolean => {
      const bytes = hello.slice();
      const sent = sendAll(here.socket, bytes, addressOfB, there.port);
      bytes.fill(0xff);
      return sent;
    };
    for (let round = 0; round < 5; round++) {
      ensureEqual((await deliver(timers, there, send, "it")).payload, hello, `payload ${String(round)}`);
    }
    await here.socket.close();
    await there.socket.close();
  }),

  defineCase("datagrams are handled in order of arrival", async ({ a, b, addressOfB, timers }) => {
    const there = await Receiver.on(b.udp);
    const here = await Receiver.on(a.udp);
    await deliver(timers, there, () => sendAll(here.socket, new Uint8Array(1), addressOfB, there.port), "the first");
    await pause(timers, settleTime);
    there.received.length = 0;
    for (let index = 0; index < 100; index++) {
      sendAll(here.socket, new Uint8Array([index]), addressOfB, there.port);
      if (index % 10 === 9) await pause(timers, 5);
    }
    await until(timers, () => there.received.length === 100, "100 datagrams");
    ensureEqual(
      there.received.map(({ payload }) => payload[0]),
      Array.from({ length: 100 }, (_, index) => index),
      "order",
    );
    await here.socket.close();
    await there.socket.close();
  }),

  defineCase("what a handler throws stops nothing", async ({ a, b, addressOfB, timers }) => {
    let calls = 0;
    const socket = await b.udp.bind({}, () => {
      calls++;
      if (calls === 1) throw new Error("deliberately thrown by a conformance case");
    });
    const here = await Receiver.on(a.udp);
    for (let attempt = 0; attempt < 100 && calls < 3; attempt++) {
      sendAll(here.socket, hello, addressOfB, socket.local.port);
      await pause(timers, 20);
    }
    ensure(calls >= 3, `the handler ran ${String(calls)} times`);
    await here.socket.close();
    await socket.close();
  }),

  defineCase("port 0 takes a free port, another each time", async ({ b }) => {
    const receivers: Receiver[] = [];
    for (let index = 0; index < 20; index++)
      receivers.push(await Receiver.on(b.udp, index % 2 === 0 ? {} : { port: 0 }));
    const ports = new Set(receivers.map((each) => each.port));
    ensureEqual(ports.size, 20, "distinct ports");
    for (const port of ports) ensure(Number.isInteger(port) && port > 0 && port < 65_536, `port ${String(port)}`);
    for (const each of receivers) await each.socket.close();
  }),

  defineCase("a bound port cannot be bound again until it is closed", async ({ a, b, addressOfB, timers }) => {
    const first = await Receiver.on(b.udp);
    const { port } = first;
    await ensureFlowError(
      b.udp.bind({ port }, () => undefined),
      "address-in-use",
      "a second bind",
    );
    await Promise.all([first.socket.close(), first.socket.close()]);
    await first.socket.close();
    const second = await Receiver.on(b.udp, { port });
    ensureEqual(second.port, port, "the port");
    const here = await Receiver.on(a.udp);
    await deliver(timers, second, () => sendAll(here.socket, hello, addressOfB, port), "to the second socket");
    ensureEqual(first.received.length, 0, "datagrams to the closed socket");
    await here.socket.close();
    await second.socket.close();
  }),

  defineCase("binding an address that is not ours is refused", async ({ b }) => {
    await ensureFlowError(
      b.udp.bind({ address: foreign }, () => undefined),
      "address-not-available",
      "bind",
    );
  }),

  defineCase("a socket bound to one of our addresses receives there", async ({ a, b, addressOfB, timers }) => {
    const there = await Receiver.on(b.udp, { address: addressOfB });
    ensureEqual(there.socket.local.address.toString(), addressOfB.toString(), "the socket's address");
    const here = await Receiver.on(a.udp);
    const got = await deliver(timers, there, () => sendAll(here.socket, hello, addressOfB, there.port), "it");
    ensureEqual(got.payload, hello, "payload");
    await here.socket.close();
    await there.socket.close();
  }),

  defineCase("a host reaches itself under its own address", async ({ b, addressOfB, timers }) => {
    const there = await Receiver.on(b.udp);
    const here = await Receiver.on(b.udp);
    const got = await deliver(timers, there, () => sendAll(here.socket, hello, addressOfB, there.port), "it");
    ensureEqual(got.payload, hello, "payload");
    ensureEqual(got.sourcePort, here.port, "source port");
    await here.socket.close();
    await there.socket.close();
  }),

  defineCase("close stops delivery, and a send after it returns false", async ({ a, b, addressOfB, timers }) => {
    const there = await Receiver.on(b.udp);
    const here = await Receiver.on(a.udp);
    const { port } = there;
    await deliver(timers, there, () => sendAll(here.socket, hello, addressOfB, port), "before the close");
    await pause(timers, settleTime);
    const before = there.received.length;
    await there.socket.close();
    sendAll(here.socket, hello, addressOfB, port);
    await pause(timers, settleTime);
    ensureEqual(there.received.length, before, "datagrams after close");
    // Nobody is there any more; that is no error of the sender's socket.
    sendAll(here.socket, hello, addressOfB, port);
    await pause(timers, settleTime);
    await here.socket.close();
    ensureEqual(sendAll(here.socket, hello, addressOfB, port), false, "send after close");
  }),

  defineCase("many at once arrive as if they had been sent one by one", async ({ a, b, addressOfB, timers }) => {
    const there = await Receiver.on(b.udp);
    const here = await Receiver.on(a.udp);
    await deliver(timers, there, () => sendAll(here.socket, hello, addressOfB, there.port), "the first");
    await pause(timers, settleTime);
    for (const [length, size] of [
      [1, 1000],
      [1000, 1000],
      [1001, 1000],
      [64, 1],
      [44_801, 1400],
    ] as const) {
      const message = pattern(length + 9, size);
      const wanted: Uint8Array[] = [];
      for (let at = 0; at < length; at += size) wanted.push(message.slice(9 + at, 9 + Math.min(at + size, length)));
      const what = `${String(length)} bytes as datagrams of ${String(size)}`;
      // UDP may lose some of them.
      for (let attempt = 0; ; attempt++) {
        there.received.length = 0;
        const bytes = message.slice();
        const sent = here.socket.sendMany(bytes, 9, length, size, addressOfB, there.port);
        bytes.fill(0xff);
        ensureEqual(sent, wanted.length, `${what}: how many were sent`);
        for (let wait = 0; wait < 100 && there.received.length < wanted.length; wait++) await pause(timers, 5);
        if (there.received.length === wanted.length) break;
        ensure(attempt < 10, `${what}: ${String(there.received.length)} of ${String(wanted.length)} arrived`);
      }
      await pause(timers, settleTime);
      ensureEqual(
        there.received.map(({ payload }) => payload),
        wanted,
        what,
      );
    }
    ensureEqual(here.socket.sendMany(hello, 0, 0, 100, addressOfB, there.port), 0, "none at once");
    await there.socket.close();
    await here.socket.close();
    ensureEqual(here.socket.sendMany(hello, 0, 5, 2, addressOfB, there.port), 0, "many after close");
  }),

  defineCase("many at once that are too many, too long or of no size throw RangeError", async ({ a, addressOfB }) => {
    const here = await Receiver.on(a.udp);
    const large = new Uint8Array(70_000);
    for (const [length, size, port] of [
      [65_508, 1400, 9],
      [65, 1, 9],
      [6401, 100, 9],
      [100, 0, 9],
      [100, 1.5, 9],
      [100, Number.NaN, 9],
      [100, 10, 0],
    ] as const) {
      const what = `${String(length)} bytes by ${String(size)}`;
      ensureThrows(() => here.socket.sendMany(large, 0, length, size, addressOfB, port), RangeError, what);
    }
    await here.socket.close();
  }),

  defineCase("a length above 65,507 and a bad port throw RangeError", async ({ a, addressOfB }) => {
    const here = await Receiver.on(a.udp);
    const large = new Uint8Array(65_508);
    ensureThrows(() => here.socket.send(large, 0, 65_508, addressOfB, 9), RangeError, "65,508 bytes");
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
      ensureThrows(() => here.socket.send(hello, 0, 5, addressOfB, port), RangeError, `port ${String(port)}`);
    }
    await here.socket.close();
  }),
];
