import { formatEndpoint, type Endpoint } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Tcp, TcpConnectOptions } from "@tesserae/device/tcp";

/** One direction of a flow: what was written at one end and not yet read at the other. */
class Stream {
  readonly #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that were read. */
  #from = 0;
  #written = 0;
  #read = 0;
  #ended = false;

  write(bytes: Uint8Array): void {
    // What is written behind the end is refused.
    if (bytes.length === 0 || this.#ended) return;
    this.#chunks.push(bytes.slice());
    this.#written += bytes.length;
  }

  /** No more will be written. */
  end(): void {
    this.#ended = true;
  }

  /** @returns what is wrong with bytes that were read. */
  read(bytes: Uint8Array, length: number): string | undefined {
    for (let at = 0; at < length;) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) return `byte ${this.#read} was read and never written`;
      const take = Math.min(length - at, chunk.length - this.#from);
      for (let index = 0; index < take; index++) {
        if (bytes[at + index] !== chunk[this.#from + index]) {
          return `byte ${this.#read + index} was written as ${chunk[this.#from + index]} and read as ${bytes[at + index]}`;
        }
      }
      at += take;
      this.#read += take;
      this.#from += take;
      if (this.#from < chunk.length) continue;
      this.#chunks.shift();
      this.#from = 0;
    }
    return undefined;
  }

  /** @returns what is wrong with the end having been read. */
  readEnd(): string | undefined {
    if (!this.#ended) return `the end was read after ${this.#read} bytes, and the writer has not ended`;
    if (this.#read === this.#written) return undefined;
    return `the end was read after ${this.#read} bytes of ${this.#written}`;
  }
}

/** The two directions between the end that connected and the end that accepted. */
interface Pair {
  readonly out: Stream;
  readonly back: Stream;
  accepted: boolean;
}

/** Connections remembered that nobody has accepted yet. */
const mostOpen = 100_000;

/**
 * Watches the flows of a world from both ends: what is read at one end is what was written at the other, in its order,
 * with nothing missing, doubled or changed; and the end is read only after all of it, once the writer has ended.
 *
 * The ends belong together by their addresses and ports, so a flow through an address translator is not watched.
 */
export class ByteLedger {
  /** By the endpoints as the connecting end sees them. */
  readonly #open = new Map<string, Pair>();
  #problem: string | undefined = undefined;
  /** Flows of which both ends were watched, and bytes that were read from them. */
  flows = 0;
  bytes = 0;

  /** The first thing that went wrong. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Has the flows of a host's TCP watched that are made from now on: puts watched ones in their place. */
  watch(tcp: Tcp, host: string): void {
    const connect = tcp.connect.bind(tcp);
    const listen = tcp.listen.bind(tcp);
    const watchedConnect = async (options: TcpConnectOptions): Promise<Flow> => {
      const flow = await connect(options);
      const pair = this.#connected(flow);
      return new WatchedFlow(flow, this, host, pair, pair.out, pair.back);
    };
    const watchedListen: Tcp["listen"] = (options, accept) =>
      listen(options, (flow) => {
        const pair = this.#accepted(flow);
        return accept(pair === undefined ? flow : new WatchedFlow(flow, this, host, pair, pair.back, pair.out));
      });
    // On the object itself, which has more to it than the signature says.
    Object.defineProperties(tcp, { connect: { value: watchedConnect }, listen: { value: watchedListen } });
  }

  /** What was read, or its end, is not what was written. */
  wrong(host: string, flow: Flow, what: string): void {
    this.#problem ??= `${host}, ${formatEndpoint(flow.local)} from ${formatEndpoint(flow.remote)}: ${what}`;
  }

  #connected(flow: Flow): Pair {
    const pair: Pair = { out: new Stream(), back: new Stream(), accepted: false };
    const key = keyOf(flow.local, flow.remote);
    this.#open.delete(key);
    this.#open.set(key, pair);
    if (this.#open.size > mostOpen) {
      const oldest = this.#open.keys().next();
      if (oldest.done !== true) this.#open.delete(oldest.value);
    }
    return pair;
  }

  /** @returns undefined when nobody of this world has connected from there. */
  #accepted(flow: Flow): Pair | undefined {
    const pair = this.#open.get(keyOf(flow.remote, flow.local));
    if (pair === undefined || pair.accepted) return undefined;
    this.#open.delete(keyOf(flow.remote, flow.local));
    pair.accepted = true;
    this.flows++;
    return pair;
  }
}

function keyOf(connecting: Endpoint, accepting: Endpoint): string {
  return `${formatEndpoint(connecting)}>${formatEndpoint(accepting)}`;
}

class WatchedFlow implements Flow {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly #flow: Flow;
  readonly #ledger: ByteLedger;
  readonly #host: string;
  readonly #pair: Pair;
  readonly #written: Stream;
  readonly #read: Stream;
  #aborted = false;

  constructor(flow: Flow, ledger: ByteLedger, host: string, pair: Pair, written: Stream, read: Stream) {
    this.local = flow.local;
    this.remote = flow.remote;
    this.#flow = flow;
    this.#ledger = ledger;
    this.#host = host;
    this.#pair = pair;
    this.#written = written;
    this.#read = read;
  }

  async read(into: Uint8Array): Promise<number> {
    const length = await this.#flow.read(into);
    this.#ledger.bytes += length;
    const problem = length === 0 ? this.#read.readEnd() : this.#read.read(into, length);
    // Nobody writes before he has accepted: what comes all the same comes from behind a translator.
    if (problem !== undefined && !this.#aborted && this.#pair.accepted)
      this.#ledger.wrong(this.#host, this.#flow, problem);
    return length;
  }

  write(bytes: Uint8Array, more?: boolean): Promise<void> {
    // Before the flow takes any of it: a part of a write that is rejected may arrive all the same.
    this.#written.write(bytes);
    return this.#flow.write(bytes, more);
  }

  end(): Promise<void> {
    this.#written.end();
    return this.#flow.end();
  }

  close(): Promise<void> {
    this.#written.end();
    return this.#flow.close();
  }

  abort(): void {
    this.#aborted = true;
    this.#flow.abort();
  }
}
