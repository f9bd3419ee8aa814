import type { Flow } from "@tesserae/device/flow";
import type { AsyncScope } from "./host.ts";
import { reportUncaught } from "./host.ts";

/** Where what was read goes. */
export interface ReadSink {
  /**
   * Takes `into[0 … length)`.
   *
   * @returns whether the sink keeps `into`; else it is read into again.
   */
  data(into: Uint8Array<ArrayBuffer>, length: number): boolean;
  /** Nothing more will come: the peer has finished (`error` is undefined), or the flow failed. */
  end(error: unknown): void;
}

/** Buffer sizes, bytes. What waits for an idle peer is small; a fast one gets large reads. */
const smallest = 4096;
const largest = 65_536;
/** After so many reads in a row others get their turn in the event loop. */
const readsPerTurn = 32;
/** What a peer may still send after we have closed, bytes. A reset would take away from it what we sent last. */
const mostDrained = 65_536;
/** Where bytes go that nobody wants; what is written there by several flows at once does not matter. */
const drainBuffer = new Uint8Array(16_384);

/**
 * Moves bytes from a flow to a sink, only while it is told to. One read waits at a time; one buffer of what arrived
 * after `stop` is held, and the rest stays in the flow, whose window closes.
 */
export class ReadPump {
  /** A buffer of the user's to read into; replaces our own. */
  userBuffer: Uint8Array<ArrayBuffer> | undefined;
  /** Bytes that the sink got. */
  bytes = 0;
  #reading = false;
  #over = false;
  readonly #flow: Flow;
  readonly #scope: AsyncScope;
  readonly #onOver: () => void;
  #sink: ReadSink;
  #isPending = false;
  /** What was read while nobody wanted it: -1 is nothing. */
  #held = -1;
  #heldError: unknown;
  #hasFailed = false;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #size = smallest;
  #streak = 0;
  #drained = -1;
  #onDrained: ((graceful: boolean) => void) | undefined;
  readonly #arrived = (length: number): void => this.#take(length);
  readonly #failed = (error: unknown): void => this.#fail(error);
  readonly #readMore = (): void => this.#read();

  /** @param onOver is told when nothing more will come, before the sink is */
  constructor(flow: Flow, scope: AsyncScope, sink: ReadSink, onOver: () => void) {
    this.#onOver = onOver;
    this.#flow = flow;
    this.#scope = scope;
    this.#sink = sink;
  }

  /** Whether it moves bytes: told to, and not at the end. */
  get reading(): boolean {
    return this.#reading && !this.#over;
  }

  /** Whether the peer has finished, and the sink knows. */
  get over(): boolean {
    return this.#over;
  }

  set sink(sink: ReadSink) {
    this.#sink = sink;
  }

  start(): void {
    if (this.#reading) return;
    this.#reading = true;
    if (this.#over || this.#isPending) return;
    if (this.#held >= 0 || this.#hasFailed) queueMicrotask(() => this.#scope(() => this.#deliverHeld()));
    else this.#scope(this.#readMore);
  }

  stop(): void {
    this.#reading = false;
  }

  /**
   * Throws away what still arrives. Calls `done` once, with whether the peer finished; false when it failed, or goes on
   * sending.
   */
  drain(done: (graceful: boolean) => void): void {
    this.#reading = false;
    if (this.#over) {
      done(!this.#hasFailed);
      return;
    }
    this.#drained = Math.max(0, this.#held);
    this.#onDrained = done;
    if (this.#held === 0 || this.#hasFailed) this.#finishDrain(!this.#hasFailed);
    else if (!this.#isPending) this.#read();
  }

  /** Ends the drain, and calls nobody. */
  abandon(): void {
    this.#onDrained = undefined;
    this.#over = true;
  }

  #read(): void {
    if (this.#isPending || this.#over) return;
    const isDraining = this.#drained >= 0;
    if (!isDraining && !this.#reading) return;
    this.#isPending = true;
    const into = isDraining ? drainBuffer : (this.userBuffer ?? (this.#buffer ??= allocate(this.#size)));
    this.#flow.read(into).then(this.#arrived, this.#failed);
  }

  #take(length: number): void {
    this.#isPending = false;
    if (this.#drained >= 0) {
      this.#drained += length;
      if (length === 0) this.#finishDrain(true);
      else if (this.#drained > mostDrained) this.#finishDrain(false);
      else this.#read();
      return;
    }
    this.#held = length;
    if (this.#reading) this.#deliverHeld();
  }

  #fail(error: unknown): void {
    this.#isPending = false;
    this.#hasFailed = true;
    this.#heldError = error;
    if (this.#drained >= 0) this.#finishDrain(false);
    else if (this.#reading) this.#deliverHeld();
  }

  #finishDrain(graceful: boolean): void {
    this.#over = true;
    const done = this.#onDrained;
    this.#onDrained = undefined;
    done?.(graceful);
  }

  #deliverHeld(): void {
    const length = this.#held;
    if (!this.#reading || this.#over || (length < 0 && !this.#hasFailed)) return;
    this.#held = -1;
    try {
      if (length > 0) {
        this.#deliver(length);
      } else {
        this.#over = true;
        this.#onOver();
        this.#sink.end(this.#heldError);
      }
    } catch (error) {
      reportUncaught(error);
    }
    // The sink may have stopped us.
    if (!this.reading) return;
    if (++this.#streak < readsPerTurn) {
      this.#read();
    } else {
      this.#streak = 0;
      setImmediate(this.#readMore);
    }
  }

  #deliver(length: number): void {
    this.bytes += length;
    const own = this.#buffer;
    if (this.userBuffer !== undefined) {
      this.#sink.data(this.userBuffer, length);
    } else if (own !== undefined) {
      // Adapted before the sink runs: it may stop us, or start us again.
      if (length === own.length) this.#size = Math.min(largest, this.#size * 4);
      else if (length * 8 < own.length) this.#size = Math.max(smallest, this.#size >> 2);
      this.#buffer = undefined;
      const isKept = this.#sink.data(own, length);
      if (!isKept && own.length === this.#size) this.#buffer ??= own;
    }
  }
}

function allocate(size: number): Uint8Array<ArrayBuffer> {
  return Buffer.allocUnsafeSlow(size);
}
