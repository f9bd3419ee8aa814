/**
 * The whole state of a server as bytes, for another one that goes on in its place: the stream of Xen's own servers
 * (`docs/designs/xenstore-migration.md`, version 1, little-endian; `xenstore_state.h` for what waits at a connection).
 *
 * A transaction that is under way is in it with what it has seen and done, change by change: a node that it changed
 * twice is there twice. Of what it has seen only the paths are, and not which of value, permissions and children.
 */
import { isQuotaName, type QuotaName } from "./quotas.ts";
import { Reader, StateError, Writer } from "./state-bytes.ts";
import { bytesOf, textOf } from "./wire.ts";

const ident = "xenstore";
const version = 1;
const recordType = {
  end: 0,
  global: 1,
  connection: 2,
  watch: 3,
  transaction: 4,
  node: 5,
  quotas: 6,
  domain: 7,
} as const;
const connectionType = { ring: 0, socket: 1 } as const;
/** What a transaction did with a node, in bits; none: it removed it. */
const accessed = { read: 1, written: 2 } as const;
/** `DOMID_INVALID`: it acts for nobody else. */
const noTarget = 0x7ff4;

/** One node that a transaction has looked at, or one change that it made. */
export interface SavedAccess {
  readonly path: string;
  readonly kind: "seen" | "removed" | "written";
  /** After the change; both are empty for one that is no write. */
  readonly value: Uint8Array;
  readonly permissions: readonly string[];
}

export interface SavedTransaction {
  readonly id: number;
  /** In the order in which they happened, as far as they are changes. */
  readonly accesses: readonly SavedAccess[];
}

/** A client that is connected. */
export interface SavedConnection {
  /** Of a client that came by a socket: which one, for whoever keeps them. −1: a domain's ring. */
  readonly socket: number;
  /** 0 for a socket. */
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
  readonly transactions: readonly SavedTransaction[];
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
  readonly quotas: SavedQuotas;
}

/** Quotas that were set: for all domains, and for single ones. */
export interface SavedQuotas {
  readonly general: ReadonlyMap<QuotaName, number>;
  readonly own: ReadonlyMap<number, ReadonlyMap<QuotaName, number>>;
}

/** The stream of a state. */
export function saveState({ connections, nodes, quotas }: SavedState): Uint8Array {
  const writer = new Writer();
  writer.raw(bytesOf(ident));
  writer.u32(version, false);
  writer.u32(0, false);
  if (quotas.general.size > 0) {
    writer.record(recordType.quotas, () => {
      writer.u16(quotas.general.size);
      writer.u16(0);
      saveQuotas(writer, quotas.general);
    });
  }
  for (const [domain, own] of quotas.own) {
    writer.record(recordType.domain, () => {
      writer.u16(domain);
      writer.u16(own.size);
      writer.u32(0);
      saveQuotas(writer, own);
    });
  }
  for (const [index, each] of connections.entries()) saveConnection(writer, index + 1, each);
  for (const each of nodes) saveNode(writer, 0, 0, 0, each);
  writer.record(recordType.end, () => undefined);
  return writer.bytes;
}

function saveQuotas(writer: Writer, quotas: ReadonlyMap<QuotaName, number>): void {
  for (const value of quotas.values()) writer.u32(value);
  for (const name of quotas.keys()) writer.raw(bytesOf(`${name}\0`));
}

/** @param connection 0: the node is everybody's, and not a transaction's */
function saveNode(writer: Writer, connection: number, transaction: number, accesses: number, node: SavedNode): void {
  const { path, value, permissions } = node;
  writer.record(recordType.node, () => {
    writer.u32(connection);
    writer.u32(transaction);
    writer.u16(path.length + 1);
    writer.u16(value.length);
    writer.u16(accesses);
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

const accessOf = { seen: accessed.read, written: accessed.written, removed: 0 } as const;

function saveConnection(writer: Writer, id: number, connection: SavedConnection): void {
  const { socket, domain, target, port, input, output, watches, transactions } = connection;
  writer.record(recordType.connection, () => {
    writer.u32(id);
    writer.u16(socket < 0 ? connectionType.ring : connectionType.socket);
    writer.u16(0);
    if (socket < 0) {
      writer.u16(domain);
      writer.u16(target < 0 ? noTarget : target);
      writer.u32(port);
    } else {
      writer.u32(socket);
      writer.u32(0);
    }
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
      writer.u32(transaction.id);
    });
    for (const each of transaction.accesses) saveNode(writer, id, transaction.id, accessOf[each.kind], each);
  }
}

interface LoadingTransaction {
  id: number;
  accesses: SavedAccess[];
}

interface Loading {
  socket: number;
  domain: number;
  target: number;
  port: number;
  input: Uint8Array;
  output: Uint8Array;
  watches: { path: string; token: string }[];
  transactions: LoadingTransaction[];
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
  const general = new Map<QuotaName, number>();
  const own = new Map<number, Map<QuotaName, number>>();
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
    if (type === recordType.end) {
      return { connections: [...connections.values()], nodes, quotas: { general, own } };
    }
    if (type === recordType.connection) loadConnection(body, connections);
    else if (type === recordType.watch) {
      const { watches } = known(body.u32());
      const pathLength = body.u16();
      const tokenLength = body.u16();
      watches.push({ path: body.text(pathLength), token: body.text(tokenLength) });
    } else if (type === recordType.transaction) known(body.u32()).transactions.push({ id: body.u32(), accesses: [] });
    else if (type === recordType.node) loadNode(body, nodes, known);
    else if (type === recordType.quotas) {
      const counts = body.u16() + body.u16();
      loadQuotas(body, counts, general);
    } else if (type === recordType.domain) {
      const domain = body.u16();
      const count = body.u16();
      const of = new Map<QuotaName, number>();
      body.u32();
      loadQuotas(body, count, of);
      own.set(domain, of);
    } else if (type !== recordType.global) throw new StateError(`a record of type ${type}, at byte ${start}`);
  }
}

/** Those that are not known here are left out. */
function loadQuotas(body: Reader, count: number, into: Map<QuotaName, number>): void {
  const values = Array.from({ length: count }, () => body.u32());
  for (const value of values) {
    const name = body.string();
    if (isQuotaName(name)) into.set(name, value);
  }
}

function loadConnection(body: Reader, connections: Map<number, Loading>): void {
  const id = body.u32();
  const kind = body.u16();
  body.u16();
  const isSocket = kind === connectionType.socket;
  if (!isSocket && kind !== connectionType.ring)
    throw new StateError(`a connection of type ${kind}, before byte ${body.at}`);
  const socket = isSocket ? body.u32() : -1;
  const domain = isSocket ? 0 : body.u16();
  const target = isSocket ? noTarget : body.u16();
  const port = body.u32();
  const inputLength = body.u16();
  body.u16();
  const outputLength = body.u32();
  const input = body.raw(inputLength);
  const output = body.raw(outputLength);
  const to = target === noTarget ? -1 : target;
  connections.set(id, { socket, domain, target: to, port, input, output, watches: [], transactions: [] });
}

function loadNode(body: Reader, nodes: SavedNode[], known: (id: number) => Loading): void {
  const connection = body.u32();
  const id = body.u32();
  const pathLength = body.u16();
  const valueLength = body.u16();
  const accesses = body.u16();
  const permissions = Array.from({ length: body.u16() }, () => {
    const letter = String.fromCharCode(body.u8());
    body.u8();
    return `${letter}${body.u16()}`;
  });
  const path = body.text(pathLength);
  const value = body.raw(valueLength);
  if (connection === 0) {
    nodes.push({ path, value, permissions });
    return;
  }
  const transaction = known(connection).transactions.find((each) => each.id === id);
  if (transaction === undefined) throw new StateError(`no transaction ${id}, before byte ${body.at}`);
  if ((accesses & accessed.read) !== 0 || accesses === 0)
    transaction.accesses.push({ path, kind: accesses === 0 ? "removed" : "seen", value: nothing, permissions: [] });
  if ((accesses & accessed.written) !== 0) transaction.accesses.push({ path, kind: "written", value, permissions });
}

const nothing = new Uint8Array(0);
