import type { Duplex } from "node:stream";
import { JsonLineParser } from "./json-lines.ts";

/** Commands under way at most. */
const mostPending = 64;

/** What QEMU refused, or a connection that is over. */
export class QmpError extends Error {
  override readonly name = "QmpError";
  /** QEMU's class of the error (`GenericError`), or `closed`. */
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface QmpEvent {
  /** `SHUTDOWN`, `POWERDOWN` … */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: Error) => void;
}

/**
 * A client of the QEMU Machine Protocol (docs/interop/qmp-spec in QEMU), over a stream that is connected.
 *
 * The other side is believed nothing: what is no message of the protocol ends the connection, answers to nothing that
 * was asked are passed over, and lines are bounded.
 */
export class QmpClient {
  readonly #stream: Duplex;
  readonly #parser = new JsonLineParser();
  readonly #pending = new Map<number, Pending>();
  readonly #onEvent: (event: QmpEvent) => void;
  #nextId = 1;
  #closed: QmpError | undefined;
  readonly #ready: Promise<unknown>;

  /** @param onEvent gets each event of the machine, as it comes; must not throw */
  constructor(stream: Duplex, onEvent: (event: QmpEvent) => void = () => undefined) {
    this.#stream = stream;
    this.#onEvent = onEvent;
    stream.on("data", (chunk: Uint8Array) => this.#take(chunk));
    stream.once("error", (error) => this.#close(`the connection broke: ${error.message}`));
    stream.once("close", () => this.#close("the connection is over"));
    // The greeting need not be waited for: what is sent before it is read after it.
    this.#ready = this.#send("qmp_capabilities");
    this.#ready.catch(() => undefined);
  }

  /**
   * Runs a command and gives what it returns.
   *
   * @throws QmpError (rejects) when QEMU refuses, or the connection ends before its answer.
   */
  async execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    await this.#ready;
    return this.#send(command, args);
  }

  /** Ends the connection. Idempotent. */
  close(): void {
    this.#close("the connection was closed");
  }

  #send(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#pending.size >= mostPending) {
      return Promise.reject(new QmpError("busy", `${String(mostPending)} commands are under way already`));
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#stream.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }), id })}\n`);
    });
  }

  #take(chunk: Uint8Array): void {
    const { values, problem } = this.#parser.take(chunk);
    for (const value of values) this.#message(value);
    if (problem !== undefined) this.#close(`QEMU does not speak its protocol: ${problem}`);
  }

  #message(value: unknown): void {
    const message = record(value);
    if (message === undefined) {
      this.#close("QEMU does not speak its protocol: a message is no object");
    } else if (typeof message["event"] === "string") {
      this.#onEvent({ name: message["event"], data: record(message["data"]) ?? {} });
    } else if ("return" in message || "error" in message) {
      const { id } = message;
      const pending = typeof id === "number" ? this.#pending.get(id) : undefined;
      if (pending === undefined) return;
      // as: it was found by this number.
      this.#pending.delete(id as number);
      if ("return" in message) pending.resolve(message["return"]);
      else {
        const { class: kind, desc } = record(message["error"]) ?? {};
        pending.reject(new QmpError(text(kind) ?? "GenericError", text(desc) ?? "QEMU refused without a reason"));
      }
    }
    // What is left is the greeting.
  }

  #close(why: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = new QmpError("closed", why);
    this.#stream.destroy();
    for (const { reject } of this.#pending.values()) reject(this.#closed);
    this.#pending.clear();
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  // as: an object that is no array has properties by name, of whatever type.
  return value as Readonly<Record<string, unknown>>;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
