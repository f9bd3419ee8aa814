/** One server goes on in another's place: from its state, and from what was done since. */
import type { ClientTable } from "./client-table.ts";
import type { Connection } from "./connection.ts";
import type { Effects } from "./journal.ts";
import { absolutePath, isSpecial } from "./path.ts";
import { parsePermissions } from "./request.ts";
import { loadState, saveState, type SavedConnection, type SavedNode, type SavedTransaction } from "./state.ts";
import { StateError } from "./state-bytes.ts";
import type { Store } from "./store.ts";
import { beginTransaction } from "./transaction.ts";
import { setWatch } from "./watching.ts";
import { Message, messageType } from "./wire.ts";

/** What of a server goes on. */
export interface Continued {
  readonly store: Store;
  readonly clients: ClientTable;
  /** Watches and transactions of a client are no more. */
  reset(connection: Connection): void;
  /** Does what a client has asked the server before, and tells nobody. */
  redo(connection: Connection, message: Message): void;
}

const nothing = new Uint8Array(0);

/** The state of a server, but for clients whose sockets have no number. */
export function saveServer({ store, clients }: Pick<Continued, "store" | "clients">): Uint8Array {
  const connections: SavedConnection[] = [];
  for (const [domain, { connection, target, port }] of clients.domains) {
    if (connection !== undefined) connections.push(saved(store, connection, { socket: -1, domain, target, port }));
  }
  for (const [socket, connection] of clients.sockets)
    connections.push(saved(store, connection, { socket, domain: 0, target: -1, port: 0 }));
  return saveState({ connections, nodes: store.saved(), quotas: store.quotas.changed });
}

function saved(
  store: Store,
  connection: Connection,
  of: Pick<SavedConnection, "socket" | "domain" | "target" | "port">,
): SavedConnection {
  const transactions: SavedTransaction[] = [];
  for (const [id, transaction] of connection.transactions) {
    // To remove the root is what cannot be done: it is lost wherever it is loaded.
    const cannot = { path: "/", kind: "removed", value: nothing, permissions: [] } as const;
    transactions.push({ id, accesses: transaction.accesses(store.root) ?? [cannot] });
  }
  return {
    ...of,
    ...connection.unfinished,
    watches: [...connection.watches.values()].map(({ path, cut, token }) => ({ path: path.slice(cut), token })),
    transactions,
  };
}

/**
 * Makes an empty server what another was.
 *
 * @returns the clients that are still there
 * @throws StateError for bytes that {@link saveServer} cannot have given
 */
export function loadServer(continued: Continued, bytes: Uint8Array): Connection[] {
  const { store } = continued;
  const { connections, nodes, quotas } = loadState(bytes);
  for (const [name, value] of quotas.general) store.quotas.set(name, value);
  for (const [domain, own] of quotas.own) for (const [name, value] of own) store.quotas.set(name, value, domain);
  for (const node of nodes) loadNode(store, node);
  return connections.map((each) => loadConnection(continued, each)).filter((each) => each !== undefined);
}

function loadNode(store: Store, { path, value, permissions }: SavedNode): void {
  const parsed = parsePermissions(permissions, store.lifeOf);
  if (isSpecial(path) && parsed !== undefined) {
    store.special.set(path, parsed);
    return;
  }
  const isNode = parsed !== undefined && absolutePath(path, "") === path;
  if (!isNode || !store.load(path, value, parsed)) throw new StateError(`"${path}" cannot be a node`);
}

function loadConnection({ store, clients }: Continued, saved: SavedConnection): Connection | undefined {
  const connection = saved.socket < 0 ? clients.reachAgain(saved) : clients.reattach(saved.socket);
  if (connection === undefined) return undefined;
  for (const { path, token } of saved.watches) setWatch(store, connection, path, token);
  for (const { id, accesses } of saved.transactions) {
    const transaction = beginTransaction(store, connection, id);
    transaction.load(accesses, (texts) => parsePermissions(texts, store.lifeOf));
  }
  connection.restore(saved.input, saved.output);
  return connection;
}

/** Does what the server before has done. */
export function redoing(continued: Continued): Effects {
  const { store, clients } = continued;
  return {
    node: (node) => loadNode(store, node),
    gone: (path) => store.unload(path),
    introduced: (domain, port, target) => {
      const known = clients.domains.get(domain);
      if (known === undefined) clients.reachAgain({ domain, port, target });
      else clients.setTarget(known, target);
    },
    released: (domain) => {
      clients.domains.delete(domain);
      store.endLife(domain);
    },
    quota: (domain, name, value) => store.quotas.set(name, value, domain),
    connected: (client) => {
      const known = clients.byNumber(client);
      if (known !== undefined) continued.reset(known);
      else if (client >= 0) clients.reattach(client);
      else clients.reachAgain({ port: 0, target: -1, ...clients.domains.get(-1 - client), domain: -1 - client });
    },
    asked: (client, type, id, isLatest, payload) => {
      const connection = clients.byNumber(client);
      if (connection !== undefined) askAgain(continued, connection, type, id, isLatest, payload);
    },
  };
}

/** A request that changed what its client has, as it was answered then. */
function askAgain(
  continued: Continued,
  connection: Connection,
  type: number,
  id: number,
  isLatest: boolean,
  payload: Uint8Array,
): void {
  const { transactions } = connection;
  if (type === messageType.transactionStart) {
    beginTransaction(continued.store, connection, id);
    connection.latestTransaction = id;
  } else if (type === messageType.transactionEnd) transactions.delete(id);
  else {
    if (isLatest) transactions.get(id)?.rebase(continued.store.root);
    const message = new Message();
    message.type = type;
    message.transaction = id;
    message.payload = payload;
    continued.redo(connection, message);
  }
}
