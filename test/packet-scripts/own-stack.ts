// Our own stack as a subject: over a link in memory, in virtual time.
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, type MacAddress, Prefix } from "@tesserae/device/address";
import { type Flow, FlowError } from "@tesserae/device/flow";
import type { TcpListener } from "@tesserae/device/tcp";
import { createLink } from "@tesserae/netif/link";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { addressOf, type Family, headerSize, protocolTcp, pseudoSum, wrap } from "./ip-packet.ts";
import { patternByte } from "./packet.ts";
import type { CallSpec, Settings } from "./script.ts";
import type { Emitted, Subject, SubjectMaker } from "./subject.ts";

const listenPort = 80;
const remotePort = 8080;
const firstPeerPort = 40_000;
const ethernetHeader = 14;
const typeIpv4 = 0x0800;
const typeIpv6 = 0x86dd;
const protocolIcmp6 = 58;
const neighbourSolicitation = 135;
const ownAddress = 0x0a00_0001;
const peerAddress = 0x0a00_0101;
/** More than any buffer holds. */
const everything = 1 << 20;
/** Rounds of promises that anything here may take to settle. */
const turns = 24;

export const ownStack: SubjectMaker = {
  name: "ours",
  start: async (settings) => {
    const subject = new OwnStack(settings);
    await subject.start();
    return subject;
  },
  close: () => Promise.resolve(),
};

class OwnStack implements Subject {
  readonly name = "ours";
  readonly address = ownAddress;
  readonly family: Family;
  readonly peerAddress = peerAddress;
  readonly slack = 1;
  readonly disturbance = 0;
  port = listenPort;
  readonly #settings: Settings;
  readonly #clock = new VirtualClock();
  readonly #errors: unknown[] = [];
  readonly #timers = new Scheduler(this.#clock, { onError: (error) => void this.#errors.push(error) });
  readonly #link: ReturnType<typeof createLink>;
  readonly #peer: FramePeer;
  readonly #sent: Emitted[] = [];
  #stack: IpStack | undefined;
  #listener: TcpListener | undefined;
  readonly #accepted: Flow[] = [];
  #flow: Flow | undefined;
  #isActive = false;
  #connecting: Pending<Flow> | undefined;
  #reading: { readonly into: Uint8Array; readonly pending: Pending<number> } | undefined;
  readonly #writing: Pending<void>[] = [];
  #written = 0;
  #read = 0;
  #isCorked = false;
  #noDelay = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.family = settings.family;
    this.#link = createLink({ timers: this.#timers, mtu: settings.mtu, queue: 2048 });
    this.#peer = new FramePeer(this.#link.b);
  }

  async start(): Promise<void> {
    const { receiveBuffer, sendBuffer, limits, congestion } = this.#settings;
    this.#stack = await createStack({
      netif: this.#link.a,
      timers: this.#timers,
      random: new SeededRandom(1),
      ipv4: { kind: "static", address: Prefix.parse("10.0.0.1/8") },
      ipv6: this.family === 4 ? { kind: "off" } : { kind: "static", address: Prefix.parse("fd00::a00:1/64") },
      tcp: {
        ...(receiveBuffer > 0 ? { receiveBuffer, maxReceiveBuffer: receiveBuffer } : {}),
        ...(sendBuffer > 0 ? { sendBuffer, maxSendBuffer: sendBuffer } : {}),
        // As a kernel whose queueing discipline does not pace: scripts acknowledge in heaps.
        pacing: false,
        ...ownCongestion(congestion),
        ...Object.fromEntries(limits),
      },
      onError: (error) => void this.#errors.push(error),
    });
    // Clocks that begin at 0 hide mistakes.
    this.#clock.advanceTo(1_000_000);
    await this.#pump();
    this.#peer.take();
  }

  peerPort(peer: number): number {
    return this.#isActive && peer === 1 ? remotePort : firstPeerPort + peer;
  }

  now(): number {
    return this.#clock.now();
  }

  async inject(packet: Uint8Array): Promise<void> {
    this.#send(this.family === 4 ? typeIpv4 : typeIpv6, packet);
    await this.#pump();
  }

  take(): Emitted | undefined {
    return this.#sent.shift();
  }

  async wait(deadline: number): Promise<void> {
    for (;;) {
      await this.#pump();
      if (this.#sent.length > 0) return;
      const next = this.#timers.nextDeadline();
      if (next > deadline) break;
      this.#clock.advanceTo(Math.max(next, this.#clock.now()));
    }
    if (deadline > this.#clock.now()) this.#clock.advanceTo(deadline);
    await this.#pump();
  }

  async call(call: CallSpec): Promise<string> {
    try {
      const outcome = await this.#call(call);
      await this.#pump();
      return outcome;
    } catch (error) {
      if (error instanceof FlowError) return `fails ${error.kind}`;
      throw error;
    }
  }

  async #call(call: CallSpec): Promise<string> {
    const stack = this.#required(this.#stack);
    switch (call.name) {
      case "listen":
        this.port = listenPort;
        this.#listener = await stack.tcp.listen({ port: listenPort }, (flow) => void this.#accepted.push(flow));
        return "ok";
      case "stop-listening":
        await this.#listener?.close();
        return "ok";
      case "accept": {
        const flow = this.#accepted.shift();
        if (flow === undefined) return "nothing";
        this.#use(flow);
        return "ok";
      }
      case "connect": {
        this.#isActive = true;
        const address = addressOf(this.family, peerAddress);
        this.#connecting = new Pending(stack.tcp.connect({ address, port: remotePort, noDelay: this.#noDelay }));
        await this.#pump();
        const first = this.#sent.at(-1)?.packet;
        const at = headerSize(this.family);
        if (first !== undefined) this.port = ((first[at] ?? 0) << 8) | (first[at + 1] ?? 0);
        return "ok";
      }
      case "connected": {
        const connecting = this.#required(this.#connecting);
        if (!connecting.isSettled) return "nothing";
        this.#use(connecting.value());
        return "ok";
      }
      default:
        return this.#callOfFlow(call);
    }
  }

  async #callOfFlow({ name, value, values }: CallSpec): Promise<string> {
    if (name === "nodelay" && this.#flow === undefined) {
      this.#noDelay = value === 1;
      return "ok";
    }
    if (name === "state") return this.#state();
    const flow = this.#required(this.#flow);
    switch (name) {
      case "write": {
        const bytes = Uint8Array.from({ length: value }, (_, index) => patternByte(this.#written + index));
        this.#written += value;
        const writing = new Pending(flow.write(bytes, this.#isCorked));
        this.#writing.push(writing);
        await this.#pump();
        if (writing.isSettled) writing.value();
        return "ok";
      }
      case "read":
        return this.#readUpTo(flow, value);
      case "read-all":
        return this.#readUpTo(flow, everything).then(judgeAll);
      case "shutdown":
        await flow.end();
        return "ok";
      case "close":
        void flow.close();
        return "ok";
      case "abort":
        flow.abort();
        return "ok";
      case "nodelay":
        option(flow, "setNoDelay")(value === 1);
        return "ok";
      case "cork":
        this.#isCorked = value === 1;
        return "ok";
      case "keepalive":
        option(flow, "setKeepAlive")((values[0] ?? 0) * 1000, (values[1] ?? 0) * 1000, values[2] ?? 0);
        return "ok";
      case "user-timeout":
        option(flow, "setUserTimeout")(value);
        return "ok";
      default:
        throw new Error(`our stack has no call "${name}"`);
    }
  }

  /** As much of `wanted` bytes as there is, as a socket that does not block gives it. */
  async #readUpTo(flow: Flow, wanted: number): Promise<string> {
    let total = 0;
    let isRight = true;
    while (total < wanted) {
      if (this.#reading === undefined) {
        const into = new Uint8Array(wanted - total);
        this.#reading = { into, pending: new Pending(flow.read(into)) };
      }
      await this.#pump();
      const { into, pending } = this.#reading;
      if (!pending.isSettled) return total === 0 ? "nothing" : printRead(total, isRight);
      this.#reading = undefined;
      const length = pending.value();
      if (length === 0) return total === 0 ? "end" : printRead(total, isRight);
      for (let at = 0; at < length; at++) isRight &&= into[at] === patternByte(this.#read + at);
      this.#read += length;
      total += length;
    }
    return printRead(total, isRight);
  }

  #state(): string {
    const { tcp } = this.#required(this.#stack);
    const [connection] = tcp.connections();
    if (connection !== undefined) return connection.state;
    if (tcp.statistics.halfOpen > 0) return "SYN-RECEIVED";
    return tcp.statistics.timeWait > 0 ? "TIME-WAIT" : "CLOSED";
  }

  #use(flow: Flow): void {
    this.#flow = flow;
    this.#written = 0;
    this.#read = 0;
    this.#reading = undefined;
  }

  #required<T>(value: T | undefined): T {
    if (value === undefined) throw new Error("the script calls something on a connection that is not there yet");
    return value;
  }

  #send(type: number, payload: Uint8Array): void {
    const frame = new Uint8Array(ethernetHeader + payload.length);
    const { netif } = this.#peer;
    const other = this.#link.a.mac;
    new DataView(frame.buffer).setUint16(0, other.high);
    new DataView(frame.buffer).setUint32(2, other.low);
    new DataView(frame.buffer).setUint16(6, netif.mac.high);
    new DataView(frame.buffer).setUint32(8, netif.mac.low);
    new DataView(frame.buffer).setUint16(12, type);
    frame.set(payload, ethernetHeader);
    this.#peer.send(frame);
  }

  /** Lets everything that is due at this moment happen. */
  async #pump(): Promise<void> {
    for (let idle = 0; idle < 3;) {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const frames = this.#peer.take();
      for (const frame of frames) this.#received(frame);
      const isDue = this.#timers.nextDeadline() <= this.#clock.now();
      if (isDue) this.#timers.run();
      idle = isDue || frames.length > 0 ? 0 : idle + 1;
    }
    if (this.#errors.length > 0) throw new Error("our stack threw", { cause: this.#errors[0] });
  }

  #received(frame: Uint8Array): void {
    const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
    const payload = frame.slice(ethernetHeader);
    if (type === typeIpv4) {
      const length = ((payload[2] ?? 0) << 8) | (payload[3] ?? 0);
      this.#sent.push({ time: this.#clock.now(), packet: payload.slice(0, length) });
    } else if (type === typeIpv6) {
      const answer = answerSolicitation(payload, this.#peer.netif.mac);
      if (answer !== undefined) this.#send(typeIpv6, answer);
      else if (payload[6] === protocolTcp) this.#sent.push({ time: this.#clock.now(), packet: payload });
    } else if (type === 0x0806 && payload[7] === 1) {
      this.#send(0x0806, answerArp(payload, this.#peer.netif.mac.high, this.#peer.netif.mac.low));
    }
  }

  async close(): Promise<void> {
    this.#connecting?.ignore();
    this.#reading?.pending.ignore();
    await this.#stack?.close();
    await this.#pump();
  }
}

/** We have every address that is asked for. */
function answerArp(request: Uint8Array, high: number, low: number): Uint8Array {
  const reply = request.slice(0, 28);
  reply[7] = 2;
  reply.copyWithin(18, 8, 18);
  const view = new DataView(reply.buffer);
  view.setUint16(8, high);
  view.setUint32(10, low);
  reply.set(request.subarray(24, 28), 14);
  return reply;
}

/** Whether what was there is what was sent; how much it is differs. */
function judgeAll(outcome: string): string {
  return /^\d+$/.test(outcome) ? "ok" : outcome;
}

/** The same for IPv6: a neighbour advertisement (RFC 4861 §4.4) for whatever address is solicited. */
function answerSolicitation(packet: Uint8Array, mac: MacAddress): Uint8Array | undefined {
  const at = headerSize(6);
  if (packet[6] !== protocolIcmp6 || packet[at] !== neighbourSolicitation || packet.length < at + 24) return undefined;
  const read = (offset: number): IpAddress => {
    const view = new DataView(packet.buffer, packet.byteOffset + offset, 16);
    return new IpAddress(6, view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12));
  };
  const solicitor = read(8);
  const target = read(at + 8);
  // Without a source it asks whether anybody has its own address: nobody.
  if (solicitor.isUnspecified) return undefined;
  const message = new Uint8Array(32);
  message[0] = neighbourSolicitation + 1;
  message[4] = 0x60;
  message.set(packet.subarray(at + 8, at + 24), 8);
  message[24] = 2;
  message[25] = 1;
  mac.write(message, 26);
  const sum = checksum(message, 0, message.length, pseudoSum(target, solicitor, protocolIcmp6, message.length));
  new DataView(message.buffer).setUint16(2, sum);
  const answer = wrap(target, solicitor, protocolIcmp6, 0, message);
  // Neighbours are believed only if no router was on the way.
  answer[7] = 255;
  return answer;
}

function printRead(total: number, isRight: boolean): string {
  return isRight ? String(total) : `${total} wrong bytes`;
}

/** The method of our own flows, which the signature does not have. */
function option(flow: Flow, name: string): (...values: unknown[]) => void {
  const method: unknown = Reflect.get(flow, name);
  if (typeof method !== "function") throw new Error(`our flows have no ${name}`);
  return (...values) => void Reflect.apply(method, flow, values);
}

/** What our TCP calls that control. */
function ownCongestion(name: Settings["congestion"]): Record<string, string> {
  return { congestion: name === "reno" ? "newreno" : "cubic" };
}

/** A promise that can be asked whether it has settled. */
class Pending<T> {
  isSettled = false;
  #result: { readonly value: T } | { readonly error: unknown } | undefined;

  constructor(promise: Promise<T>) {
    promise.then(
      (value) => this.#settle({ value }),
      (error: unknown) => this.#settle({ error }),
    );
  }

  #settle(result: { readonly value: T } | { readonly error: unknown }): void {
    this.isSettled = true;
    this.#result = result;
  }

  /** @throws what the promise rejected with. */
  value(): T {
    const result = this.#result;
    if (result === undefined) throw new Error("it is not settled");
    if ("error" in result) throw result.error;
    return result.value;
  }

  ignore(): void {
    // Its handlers are attached: nothing is unhandled.
  }
}
