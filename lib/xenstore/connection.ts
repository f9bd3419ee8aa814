import { ClientStream } from "./client-stream.ts";
import type { ClientNumber } from "./journal.ts";
import type { Limits } from "./limits.ts";
import type { Actor } from "./permissions.ts";
import type { Transaction } from "./transaction.ts";
import { encodeMessage, encodeStrings, messageType, type ErrorName, type Message } from "./wire.ts";
import type { Watch, Watcher } from "./watches.ts";

/** What a connection tells whoever carries its bytes. */
export interface Carrier {
  /**
   * There is something to take, or requests are heard again. It may call {@link Connection.take}; it must put off
   * {@link Connection.receive} until the server's call is over.
   */
  wake(): void;
  /** The server will not hear this client any more. */
  closed(reason: string): void;
  /** Where the client's bytes are kept, when they are to outlive the server. */
  readonly stream?: ClientStream;
}

/** One client's bytes, both ways: what whoever carries them needs of a {@link Connection}. */
export interface Line {
  readonly isOver: boolean;
  readonly hasOutput: boolean;
  receive(bytes: Uint8Array, offset: number, length: number): number;
  take(into: Uint8Array, offset: number, length: number): number;
  close(reason: string): void;
  /** Another server is at its end now: what waits to be answered is. */
  proceed(): void;
  /** What waits to be answered is refused. */
  refuse(error: ErrorName): void;
}

/** Who answers requests. */
export interface Answerer {
  /** Replies with {@link Connection.reply}. @returns false: not now; {@link Connection.resume} will be called */
  answer(connection: Connection, message: Message): boolean;
  /** The connection is over. */
  forget(connection: Connection): void;
}

const none = new Uint8Array(0);

/** One client of a server. Bytes go in and out; whoever carries them calls again when it is woken. */
export class Connection implements Watcher, Line {
  actor: Actor;
  /** Where its relative paths begin. */
  readonly home: string;
  readonly transactions = new Map<number, Transaction>();
  /** By path and token. */
  readonly watches = new Map<string, Watch>();
  /** The number of the transaction that it began last. */
  latestTransaction = 0;
  /** Commits that failed since one did not. */
  failures = 0;
  /** The number of its socket, where it has one that outlives the server. */
  socket = -1;
  readonly #answerer: Answerer;
  readonly #carrier: Carrier;
  readonly #limits: Limits;
  readonly #stream: ClientStream;
  #isOver = false;

  constructor(actor: Actor, home: string, answerer: Answerer, carrier: Carrier, limits: Limits) {
    this.actor = actor;
    this.home = home;
    this.#answerer = answerer;
    this.#carrier = carrier;
    this.#limits = limits;
    this.#stream = carrier.stream ?? new ClientStream(limits.events);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether bytes wait to be taken. */
  get hasOutput(): boolean {
    return !this.#stream.output.isEmpty;
  }

  /**
   * Hears requests and answers them.
   *
   * @returns how many bytes were taken. When fewer than `length`, the client has to take replies first, or another's
   * transaction goes before: the carrier is woken, and gives the others then.
   */
  receive(bytes: Uint8Array, offset: number, length: number): number {
    let taken = 0;
    const stream = this.#stream;
    while (!this.#isOver && !stream.isHeld && stream.output.replyBytes < this.#limits.replyBytes) {
      const result = stream.reader.take(bytes, offset + taken, length - taken, stream.message);
      if (result === -1) {
        this.close("it announced a message longer than 4096 bytes");
        return length;
      }
      taken += result.taken;
      stream.received += result.taken;
      if (!result.whole) return taken;
      this.#answer();
    }
    return this.#isOver ? length : taken;
  }

  /** False: not now. */
  #answer(): boolean {
    const stream = this.#stream;
    // A server that dies of it leaves it to the next one.
    stream.isHeld = true;
    return this.#answerer.answer(this, stream.message);
  }

  /** The request is answered, and never to be asked again. */
  answered(message: Uint8Array): void {
    this.#stream.isHeld = false;
    this.#stream.faults = 0;
    this.reply(message);
  }

  /** The request that could not be answered is refused. */
  refuse(error: ErrorName): void {
    const stream = this.#stream;
    if (!stream.isHeld) return;
    const { request, transaction } = stream.message;
    this.answered(encodeMessage(messageType.error, request, transaction, encodeStrings(error)));
  }

  reply(message: Uint8Array): void {
    const wasEmpty = this.#stream.output.isEmpty;
    this.#stream.output.reply(message);
    if (wasEmpty) this.#carrier.wake();
  }

  /** The request that could not be answered is tried again. */
  resume(): void {
    if (!this.#stream.isHeld || this.#isOver || !this.#answer()) return;
    this.#carrier.wake();
  }

  /** Copies bytes for the client to `into[offset … offset + length)`, and gives how many: 0 when nothing waits. */
  take(into: Uint8Array, offset: number, length: number): number {
    const wasFull = this.#stream.output.replyBytes >= this.#limits.replyBytes;
    const taken = this.#stream.output.take(into, offset, length);
    if (wasFull && this.#stream.output.replyBytes < this.#limits.replyBytes) this.#carrier.wake();
    return taken;
  }

  notify(watch: Watch, path: string): void {
    const wasEmpty = this.#stream.output.isEmpty;
    this.#stream.output.event(watch, path);
    if (wasEmpty) this.#carrier.wake();
  }

  /** Drops the events of a watch that is no more. */
  forgetEvents(watch: Watch): void {
    this.#stream.output.forget(watch);
  }

  /** Its number in a journal. */
  get number(): ClientNumber {
    return this.socket >= 0 ? this.socket : -1 - this.actor.domain;
  }

  /**
   * The beginning of a request whose end has not come, or a request that has to wait; and what is not taken yet. Nothing
   * when the carrier keeps it.
   */
  get unfinished(): { readonly input: Uint8Array; readonly output: Uint8Array } {
    if (this.#carrier.stream !== undefined) return { input: none, output: none };
    const { isHeld, message, reader, output } = this.#stream;
    const { type, request, transaction, payload } = message;
    const input = isHeld ? encodeMessage(type, request, transaction, payload) : reader.partial;
    return { input, output: output.copy() };
  }

  /** Goes on where a connection of another server was. */
  restore(input: Uint8Array, output: Uint8Array): void {
    if (input.length > 0) this.#stream.reader.restore(input);
    if (output.length > 0) this.reply(output);
  }

  /** After {@link Connection.restore}, once all others are there, too: answers a request that was whole already. */
  proceed(): void {
    this.resume();
    this.receive(none, 0, 0);
  }

  /** A number for a transaction that none of this client's has. */
  freeTransaction(): number {
    let id = this.latestTransaction;
    do id = (id % 0xffff_ffff) + 1;
    while (this.transactions.has(id));
    return id;
  }

  /** The client is gone, or is not to be heard any more. Idempotent. */
  close(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#answerer.forget(this);
    this.#carrier.closed(reason);
  }
}
