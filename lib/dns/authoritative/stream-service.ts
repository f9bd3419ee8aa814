import { formatEndpoint, type IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Log } from "@tesserae/device/log";
import type { Transport } from "./extension.ts";
import { putU16, u16At } from "./octets.ts";

/** What a message on a stream comes to: bytes written into `out`, or what an extension will send. */
export interface StreamAnswerer {
  /**
   * Answers the message `bytes[at … at + length)`.
   *
   * @param send sends a message on the same stream, for answers that come later
   * @returns the length of the answer at `outAt` of `out`, which has room for 65,535 bytes; 0 when there is none; a
   * promise when an extension has taken the message, settled when it is done.
   */
  answer(
    bytes: Uint8Array,
    at: number,
    length: number,
    out: Uint8Array,
    outAt: number,
    connection: StreamConnection,
  ): number | Promise<void>;
}

export interface StreamServiceOptions {
  readonly timers: Timers;
  readonly log: Log | undefined;
  /** Connections at once. */
  readonly connections: number;
  readonly connectionsPerClient: number;
  /** How long a connection may be without a whole message, milliseconds. */
  readonly idleTimeout: number;
}

const longestMessage = 65_535;
/** What a connection reads into: holds several ordinary queries. */
const usualBuffer = 1024;
/** Answers are gathered up to here before they are written. */
const outputLength = longestMessage + 2;
/** Messages of one connection that extensions may be working on at once; then nothing is read. */
const mostPending = 8;

/** One connection. */
export class StreamConnection {
  readonly flow: Flow;
  readonly transport: Transport;
  /** When the last whole message came, on the `now()` axis. */
  lastMessage: number;
  /** Messages that extensions are working on. */
  pending = 0;
  /** Whether we have ended it because it was silent. */
  ended = false;

  constructor(flow: Flow, transport: Transport, now: number) {
    this.flow = flow;
    this.transport = transport;
    this.lastMessage = now;
  }

  /** Sends a message; false when the connection is over. */
  async send(message: Uint8Array): Promise<boolean> {
    const framed = new Uint8Array(message.length + 2);
    putU16(framed, 0, message.length);
    framed.set(message, 2);
    try {
      await this.flow.write(framed);
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * DNS messages over streams (RFC 7766): each with two bytes of length in front, any number one after the other without
 * waiting for answers. Answers from the zones come in order; what extensions do comes when it is ready.
 */
export class StreamService {
  readonly #answerer: StreamAnswerer;
  readonly #options: StreamServiceOptions;
  /** In the order in which they last sent a message: who has been silent for longest first. */
  readonly #connections = new Set<StreamConnection>();
  readonly #perClient = new Map<string, number>();
  /** Buffers for answers that nobody uses now: connections have none while they are idle. */
  readonly #buffers: Uint8Array[] = [];
  /** One timer for all: the connections are in the order of their deadlines. */
  readonly #timer: Timer;
  accepted = 0;
  refused = 0;
  timedOut = 0;

  constructor(answerer: StreamAnswerer, options: StreamServiceOptions) {
    this.#answerer = answerer;
    this.#options = options;
    this.#timer = options.timers.timer(() => this.#expire());
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Serves a connection until either side ends it. Never rejects. */
  async serve(flow: Flow, transport: Transport): Promise<void> {
    const client = networkOf(flow.remote.address);
    const ofClient = this.#perClient.get(client) ?? 0;
    if (ofClient >= this.#options.connectionsPerClient || !this.#makeRoom()) {
      this.refused++;
      flow.abort();
      return;
    }
    this.accepted++;
    this.#perClient.set(client, ofClient + 1);
    const connection = new StreamConnection(flow, transport, this.#options.timers.now());
    this.#connections.add(connection);
    this.#schedule();
    try {
      await this.#run(connection);
      await flow.close();
    } catch (error) {
      // A read that ends because we close is no fault, and must not make a reset of it.
      if (connection.ended) return;
      this.#options.log?.debug("connection lost", { from: formatEndpoint(flow.remote), why: String(error) });
      flow.abort();
    } finally {
      this.#connections.delete(connection);
      const left = (this.#perClient.get(client) ?? 1) - 1;
      if (left === 0) this.#perClient.delete(client);
      else this.#perClient.set(client, left);
      this.#schedule();
    }
  }

  /** Ends all connections. */
  close(): void {
    this.#timer.cancel();
    for (const { flow } of this.#connections) flow.abort();
  }

  async #run(connection: StreamConnection): Promise<void> {
    const { flow } = connection;
    let buffer = new Uint8Array(usualBuffer);
    let filled = 0;
    let resume: (() => void) | undefined;
    for (;;) {
      const length = await flow.read(filled === 0 ? buffer : buffer.subarray(filled));
      if (length === 0) {
        // What is being worked on still goes out.
        while (connection.pending > 0) await new Promise<void>((resolve) => (resume = resolve));
        return;
      }
      filled += length;
      let at = 0;
      while (filled - at >= 2 && filled - at - 2 >= u16At(buffer, at)) {
        const out = this.#buffers.pop() ?? new Uint8Array(outputLength);
        let written = 0;
        // As many answers as fit go out in one write.
        while (filled - at >= 2 && filled - at - 2 >= u16At(buffer, at) && connection.pending < mostPending) {
          if (written > 0 && out.length - written < outputLength / 2) break;
          const message = u16At(buffer, at);
          const room = written === 0 ? out : this.#spare();
          const answer = this.#answerer.answer(buffer, at + 2, message, room, room === out ? 2 : 0, connection);
          at += 2 + message;
          if (typeof answer === "number") {
            if (answer === 0) continue;
            if (room !== out) {
              if (written + 2 + answer > out.length) {
                // Does not fit behind the others: they go first.
                await flow.write(out.subarray(0, written));
                written = 0;
              }
              out.set(room.subarray(0, answer), written + 2);
            }
            putU16(out, written, answer);
            written += 2 + answer;
          } else {
            connection.pending++;
            void answer.finally(() => {
              connection.pending--;
              resume?.();
            });
          }
        }
        this.#touch(connection);
        if (written > 0) await flow.write(out.subarray(0, written));
        if (this.#buffers.length < 4) this.#buffers.push(out);
        while (connection.pending >= mostPending) await new Promise<void>((resolve) => (resume = resolve));
      }
      buffer.copyWithin(0, at, filled);
      filled -= at;
      buffer = fitted(buffer, filled);
    }
  }

  /** Where an answer is made that has others in front of it; free again as soon as it is copied. */
  #spare(): Uint8Array {
    const spare = this.#scratch ?? new Uint8Array(longestMessage);
    this.#scratch = spare;
    return spare;
  }
  #scratch: Uint8Array | undefined = undefined;

  #touch(connection: StreamConnection): void {
    connection.lastMessage = this.#options.timers.now();
    this.#connections.delete(connection);
    this.#connections.add(connection);
  }

  /** When all places are taken the connection that has been silent for longest goes, unless it waits for us. */
  #makeRoom(): boolean {
    if (this.#connections.size < this.#options.connections) return true;
    for (const connection of this.#connections) {
      if (connection.pending > 0) continue;
      this.#connections.delete(connection);
      connection.flow.abort();
      return true;
    }
    return false;
  }

  #schedule(): void {
    const [first] = this.#connections;
    if (first === undefined) this.#timer.cancel();
    else if (!this.#timer.armed) this.#timer.set(first.lastMessage + this.#options.idleTimeout);
  }

  #expire(): void {
    const silentSince = this.#options.timers.now() - this.#options.idleTimeout;
    for (const connection of this.#connections) {
      if (connection.lastMessage > silentSince) break;
      if (connection.pending > 0) {
        this.#touch(connection);
        continue;
      }
      this.timedOut++;
      this.#connections.delete(connection);
      connection.ended = true;
      // A graceful end: the client may have just begun to ask, and asks again.
      void connection.flow.close();
    }
    this.#schedule();
  }
}

/** The buffer, or one that the message at its start fits into. */
function fitted(buffer: Uint8Array<ArrayBuffer>, filled: number): Uint8Array<ArrayBuffer> {
  const needed = filled >= 2 ? u16At(buffer, 0) + 2 : 2;
  const length = Math.max(usualBuffer, needed);
  if (length === buffer.length) return buffer;
  // Grows by what has come, not by what was promised: a promise costs the client nothing.
  const next = new Uint8Array(Math.min(length, Math.max(usualBuffer, filled * 2)));
  next.set(buffer.subarray(0, filled));
  return next;
}

/** What counts as one client. */
function networkOf(address: IpAddress): string {
  return address.family === 4 ? String(address.w3) : `${address.w0}:${address.w1}`;
}
