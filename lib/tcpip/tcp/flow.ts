import type { Endpoint } from "@tesserae/device/address";
import { type Flow, FlowError, type FlowErrorKind } from "@tesserae/device/flow";
import type { Connection } from "./connection.ts";
import type { ConnectionStatistics } from "./statistics.ts";

/** A write that waits for room. */
interface PendingWrite {
  readonly bytes: Uint8Array;
  taken: number;
  readonly more: boolean;
  resolve(): void;
  reject(error: FlowError): void;
}

const done = Promise.resolve();
const nothing = Promise.resolve(0);

/** The application's side of a connection: promises in front of the two buffers. */
export class TcpFlow implements Flow {
  readonly #connection: Connection;
  #resolveRead: ((length: number) => void) | null = null;
  #rejectRead: ((error: unknown) => void) | null = null;
  readonly #writes: PendingWrite[] = [];
  #ended = false;
  #closed: Promise<void> | null = null;
  #resolveClosed: (() => void) | null = null;
  #error: FlowError | null = null;
  #over = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get local(): Endpoint {
    return { address: this.#connection.local, port: this.#connection.localPort };
  }

  get remote(): Endpoint {
    return { address: this.#connection.remote, port: this.#connection.remotePort };
  }

  read(into: Uint8Array): Promise<number> {
    if (into.length === 0) return Promise.reject(new RangeError("into is empty"));
    if (this.#resolveRead !== null) return Promise.reject(new TypeError("a read is pending"));
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#closed !== null) return Promise.reject(closedError());
    const { buffer } = this.#connection.receiver;
    if (buffer.length > 0) {
      buffer.read(into);
      const length = buffer.finishRead();
      this.#connection.consumed();
      return Promise.resolve(length);
    }
    if (this.#connection.receiver.finished || this.#over) return nothing;
    return new Promise((resolve, reject) => {
      this.#resolveRead = resolve;
      this.#rejectRead = reject;
      buffer.read(into);
    });
  }

  write(bytes: Uint8Array, more = false): Promise<void> {
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#ended) return Promise.reject(closedError());
    const { buffer } = this.#connection.sender;
    const taken = this.#writes.length === 0 ? buffer.append(bytes, 0) : 0;
    // What does not fit at once is more than a segment: nothing to hold back for.
    const isWhole = taken === bytes.length && this.#writes.length === 0;
    this.#connection.written(more && isWhole);
    if (isWhole) return done;
    return new Promise((resolve, reject) => {
      this.#writes.push({ bytes, taken, more, resolve, reject });
    });
  }

  /**
   * Takes as much of `bytes` as there is room for, at once: nothing while earlier writes wait for room. For callers
   * whose own interface is to be told at once, such as Node's sockets.
   *
   * @param more as for {@link TcpFlow.write}.
   * @returns how many bytes were taken.
   * @throws FlowError what the connection died of; `closed` after {@link TcpFlow.end}.
   */
  writeNow(bytes: Uint8Array, more = false): number {
    if (this.#error !== null) throw this.#error;
    if (this.#ended) throw closedError();
    if (this.#writes.length > 0) return 0;
    const taken = this.#connection.sender.buffer.append(bytes, 0);
    this.#connection.written(more && taken === bytes.length);
    return taken;
  }

  /** Turns Nagle's algorithm off (`true`) or on from now on. */
  setNoDelay(noDelay: boolean): void {
    this.#connection.setNoDelay(noDelay);
  }

  /**
   * How long data may stay unacknowledged before the connection is given up, milliseconds, from now on.
   *
   * @throws RangeError when it is not above 0.
   */
  setUserTimeout(timeout: number): void {
    this.#connection.setUserTimeout(timeout);
  }

  /**
   * Sends keep-alive probes after `idle` silent milliseconds from now on; `undefined` stops them.
   *
   * @param interval milliseconds between probes; default: `idle`, at most 75 s
   * @param probes unanswered ones before the connection counts as dead; default 9
   * @throws RangeError when `idle` or `interval` is not above 0, or `probes` is no integer above 0.
   */
  setKeepAlive(idle: number | undefined, interval?: number, probes?: number): void {
    this.#connection.setKeepAlive(idle, interval, probes);
  }

  /** What the connection is doing, as `ss -ti` shows it. Still there when it is over. */
  statistics(): ConnectionStatistics {
    return this.#connection.statistics();
  }

  end(): Promise<void> {
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#ended) return done;
    this.#ended = true;
    if (this.#writes.length === 0) {
      this.#connection.end();
      return done;
    }
    // Behind the writes that wait: an empty one, with the end as its echo.
    return new Promise((resolve, reject) => {
      this.#writes.push({ bytes: new Uint8Array(0), taken: 0, more: false, resolve, reject });
    });
  }

  close(): Promise<void> {
    if (this.#closed !== null) return this.#closed;
    if (this.#over) {
      this.#closed = done;
      this.#connection.receiver.buffer.clear();
      return done;
    }
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    // An end that fails has told the writers, and close never rejects.
    this.end().catch(() => undefined);
    // Most have no read pending, and an error is dear.
    if (this.#rejectRead !== null) this.#rejectPendingRead(closedError());
    this.#connection.linger();
    return this.#closed;
  }

  abort(): void {
    this.#connection.abort();
    this.#connection.receiver.buffer.clear();
    this.#error ??= new FlowError("aborted", "the flow was aborted");
  }

  // ---- called by the connection

  /** What the connection died of. */
  get error(): FlowError | null {
    return this.#error;
  }

  /** Whether a writer waits for room in the send buffer. */
  get isWriteWaiting(): boolean {
    return this.#writes.length > 0;
  }

  /** Gives a waiting reader what has arrived. Called once a batch. */
  readable(): void {
    const resolve = this.#resolveRead;
    if (resolve === null) return;
    const { receiver } = this.#connection;
    const { buffer } = receiver;
    if (buffer.filled === 0 && !receiver.finished) return;
    this.#resolveRead = null;
    this.#rejectRead = null;
    resolve(buffer.finishRead());
    this.#connection.consumed();
  }

  /** There is room in the send buffer: takes what waits. */
  writable(): void {
    const { buffer } = this.#connection.sender;
    while (this.#writes.length > 0) {
      const write = this.#writes[0];
      if (write === undefined) return;
      write.taken += buffer.append(write.bytes, write.taken);
      if (write.taken < write.bytes.length) return;
      this.#writes.shift();
      if (this.#writes.length === 0) {
        if (this.#ended) this.#connection.end();
        else this.#connection.written(write.more);
      }
      write.resolve();
    }
  }

  /** The connection died. */
  fail(kind: FlowErrorKind, message: string): void {
    this.readable();
    const error = new FlowError(kind, message);
    this.#error ??= error;
    this.#rejectPendingRead(error);
    for (const write of this.#writes.splice(0)) write.reject(error);
  }

  /** The connection is over, for better or worse. */
  over(): void {
    this.readable();
    this.#over = true;
    this.#resolveClosed?.();
    this.#resolveClosed = null;
  }

  #rejectPendingRead(error: FlowError): void {
    const reject = this.#rejectRead;
    this.#resolveRead = null;
    this.#rejectRead = null;
    this.#connection.receiver.buffer.finishRead();
    reject?.(error);
  }
}

function closedError(): FlowError {
  return new FlowError("closed", "the flow was closed on this side");
}
