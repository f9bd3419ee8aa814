/**
 * What a server has done, request by request, as bytes: together with a state from before, another server goes on from
 * it as if it had done it itself. One record is all of one request, so that the end of any record is between
 * two requests.
 */
import { isQuotaName, type QuotaName } from "./quotas.ts";
import type { SavedNode } from "./state.ts";
import { Reader, StateError, Writer } from "./state-bytes.ts";
import { bytesOf } from "./wire.ts";

/** What a server tells whoever keeps its journal. */
export interface Journal {
  /** A request of a client is begun ({@link ClientNumber}); all until {@link Journal.end} is about it. */
  begin(client: number): void;
  /**
   * What was begun is done, and nobody knows it yet.
   *
   * @param record is kept when this returns; undefined: nothing has changed
   */
  end(record: Uint8Array | undefined): void;
  /** How many servers died before this one, of faults. */
  readonly faults: number;
}

/** A client in a journal: the number of its socket, or −1 − the number of its domain. */
export type ClientNumber = number;

/** What a request may do. */
export interface Effects {
  /** The node is there now, with this value and these permissions. */
  node(node: SavedNode): void;
  /** The node and all below it are gone. */
  gone(path: string): void;
  /** A domain is known from now on, or acts for another one now. −1: for none. */
  introduced(domain: number, port: number, target: number): void;
  /** A domain is no more: nobody has its rights. What it owned is said to be gone before. */
  released(domain: number): void;
  /** −1: a quota of all domains. */
  quota(domain: number, name: QuotaName, value: number): void;
  /** A client is there, with neither watches nor transactions. */
  connected(client: ClientNumber): void;
  /**
   * A client asked something that changes what it has itself: watches, transactions, what these have seen and done.
   *
   * @param isLatest it was answered from the tree as it was then, and not as it was when its transaction began
   */
  asked(client: ClientNumber, type: number, transaction: number, isLatest: boolean, payload: Uint8Array): void;
}

const kind = { node: 1, gone: 2, introduced: 3, released: 4, quota: 5, connected: 6, asked: 7 } as const;

/** Writes effects down until they are a record. */
export class EffectWriter implements Effects {
  readonly #writer = new Writer(4096);

  /** All since the last time, or since the beginning; undefined when there is nothing. */
  take(): Uint8Array | undefined {
    if (this.#writer.length === 0) return undefined;
    const { bytes } = this.#writer;
    this.#writer.clear();
    return bytes;
  }

  node({ path, value, permissions }: SavedNode): void {
    const writer = this.#writer;
    writer.u8(kind.node);
    writer.u16(value.length);
    writer.u16(permissions.length);
    writer.raw(bytesOf(`${path}\0`));
    writer.raw(value);
    for (const each of permissions) writer.raw(bytesOf(`${each}\0`));
  }

  gone(path: string): void {
    this.#writer.u8(kind.gone);
    this.#writer.raw(bytesOf(`${path}\0`));
  }

  introduced(domain: number, port: number, target: number): void {
    this.#writer.u8(kind.introduced);
    for (const each of [domain, port, target]) this.#writer.u32(each);
  }

  released(domain: number): void {
    this.#writer.u8(kind.released);
    this.#writer.u32(domain);
  }

  quota(domain: number, name: QuotaName, value: number): void {
    this.#writer.u8(kind.quota);
    this.#writer.u32(domain);
    this.#writer.u32(value);
    this.#writer.raw(bytesOf(`${name}\0`));
  }

  connected(client: ClientNumber): void {
    this.#writer.u8(kind.connected);
    this.#writer.u32(client);
  }

  asked(client: ClientNumber, type: number, transaction: number, isLatest: boolean, payload: Uint8Array): void {
    const writer = this.#writer;
    writer.u8(kind.asked);
    for (const each of [client, type, transaction]) writer.u32(each);
    writer.u8(isLatest ? 1 : 0);
    writer.u16(payload.length);
    writer.raw(payload);
  }
}

/** Tells the effects of a record. @throws StateError naming the offset, for bytes that {@link EffectWriter} cannot give */
export function readRecord(record: Uint8Array, into: Effects): void {
  const reader = new Reader(record, 0, record.length);
  while (!reader.isAtEnd) readEffect(reader, into);
}

function readEffect(reader: Reader, into: Effects): void {
  const start = reader.at;
  switch (reader.u8()) {
    case kind.node: {
      const valueLength = reader.u16();
      const count = reader.u16();
      const path = reader.string();
      const value = reader.raw(valueLength);
      const permissions: string[] = [];
      while (permissions.length < count) permissions.push(reader.string());
      into.node({ path, value, permissions });
      return;
    }
    case kind.gone:
      into.gone(reader.string());
      return;
    case kind.introduced:
      into.introduced(reader.u32(), reader.u32(), reader.u32() | 0);
      return;
    case kind.released:
      into.released(reader.u32());
      return;
    case kind.quota: {
      const domain = reader.u32() | 0;
      const value = reader.u32();
      const name = reader.string();
      // Those that are not known here are left out.
      if (isQuotaName(name)) into.quota(domain, name, value);
      return;
    }
    case kind.connected:
      into.connected(reader.u32() | 0);
      return;
    case kind.asked: {
      const client = reader.u32() | 0;
      const type = reader.u32();
      const transaction = reader.u32();
      const isLatest = reader.u8() !== 0;
      into.asked(client, type, transaction, isLatest, reader.raw(reader.u16()));
      return;
    }
    default:
      throw new StateError(`an effect of no kind that is known, at byte ${start} of a record`);
  }
}
