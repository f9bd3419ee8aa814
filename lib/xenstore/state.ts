/**
 * The whole state of a server as bytes, for another one that goes on in its place: the stream of Xen's own servers
 * (`docs/designs/xenstore-migration.md`, version 1, little-endian; `xenstore_state.h` for what waits at a connection).
 *
 * Connections over sockets are not in it. A transaction that is under way is, but not what it has seen and done: its end
 * is answered with `EAGAIN`, and the client begins it anew.
 */
import { bytesOf, textOf } from "./wire.ts";

const ident = "xenstore";
const version = 1;
const recordType = { end: 0, global: 1, connection: 2, watch: 3, transaction: 4, node: 5 } as const;
const ring = 0;
/** `DOMID_INVALID`: it acts for nobody else. */
const noTarget = 0x7ff4;

/** A domain that is connected. */
export interface SavedConnection {
  readonly domain: number;
  /** −1: it acts for no other. */
  readonly target: number;
  /** Of its event channels, the one that goes with the ring. */
  readonly port: number;
  /** The beginning of a request whose end has not come. */
  readonly input: Uint8Array;
  /** What it has not taken yet. */
  readonly output: Uint8Array;
  /** Absolute, or as the domain gave them: relative. */
  readonly watches: readonly { readonly path: string; readonly token: string }[];
  readonly transactions: readonly number[];
}

export interface SavedNode {
  readonly path: string;
  readonly value: Uint8Array;
  /** As on the wire: `n0`, `r3`. */
  readonly permissions: readonly string[];
}

export interface SavedState {
  readonly connections: readonly SavedConnection[];
  /** Parents before their children. */
  readonly nodes: Iterable<SavedNode>;
}

class Writer {
  #bytes = new Uint8Array(65_536);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #room(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const bigger = new Uint8Array(2 ** Math.ceil(Math.log2(this.#length)));
      bigger.set(this.#bytes);
      this.#bytes = bigger;
      this.#view = new DataView(bigger.buffer);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number, littleEndian = true): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, littleEndian);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A record: its type, its length, what `body` writes, and zeros up to a multiple of eight bytes. */
  record(type: number, body: () => void): void {
    this.u32(type);
    const at = this.#room(4);
    const start = this.#length;
    body();
    const length = this.#length - start;
    this.#view.setUint32(at, length, true);
    this.#room(-length & 7);
  }
}

/** The stream of a state. */
export function saveState({ connections, nodes }: SavedState): Uint8Array {
  const writer = new Writer();
  writer.raw(bytesOf(ident));
  writer.u32(version, false);
  writer.u32(0, false);
  for (const [index, each] of connections.entries()) saveConnection(writer, index + 1, each);
  for (const { path, value, permissions } of nodes) {
    writer.record(recordType.node, () => {
      writer.u32(0);
      writer.u32(0);
      writer.u16(path.length + 1);
      writer.u16(value.length);
      writer.u16(0);
      writer.u16(permissions.length);
      for (const permission of permissions) {
        writer.u8(permission.charCodeAt(0));
        writer.u8(0);
        writer.u16(Number(permission.slice(1)));
      }
      writer.raw(bytesOf(`${path}\0`));
      writer.raw(value);
    });
  }
  writer.record(recordType.end, () => undefined);
  return writer.bytes;
}

function saveConnection(writer: Writer, id: number, connection: SavedConnection): void {
  const { domain, target, port, input, output, watches, transactions } = connection;
  writer.record(recordType.connection, () => {
    writer.u32(id);
    writer.u16(ring);
    writer.u16(0);
    writer.u16(domain);
    writer.u16(target < 0 ? noTarget : target);
    writer.u32(port);
    writer.u16(input.length);
    // Nothing of the output was sent in part: what remains of a message is a whole to whoever sends it.
    writer.u16(0);
    writer.u32(output.length);
    writer.raw(input);
    writer.raw(output);
  });
  for (const { path, token } of watches) {
    writer.record(recordType.watch, () => {
      writer.u32(id);
      writer.u16(path.length + 1);
      writer.u16(token.length + 1);
      writer.raw(bytesOf(`${path}\0${token}\0`));
    });
  }
  for (const transaction of transactions) {
    writer.record(recordType.transaction, () => {
      writer.u32(id);
      writer.u32(transaction);
    });
  }
}

/** A stream is damaged, or of another kind. */
export class StateError extends Error {
  override readonly name = "StateError";
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at: number;
  #end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = at;
    this.#end = end;
  }

  /** @throws StateError naming the offset, when the record ends before. */
  #take(count: number): number {
    const at = this.at;
    if (count > this.#end - at) throw new StateError(`the state ends too early, at byte ${at}`);
    this.at += count;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(littleEndian = true): number {
    return this.#view.getUint32(this.#take(4), littleEndian);
  }

  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.slice(at, at + count);
  }

  /** Text that has a NUL behind it, which is counted. */
  text(count: number): string {
    const bytes = this.raw(count);
    if (bytes[count - 1] !== 0) throw new StateError(`a text without an end, at byte ${this.at - count}`);
    return textOf(bytes, 0, count - 1);
  }

  /** The next `count` bytes on their own. */
  part(count: number): Reader {
    const at = this.#take(count);
    return new Reader(this.#bytes, at, at + count);
  }
}

interface Loading {
  domain: number;
  target: number;
  port: number;
  input: Uint8Array;
  output: Uint8Array;
  watches: { path: string; token: string }[];
  transactions: number[];
}

/** Reads a stream. @throws StateError naming what is wrong with it, and where. */
export function loadState(bytes: Uint8Array): SavedState {
  const reader = new Reader(bytes, 0, bytes.length);
  if (textOf(reader.raw(Math.min(ident.length, bytes.length))) !== ident)
    throw new StateError("no state of a xenstore");
  const found = reader.u32(false);
  if (found !== version) throw new StateError(`a state of version ${found}, and not ${version}`);
  if (reader.u32(false) !== 0) throw new StateError("a state in big-endian order, or with flags that nobody knows");
  const connections = new Map<number, Loading>();
  const nodes: SavedNode[] = [];
  const known = (id: number): Loading => {
    const connection = connections.get(id);
    if (connection === undefined) throw new StateError(`no connection ${id}, before byte ${reader.at}`);
    return connection;
  };
  for (;;) {
    const start = reader.at;
    const type = reader.u32();
    const length = reader.u32();
    const body = reader.part(length);
    reader.part(-length & 7);
    if (type === recordType.end) return { connections: [...connections.values()], nodes };
    if (type === recordType.connection) loadConnection(body, connections);
    else if (type === recordType.watch) {
      const { watches } = known(body.u32());
      const pathLength = body.u16();
      const tokenLength = body.u16();
      watches.push({ path: body.text(pathLength), token: body.text(tokenLength) });
    } else if (type === recordType.transaction) known(body.u32()).transactions.push(body.u32());
    else if (type === recordType.node) loadNode(body, nodes);
    else if (type !== recordType.global) throw new StateError(`a record of type ${type}, at byte ${start}`);
  }
}

function loadConnection(body: Reader, connections: Map<number, Loading>): void {
  const id = body.u32();
  const kind = body.u16();
  body.u16();
  const domain = body.u16();
  const target = body.u16();
  const port = body.u32();
  const inputLength = body.u16();
  body.u16();
  const outputLength = body.u32();
  // Sockets belong to the program that had them.
  if (kind !== ring) return;
  const input = body.raw(inputLength);
  const output = body.raw(outputLength);
  const to = target === noTarget ? -1 : target;
  connections.set(id, { domain, target: to, port, input, output, watches: [], transactions: [] });
}

function loadNode(body: Reader, nodes: SavedNode[]): void {
  const ofTransaction = body.u32() !== 0;
  body.u32();
  const pathLength = body.u16();
  const valueLength = body.u16();
  body.u16();
  const permissions = Array.from({ length: body.u16() }, () => {
    const letter = String.fromCharCode(body.u8());
    body.u8();
    return `${letter}${body.u16()}`;
  });
  const path = body.text(pathLength);
  const value = body.raw(valueLength);
  // What a transaction did that was under way: it is begun anew.
  if (!ofTransaction) nodes.push({ path, value, permissions });
}
