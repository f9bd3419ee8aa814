import type { Socket } from "node:net";
import { formatEndpoint, type Endpoint } from "@tesserae/device/address";
import { FlowError, type Flow } from "@tesserae/device/flow";
import { flowError } from "./flow-fault.ts";
import { endpointOf } from "./kernel-address.ts";

/** Received bytes held for a reader to come; above it the socket is paused and the kernel's window closes. */
const receiveBound = 64 * 1024;
/** Writes marked `more` are gathered up to this many bytes, and short writes after them are joined to one send. */
const gatherBound = 16 * 1024;

/** A write whose bytes the kernel has not taken yet. */
interface PendingWrite {
  /** Which call of `socket.write`, counted from 1. */
  readonly turn: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const taken: Promise<void> = Promise.resolve();

/** A connected kernel socket as a {@link Flow}. */
export class KernelFlow implements Flow {
  readonly #socket: Socket;
  /** The kernel's words for the ends, which it does not know any more once the socket is gone. */
  readonly #localText: string | undefined;
  readonly #localPort: number | undefined;
  readonly #remoteText: string | undefined;
  readonly #remotePort: number | undefined;
  #local: Endpoint | undefined;
  #remote: Endpoint | undefined;
  readonly #lingerMs: number;
  readonly #onOver: (flow: KernelFlow) => void;
  readonly #written: (error?: Error | null) => void;

  // Receive.
  #chunks: Buffer[] = [];
  /** Bytes of the first chunk that were read already. */
  #consumed = 0;
  #queued = 0;
  #paused = false;
  #peerEnded = false;
  #into: Uint8Array | undefined;
  #resolveRead: ((length: number) => void) | undefined;
  #rejectRead: ((error: Error) => void) | undefined;

  // Send.
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #flushSoon: NodeJS.Immediate | undefined;
  #turns = 0;
  #turnsDone = 0;
  #writes: PendingWrite[] = [];

  // The end.
  #ended = false;
  /** {@link KernelFlow.close} was called on a flow that was well. */
  #closedHere = false;
  #error: FlowError | undefined;
  #over = false;
  #closing: Promise<void> | undefined;
  #resolveOver: (() => void) | undefined;

  /**
   * @param socket connected, with `allowHalfOpen`, with no listeners; it becomes the flow's
   * @param lingerMs how long `close` waits for the peer, in milliseconds
   * @param onOver called once, when the socket is gone
   */
  constructor(socket: Socket, lingerMs: number, onOver: (flow: KernelFlow) => void) {
    this.#socket = socket;
    this.#lingerMs = lingerMs;
    this.#onOver = onOver;
    this.#localText = socket.localAddress;
    this.#localPort = socket.localPort;
    this.#remoteText = socket.remoteAddress;
    this.#remotePort = socket.remotePort;
    this.#written = (error) => this.#writeDone(error);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("end", () => this.#receiveEnd());
    socket.on("error", (error) => this.#fail(flowError(error, `connection to ${formatEndpoint(this.remote)}`)));
    socket.on("close", () => this.#finish());
  }

  get local(): Endpoint {
    return (this.#local ??= endpointOf(this.#localText, this.#localPort));
  }

  get remote(): Endpoint {
    return (this.#remote ??= endpointOf(this.#remoteText, this.#remotePort));
  }

  read(into: Uint8Array): Promise<number> {
    if (into.length === 0) return Promise.reject(new RangeError("into is empty"));
    if (this.#into !== undefined) return Promise.reject(new TypeError("a read is pending: one read at a time"));
    const fault = this.#fault();
    if (fault !== undefined) return Promise.reject(fault);
    if (this.#queued > 0) return Promise.resolve(this.#take(into));
    if (this.#peerEnded) return Promise.resolve(0);
    this.#into = into;
    return new Promise<number>((resolve, reject) => {
      this.#resolveRead = resolve;
      this.#rejectRead = reject;
    });
  }

  write(bytes: Uint8Array, more = false): Promise<void> {
    const fault = this.#fault();
    if (fault !== undefined) return Promise.reject(fault);
    if (this.#ended) return Promise.reject(this.#closed("write after end"));
    if (bytes.length === 0) {
      if (!more) return this.#flush();
      return taken;
    }
    const total = this.#gatheredBytes + bytes.length;
    if (total <= gatherBound && (more || this.#gatheredBytes > 0)) {
      this.#gathered.push(Buffer.from(bytes));
      this.#gatheredBytes = total;
      if (!more) return this.#flush();
      // The bound on the wait: whoever has more to write, and at hand, has written it when this turn of the loop ends.
      this.#flushSoon ??= setImmediate(() => {
        this.#flushSoon = undefined;
        this.#flush().catch(() => undefined);
      });
      return taken;
    }
    if (this.#gatheredBytes === 0) return this.#send(bytes);
    // Too much to copy: two buffers in one writev.
    this.#socket.cork();
    this.#flush().catch(() => undefined);
    this.#turns++;
    this.#socket.write(bytes, this.#written);
    this.#socket.uncork();
    return this.#untilTaken();
  }

  end(): Promise<void> {
    if (this.#closing !== undefined) return taken;
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (!this.#ended) {
      this.#flush().catch(() => undefined);
      this.#ended = true;
      this.#socket.end();
    }
    return taken;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  abort(): void {
    if (this.#over) return;
    this.#fail(new FlowError("aborted", `connection to ${formatEndpoint(this.remote)} was aborted`));
    this.#socket.resetAndDestroy();
  }

  #close(): Promise<void> {
    if (this.#over) return taken;
    const over = new Promise<void>((resolve) => {
      this.#resolveOver = resolve;
    });
    if (this.#error === undefined) {
      this.#flush().catch(() => undefined);
      if (!this.#ended) this.#socket.end();
      this.#ended = true;
      this.#closedHere = true;
      if (this.#rejectRead !== undefined) this.#failRead(this.#closed("closed"));
    }
    this.#chunks = [];
    this.#consumed = 0;
    this.#queued = 0;
    this.#socket.resume();
    const linger = setTimeout(() => {
      // With everything handed over, the kernel still delivers it after this; else only a reset tells the truth.
      if (this.#socket.writableLength === 0) this.#socket.destroy();
      else this.#socket.resetAndDestroy();
    }, this.#lingerMs);
    return over.finally(() => clearTimeout(linger));
  }

  /** Hands the gathered bytes to the socket. */
  #flush(): Promise<void> {
    if (this.#gatheredBytes === 0) return taken;
    if (this.#flushSoon !== undefined) {
      clearImmediate(this.#flushSoon);
      this.#flushSoon = undefined;
    }
    const [first] = this.#gathered;
    const all =
      this.#gathered.length === 1 && first !== undefined ? first : Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    return this.#send(all);
  }

  #send(bytes: Uint8Array): Promise<void> {
    this.#turns++;
    // Always the same callback: Node then gathers its calls instead of queueing one for each write.
    this.#socket.write(bytes, this.#written);
    return this.#untilTaken();
  }

  #untilTaken(): Promise<void> {
    // The kernel took everything in the call itself: the usual case.
    if (this.#socket.writableLength === 0) return this.#error === undefined ? taken : Promise.reject(this.#error);
    const turn = this.#turns;
    return new Promise<void>((resolve, reject) => {
      this.#writes.push({ turn, resolve, reject });
    });
  }

  #writeDone(error?: Error | null): void {
    this.#turnsDone++;
    if (error !== undefined && error !== null) return;
    let [first] = this.#writes;
    while (first !== undefined && first.turn <= this.#turnsDone) {
      this.#writes.shift();
      first.resolve();
      [first] = this.#writes;
    }
  }

  #receive(chunk: Buffer): void {
    if (this.#closing !== undefined || this.#error !== undefined) return;
    const into = this.#into;
    const resolve = this.#resolveRead;
    if (into !== undefined && resolve !== undefined) {
      // A pending read means an empty queue.
      this.#forgetRead();
      if (chunk.length <= into.length) {
        into.set(chunk);
        resolve(chunk.length);
        return;
      }
      chunk.copy(into, 0, 0, into.length);
      this.#chunks.push(chunk);
      this.#consumed = into.length;
      this.#queued = chunk.length - into.length;
      resolve(into.length);
    } else {
      this.#chunks.push(chunk);
      this.#queued += chunk.length;
    }
    if (this.#queued >= receiveBound && !this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  #take(into: Uint8Array): number {
    let filled = 0;
    let [chunk] = this.#chunks;
    while (chunk !== undefined && filled < into.length) {
      const length = Math.min(chunk.length - this.#consumed, into.length - filled);
      chunk.copy(into, filled, this.#consumed, this.#consumed + length);
      filled += length;
      this.#consumed += length;
      if (this.#consumed === chunk.length) {
        this.#chunks.shift();
        this.#consumed = 0;
      }
      [chunk] = this.#chunks;
    }
    this.#queued -= filled;
    if (this.#paused && this.#queued < receiveBound / 2) {
      this.#paused = false;
      this.#socket.resume();
    }
    return filled;
  }

  #receiveEnd(): void {
    this.#peerEnded = true;
    const resolve = this.#resolveRead;
    this.#forgetRead();
    resolve?.(0);
  }

  #forgetRead(): void {
    this.#into = undefined;
    this.#resolveRead = undefined;
    this.#rejectRead = undefined;
  }

  #failRead(error: FlowError): void {
    const reject = this.#rejectRead;
    this.#forgetRead();
    reject?.(error);
  }

  /** What calls are rejected with. A closed flow has its error when somebody asks: most are never used again. */
  #fault(): FlowError | undefined {
    if (this.#closedHere) this.#error ??= this.#closed("closed");
    return this.#error;
  }

  #fail(error: FlowError): void {
    const fault = this.#fault() ?? error;
    this.#error = fault;
    this.#chunks = [];
    this.#consumed = 0;
    this.#queued = 0;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (this.#flushSoon !== undefined) clearImmediate(this.#flushSoon);
    this.#flushSoon = undefined;
    this.#failRead(fault);
    const writes = this.#writes;
    this.#writes = [];
    for (const each of writes) each.reject(error);
  }

  /** The socket is gone: after an error, after both ends, or after `close`. */
  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    // Both directions ended in order: what is queued can still be read, and nothing pending can be left.
    if (this.#error === undefined && !(this.#peerEnded && this.#ended)) this.#fail(this.#closed("closed"));
    else if (this.#writes.length > 0) this.#fail(this.#fault() ?? this.#closed("closed"));
    this.#resolveOver?.();
    this.#onOver(this);
  }

  #closed(what: string): FlowError {
    return new FlowError("closed", `connection to ${formatEndpoint(this.remote)}: ${what}`);
  }
}
