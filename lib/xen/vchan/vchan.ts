import { type Endpoint, IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import { type Flow, FlowError, type FlowErrorKind } from "@tesserae/device/flow";
import type { EventChannel } from "../event-channel.ts";
import type { ByteRing } from "../byte-ring.ts";
import {
  clientLive,
  clientNotify,
  live,
  notifyRead,
  notifyWritten,
  reset,
  serverLive,
  serverNotify,
} from "./layout.ts";

/** What a flow over shared memory is made of. */
export interface VchanParts {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly timers: Timers;
  readonly isServer: boolean;
  /** The page that both ends share. */
  readonly page: Uint8Array;
  readonly input: ByteRing;
  readonly output: ByteRing;
  /** Milliseconds that closing waits for the peer to take what was written. */
  readonly linger: number;
  /** The memory and the channel are not needed any more. */
  readonly released: () => void;
}

interface PendingWrite {
  readonly bytes: Uint8Array;
  offset: number;
  readonly resolve: () => void;
  readonly reject: (error: FlowError) => void;
}

interface PendingRead {
  readonly into: Uint8Array;
  readonly resolve: (count: number) => void;
  readonly reject: (error: FlowError) => void;
}

/** A domain as an address, for flows: 0.0.0.0 and its number. */
export function endpointOf(domain: number, port: number): Endpoint {
  return { address: IpAddress.v4(domain), port };
}

/** One end of a vchan. Whoever makes it calls {@link Vchan.signalled} when the channel fires. */
export class Vchan implements Flow {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly #parts: VchanParts;
  readonly #channel: EventChannel;
  readonly #input: ByteRing;
  readonly #output: ByteRing;
  readonly #page: Uint8Array;
  readonly #ownLive: number;
  readonly #peerLive: number;
  /** What we are asked to signal, and what we ask for. */
  readonly #asked: number;
  readonly #wanted: number;
  readonly #writes: PendingWrite[] = [];
  #read: PendingRead | undefined;
  #error: FlowError | undefined;
  #isEnded = false;
  /** The peer will write nothing more. */
  #isAtEnd = false;
  #isReleased = false;
  readonly #linger: Timer;
  #ending: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #finished: (() => void) | undefined;

  constructor(parts: VchanParts, channel: EventChannel) {
    const { isServer, page } = parts;
    this.#parts = parts;
    this.#channel = channel;
    this.local = parts.local;
    this.remote = parts.remote;
    this.#input = parts.input;
    this.#output = parts.output;
    this.#page = page;
    this.#ownLive = isServer ? serverLive : clientLive;
    this.#peerLive = isServer ? clientLive : serverLive;
    this.#asked = isServer ? serverNotify : clientNotify;
    this.#wanted = isServer ? clientNotify : serverNotify;
    this.#linger = parts.timers.timer(() => this.#release());
  }

  read(into: Uint8Array): Promise<number> {
    if (into.length === 0) return Promise.reject(new RangeError("into is empty"));
    if (this.#read !== undefined) return Promise.reject(new TypeError("a read is pending: one read at a time"));
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#read = { into, resolve, reject };
      this.#pumpIn();
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#isEnded) return Promise.reject(new FlowError("closed", "the flow was ended"));
    return new Promise((resolve, reject) => {
      this.#writes.push({ bytes, offset: 0, resolve, reject });
      if (this.#writes.length === 1) this.#pumpOut();
    });
  }

  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    if (this.#error !== undefined) return;
    this.#isEnded = true;
    const last = this.#writes.at(-1);
    if (last !== undefined) {
      await new Promise<void>((resolve) => {
        // Behind the last of what was written.
        this.#writes.push({ bytes: new Uint8Array(0), offset: 0, resolve, reject: () => resolve() });
      });
    }
    if (this.#isReleased) return;
    Atomics.store(this.#page, this.#ownLive, live.ended);
    this.#channel.notify();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#isReleased) return;
    const finished = new Promise<void>((resolve) => {
      this.#finished = resolve;
    });
    const { timers, linger } = this.#parts;
    const ended = this.end();
    this.#linger.set(timers.now() + linger);
    const error = new FlowError("closed", "the flow was closed");
    this.#error = error;
    this.#rejectRead(error);
    void ended.then(() => this.signalled());
    this.signalled();
    await finished;
  }

  abort(): void {
    if (this.#isReleased) return;
    this.#fail("aborted", "the flow was aborted");
  }

  /** The domain was restored: the memory and the channel are not shared with anybody now. */
  lost(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#linger.cancel();
    this.#rejectAll(new FlowError("reset", "the domain was restored"));
    this.#parts.released();
    this.#finished?.();
  }

  /** The peer has moved an index, ended or left. */
  signalled(): void {
    if (this.#isReleased) return;
    const state = Atomics.load(this.#page, this.#peerLive);
    const isReset = (Atomics.load(this.#page, this.#asked) & reset) !== 0;
    if (isReset && this.#closing === undefined) {
      this.#fail("reset", "the peer aborted the connection");
      return;
    }
    this.#isAtEnd ||= state === live.ended || state === live.gone;
    this.#pumpIn();
    if (state === live.gone) this.#peerLeft();
    else this.#pumpOut();
    if (this.#closing !== undefined) this.#finish(state);
  }

  /** Closing: the peer has got all, or wants nothing. What it writes is dropped. */
  #finish(state: number): void {
    if (this.#isReleased) return;
    const isDelivered = this.#writes.length === 0 && this.#output.readable === 0;
    if (state === live.gone || (isDelivered && state !== live.awaited)) this.#release();
    else if (!isDelivered) this.#want(notifyRead);
  }

  #peerLeft(): void {
    const error = new FlowError("reset", "the peer closed the connection");
    for (const each of this.#writes.splice(0)) each.reject(error);
  }

  #pumpIn(): void {
    if (this.#isReleased) return;
    if (this.#closing !== undefined) {
      if (this.#input.discard() > 0) this.#signal(notifyRead);
      this.#want(notifyWritten);
      return;
    }
    const pending = this.#read;
    if (pending === undefined) return;
    let count = this.#input.read(pending.into);
    if (count === 0 && !this.#isAtEnd) {
      this.#want(notifyWritten);
      // What was written before the peer saw that is found here.
      count = this.#input.read(pending.into);
    }
    if (count < 0) {
      this.#fail("protocol", "the peer's indices make no sense");
      return;
    }
    if (count === 0 && !this.#isAtEnd) return;
    this.#read = undefined;
    if (count > 0) this.#signal(notifyRead);
    pending.resolve(count);
  }

  #pumpOut(): void {
    while (!this.#isReleased) {
      const [first] = this.#writes;
      if (first === undefined) return;
      if (Atomics.load(this.#page, this.#peerLive) === live.gone) {
        this.#peerLeft();
        return;
      }
      const count = this.#output.write(first.bytes, first.offset);
      if (count < 0) {
        this.#fail("protocol", "the peer's indices make no sense");
        return;
      }
      first.offset += count;
      if (count > 0) this.#signal(notifyWritten);
      if (first.offset === first.bytes.length) {
        this.#writes.shift();
        first.resolve();
      } else if (count === 0) {
        this.#want(notifyRead);
        if (this.#output.writable === 0) return;
      }
    }
  }

  /** Signals what was done, if the peer wants to hear of it. */
  #signal(what: number): void {
    if ((Atomics.and(this.#page, this.#asked, ~what) & what) !== 0) this.#channel.notify();
  }

  #want(what: number): void {
    Atomics.or(this.#page, this.#wanted, what);
  }

  #rejectRead(error: FlowError): void {
    const pending = this.#read;
    this.#read = undefined;
    pending?.reject(error);
  }

  #fail(kind: FlowErrorKind, message: string): void {
    this.#rejectAll(new FlowError(kind, message));
    Atomics.or(this.#page, this.#wanted, reset);
    this.#release();
  }

  /** After a close the error stays "closed". */
  #rejectAll(error: FlowError): void {
    this.#error ??= error;
    this.#rejectRead(this.#error);
    for (const each of this.#writes.splice(0)) each.reject(this.#error);
  }

  #release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#linger.cancel();
    const error = this.#error ?? new FlowError("closed", "the flow was closed");
    for (const each of this.#writes.splice(0)) each.reject(error);
    Atomics.store(this.#page, this.#ownLive, live.gone);
    this.#channel.notify();
    this.#parts.released();
    this.#finished?.();
  }
}
