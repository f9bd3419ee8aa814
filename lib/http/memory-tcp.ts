import { type Endpoint, IpAddress } from "@tesserae/device/address";
import { type Flow, FlowError } from "@tesserae/device/flow";
import type { Tcp, TcpConnectOptions, TcpListener, TcpListenOptions } from "@tesserae/device/tcp";

/** Octets that one direction holds before a write waits. */
const capacity = 65_536;

/** The two ends of a byte stream in memory: what one writes the other reads. */
export function createFlowPair(
  left: Endpoint = { address: IpAddress.loopback4, port: 1 },
  right: Endpoint = { address: IpAddress.loopback4, port: 2 },
): [Flow, Flow] {
  const there = new Channel();
  const back = new Channel();
  return [new MemoryFlow(left, right, back, there), new MemoryFlow(right, left, there, back)];
}

/** Connections within one process: for tests of servers and clients without any network. */
export function createMemoryTcp(): Tcp {
  return new MemoryTcp();
}

/** One direction. */
class Channel {
  #pieces: Uint8Array[] = [];
  #consumed = 0;
  #queued = 0;
  #ended = false;
  #error: FlowError | undefined = undefined;
  #wakeReader: (() => void) | undefined = undefined;
  #wakeWriters: (() => void)[] = [];

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.#error !== undefined) throw this.#error;
      const length = Math.min(bytes.length - at, capacity - this.#queued);
      if (length === 0) {
        await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
        continue;
      }
      this.#pieces.push(bytes.slice(at, at + length));
      this.#queued += length;
      at += length;
      this.#wake();
    }
  }

  async read(into: Uint8Array): Promise<number> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      const [first] = this.#pieces;
      if (first !== undefined) {
        const length = Math.min(into.length, first.length - this.#consumed);
        into.set(first.subarray(this.#consumed, this.#consumed + length));
        this.#consumed += length;
        this.#queued -= length;
        if (this.#consumed === first.length) {
          this.#pieces.shift();
          this.#consumed = 0;
        }
        for (const wake of this.#wakeWriters.splice(0)) wake();
        return length;
      }
      if (this.#ended) return 0;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Fails what is pending and to come. */
  fail(error: FlowError): void {
    this.#error ??= error;
    this.#pieces = [];
    this.#queued = 0;
    this.#wake();
    for (const wake of this.#wakeWriters.splice(0)) wake();
  }

  /** Drops what is queued and what still comes. */
  discard(): void {
    this.#pieces = [];
    this.#queued = 0;
    this.#consumed = 0;
    for (const wake of this.#wakeWriters.splice(0)) wake();
  }

  #wake(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
  }
}

class MemoryFlow implements Flow {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly #in: Channel;
  readonly #out: Channel;
  #reading = false;
  #ended = false;
  #closed: FlowError | undefined = undefined;
  #rejectRead: ((error: FlowError) => void) | undefined = undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(local: Endpoint, remote: Endpoint, incoming: Channel, outgoing: Channel) {
    this.local = local;
    this.remote = remote;
    this.#in = incoming;
    this.#out = outgoing;
  }

  async read(into: Uint8Array): Promise<number> {
    if (into.length === 0) throw new RangeError("into is empty");
    if (this.#reading) throw new TypeError("a read is pending: one read at a time");
    if (this.#closed !== undefined) throw this.#closed;
    this.#reading = true;
    try {
      const closed = new Promise<never>((_, reject) => {
        this.#rejectRead = reject;
      });
      return await Promise.race([this.#in.read(into), closed]);
    } finally {
      this.#reading = false;
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#ended) return Promise.reject(new FlowError("closed", "write after end"));
    // One after the other, so that a write that waits for room is not overtaken.
    const written = this.#last.then(() => this.#out.write(bytes));
    this.#last = written.catch(() => undefined);
    return written;
  }

  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#last;
    this.#out.end();
  }

  async close(): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#closed = new FlowError("closed", "the flow was closed");
    this.#rejectRead?.(this.#closed);
    this.#in.discard();
    const ended = this.end();
    // Whoever still writes to us must not wait for a reader that is gone.
    void this.#swallow();
    await ended;
  }

  abort(): void {
    this.#closed ??= new FlowError("aborted", "the flow was aborted");
    this.#rejectRead?.(this.#closed);
    this.#ended = true;
    this.#out.fail(new FlowError("reset", "the peer reset the connection"));
    this.#in.fail(new FlowError("reset", "the peer reset the connection"));
  }

  async #swallow(): Promise<void> {
    const into = new Uint8Array(4096);
    try {
      while ((await this.#in.read(into)) > 0);
    } catch {
      // A reset ends it as well.
    }
  }
}

interface Listening {
  readonly accept: (flow: Flow) => void | Promise<void>;
}

class MemoryTcp implements Tcp {
  readonly #ports = new Map<number, Listening>();
  #next = 49_152;

  connect(options: TcpConnectOptions): Promise<Flow> {
    const listening = this.#ports.get(options.port);
    if (listening === undefined) {
      return Promise.reject(new FlowError("refused", `nobody listens on port ${options.port}`));
    }
    const remote = { address: options.address, port: options.port };
    const [near, far] = createFlowPair({ address: IpAddress.loopback4, port: this.#take() }, remote);
    queueMicrotask(() => {
      void this.#accept(listening, far);
    });
    return Promise.resolve(near);
  }

  listen(options: TcpListenOptions, accept: (flow: Flow) => void | Promise<void>): Promise<TcpListener> {
    const port = options.port === 0 ? this.#take() : options.port;
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      return Promise.reject(new RangeError(`port ${port} is not an integer from 0 to 65535`));
    }
    if (this.#ports.has(port)) return Promise.reject(new FlowError("address-in-use", `port ${port} is taken`));
    this.#ports.set(port, { accept });
    return Promise.resolve({
      local: { address: options.address ?? IpAddress.loopback4, port },
      close: () => {
        this.#ports.delete(port);
        return Promise.resolve();
      },
    });
  }

  async #accept(listening: Listening, flow: Flow): Promise<void> {
    try {
      await listening.accept(flow);
    } catch {
      flow.abort();
    }
  }

  #take(): number {
    if (this.#next > 65_535) this.#next = 49_152;
    return this.#next++;
  }
}
