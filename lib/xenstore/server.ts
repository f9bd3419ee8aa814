import type { Timer, Timers } from "@tesserae/device/clock";
import { Connection, type Answerer, type Carrier } from "./connection.ts";
import { control, parseQuota, type Controlled } from "./control.ts";
import { absence, Draft } from "./draft.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import { LiveUpdate } from "./live-update.ts";
import { EffectWriter, readRecord, type Effects } from "./journal.ts";
import type { Kept } from "./keeper.ts";
import { find } from "./node.ts";
import { absolutePath, domainPath, isSpecial } from "./path.ts";
import { access, isAllowed, printPermission, type Actor, type Permissions } from "./permissions.ts";
import { isQuotaName, quotaNames, type QuotaName } from "./quotas.ts";
import { aspectOf, looks, parseOperation, parsePermissions, partOf, watchings } from "./request.ts";
import { ringFeature } from "./ring.ts";
import type { Serves } from "./serve.ts";
import { loadState, saveState, type SavedConnection, type SavedNode, type SavedTransaction } from "./state.ts";
import { StateError } from "./state-bytes.ts";
import type { Client, XenstoreServerOptions } from "./server-options.ts";
import { Store } from "./store.ts";
import { Transaction } from "./transaction.ts";
import { Watch } from "./watches.ts";
import {
  bytesOf,
  decodeStrings,
  encodeMessage,
  encodeStrings,
  longestPayload,
  messageType,
  Message,
  type ErrorName,
} from "./wire.ts";

/** A domain that was introduced. */
interface Domain {
  connection: Connection | undefined;
  target: number;
  readonly port: number;
}

/** What a request comes to: the payload of the reply, why it is refused, or that it has to wait. */
type Outcome = Uint8Array | ErrorName | typeof later;
const later = Symbol("later");
const done = bytesOf("OK\0");
/** From here on numbers mean something else than a domain (`xen.h`). */
const firstReserved = 0x7ff0;
const master: Actor = { domain: 0, target: -1, privileged: true };

/**
 * A xenstore server (`docs/misc/xenstore.txt` of Xen). It knows neither sockets nor rings: see {@link Connection}.
 *
 * A client whose transactions fail several times in a row gets one that cannot: changes that would disturb it wait
 * until it has ended, or a fraction of a second is over.
 */
export class XenstoreServer implements Answerer, Serves {
  readonly limits: Limits;
  readonly #store: Store;
  readonly #domains = new Map<number, Domain>();
  readonly #sockets = new Map<number, Connection>();
  readonly #options: XenstoreServerOptions;
  readonly #update: LiveUpdate | undefined;
  readonly #controlled: Controlled;
  /** Commits that failed for others' changes, and that did not. */
  readonly statistics = { commits: 0, conflicts: 0, waits: 0 };

  /** The transaction that goes before all others. */
  #first:
    | {
        readonly connection: Connection;
        readonly transaction: Transaction;
        /** Of so many clients nobody else is heard meanwhile: it is over sooner so. */
        readonly isAlone: boolean;
        /** When it is over at the latest. */
        readonly until: number;
      }
    | undefined;
  readonly #precedence: Timer;
  readonly #timers: Timers;
  readonly #waiting = new Set<Connection>();
  /** Those that waited and are heard now, in order. */
  readonly #woken = new Set<Connection>();
  #isWaking = false;
  /** Those whose last transaction failed and who wait to go first, in order: one after the other they do not meet. */
  readonly #retrying = new Set<Connection>();
  /** The watch that the request under way has set. */
  #begun: Watch | undefined;
  /** What is to happen when the request under way is answered. */
  #after: (() => void) | undefined;
  /** What is to be done outside when the request under way is done. */
  #outside: (() => void)[] = [];
  #isBusy = false;
  #effects: EffectWriter | undefined;
  /** Requests until this server dies, as it was told to; 0: it was not. */
  #untilKilled = 0;

  constructor(options: XenstoreServerOptions) {
    this.limits = { ...defaultLimits, ...options.limits };
    this.#store = new Store(this.limits);
    this.#options = options;
    this.#update = options.updater === undefined ? undefined : new LiveUpdate(options.updater);
    this.#controlled = {
      quotas: this.#store.quotas,
      usage: (domain) => this.#usage(domain),
      check: () => this.#store.check(),
      report: () => this.#report(),
      print: options.print ?? (() => undefined),
    };
    this.#timers = options.timers;
    this.#effects = options.journal === undefined ? undefined : new EffectWriter();
    this.#precedence = options.timers.timer(() => {
      // Whoever does not use it does not get it again at once.
      if (this.#first !== undefined) this.#first.connection.failures = 0;
      this.#letOthers();
      this.#wakeOthers();
    });
  }

  /** Nodes, all in all. */
  get size(): number {
    return this.#store.size;
  }

  /** How much of everything there is. */
  get census(): { nodes: number; domains: number; watches: number; transactions: number } {
    const connections = [...this.#domains.values()].map((each) => each.connection);
    const transactions = [...connections, ...this.#sockets.values()].reduce(
      (sum, each) => sum + (each?.transactions.size ?? 0),
      0,
    );
    return { nodes: this.size, domains: this.#domains.size, watches: this.#store.watches.size, transactions };
  }

  /** What does not fit together, one line each: nothing, unless there is a mistake in here. */
  check(): string[] {
    return this.#store.check();
  }

  /** Nodes that a domain owns. */
  owned(domain: number): number {
    return this.#store.owned(domain);
  }

  /** A new client. A domain that has a connection loses it. */
  connect(client: Client, carrier: Carrier): Connection {
    if (client.kind === "local") {
      const local = new Connection(master, domainPath(0), this, carrier, this.limits);
      if (client.socket !== undefined) {
        this.#sockets.get(client.socket)?.close("another client has its number");
        this.#sockets.set(client.socket, local);
        local.socket = client.socket;
        this.#connected(local);
      }
      return local;
    }
    const { domain } = client;
    const known = this.#domains.get(domain);
    known?.connection?.close("the domain was connected anew");
    const actor: Actor = { domain, target: known?.target ?? -1, privileged: domain === 0 };
    const connection = new Connection(actor, domainPath(domain), this, carrier, this.limits);
    if (known === undefined) this.#domains.set(domain, { connection, target: -1, port: 0 });
    else known.connection = connection;
    this.#connected(connection);
    return connection;
  }

  #connected(connection: Connection): void {
    if (this.#effects === undefined) return;
    this.#options.journal?.begin(connection.number);
    this.#effects.connected(connection.number);
    this.#commit();
  }

  /** What was begun is kept, and all may know it. */
  #commit(): void {
    if (this.#untilKilled > 0 && --this.#untilKilled === 0) throw new Error("it was killed, as it was told to be");
    if (this.#effects !== undefined) this.#options.journal?.end(this.#effects.take());
  }

  #doOutside(): void {
    if (this.#outside.length === 0) return;
    const outside = this.#outside;
    this.#outside = [];
    for (const each of outside) each();
  }

  /** All that another server needs to go on in this one's place, but for clients whose sockets have no number. */
  save(): Uint8Array {
    const connections: SavedConnection[] = [];
    for (const [domain, { connection, target, port }] of this.#domains) {
      if (connection !== undefined) connections.push(this.#saved(connection, { socket: -1, domain, target, port }));
    }
    for (const [socket, connection] of this.#sockets)
      connections.push(this.#saved(connection, { socket, domain: 0, target: -1, port: 0 }));
    return saveState({ connections, nodes: this.#store.saved(), quotas: this.#store.quotas.changed });
  }

  #saved(connection: Connection, of: Pick<SavedConnection, "socket" | "domain" | "target" | "port">): SavedConnection {
    const transactions: SavedTransaction[] = [];
    for (const [id, transaction] of connection.transactions) {
      // To remove the root is what cannot be done: it is lost wherever it is loaded.
      const cannot = { path: "/", kind: "removed", value: nothing, permissions: [] } as const;
      transactions.push({ id, accesses: transaction.accesses(this.#store.root) ?? [cannot] });
    }
    return {
      ...of,
      ...connection.unfinished,
      watches: [...connection.watches.values()].map(({ path, cut, token }) => ({ path: path.slice(cut), token })),
      transactions,
    };
  }

  /** Does nothing any more, and tells nobody: another server goes on in its place. */
  retire(): void {
    this.#precedence.cancel();
    this.#first = undefined;
    for (const each of [this.#waiting, this.#woken, this.#retrying]) each.clear();
  }

  /**
   * Goes on in the place of a server: `options.domains` is asked to introduce each domain anew, with frame −1, as the ring
   * is where it was.
   *
   * @param records what was done since that state
   * @throws StateError for bytes that {@link XenstoreServer.save} or a journal cannot have given
   */
  static restore(
    bytes: Uint8Array | undefined,
    options: XenstoreServerOptions,
    records: Kept["records"] = [],
  ): XenstoreServer {
    const server = new XenstoreServer(options);
    const effects = server.#effects;
    server.#effects = undefined;
    const continued = bytes === undefined ? [] : server.#load(bytes);
    const redone = server.#redone();
    for (const record of records) readRecord(record, redone);
    server.#effects = effects;
    if (options.journal === undefined) for (const each of continued) each?.proceed();
    return server;
  }

  #load(bytes: Uint8Array): (Connection | undefined)[] {
    const { connections, nodes, quotas } = loadState(bytes);
    for (const [name, value] of quotas.general) this.#store.quotas.set(name, value);
    for (const [domain, own] of quotas.own)
      for (const [name, value] of own) this.#store.quotas.set(name, value, domain);
    for (const node of nodes) this.#loadNode(node);
    return connections.map((each) => this.#continue(each));
  }

  /** Does what the server before has done. */
  #redone(): Effects {
    const store = this.#store;
    const connectionOf = (client: number): Connection | undefined =>
      client >= 0 ? this.#sockets.get(client) : this.#domains.get(-1 - client)?.connection;
    return {
      node: (node) => this.#loadNode(node),
      gone: (path) => store.unload(path),
      introduced: (domain, port, target) => {
        const known = this.#domains.get(domain);
        if (known === undefined) this.#reachAgain({ domain, port, target });
        else this.#setTarget(known, target);
      },
      released: (domain) => {
        this.#domains.delete(domain);
        store.endLife(domain);
      },
      quota: (domain, name, value) => store.quotas.set(name, value, domain),
      connected: (client) => {
        const known = connectionOf(client);
        if (known !== undefined) this.#reset(known);
        else if (client >= 0) this.#reattach(client);
        else this.#reachAgain({ port: 0, target: -1, ...this.#domains.get(-1 - client), domain: -1 - client });
      },
      asked: (client, type, id, isLatest, payload) => {
        const connection = connectionOf(client);
        if (connection !== undefined) this.#askAgain(connection, type, id, isLatest, payload);
      },
    };
  }

  #loadNode({ path, value, permissions }: SavedNode): void {
    const parsed = parsePermissions(permissions, this.#store.lifeOf);
    if (isSpecial(path) && parsed !== undefined) {
      this.#store.special.set(path, parsed);
      return;
    }
    const isNode = parsed !== undefined && absolutePath(path, "") === path;
    if (!isNode || !this.#store.load(path, value, parsed)) throw new StateError(`"${path}" cannot be a node`);
  }

  /** A request that changed what its client has, as it was answered then. */
  #askAgain(connection: Connection, type: number, id: number, isLatest: boolean, payload: Uint8Array): void {
    const { transactions } = connection;
    if (type === messageType.transactionStart) this.#begin(connection, id);
    else if (type === messageType.transactionEnd) transactions.delete(id);
    else {
      if (isLatest) transactions.get(id)?.rebase(this.#store.root);
      const message = new Message();
      message.type = type;
      message.transaction = id;
      message.payload = payload;
      this.#answer(connection, message);
      this.#begun = undefined;
    }
  }

  #continue(saved: SavedConnection): Connection | undefined {
    const connection = saved.socket < 0 ? this.#reachAgain(saved) : this.#reattach(saved.socket);
    if (connection === undefined) return undefined;
    for (const { path, token } of saved.watches) this.#addWatch(connection, path, token);
    for (const { id, accesses } of saved.transactions) {
      const most = this.#transactionNodes(connection.actor);
      const transaction = new Transaction(id, connection.actor, this.#store.root, this.#store, most);
      transaction.load(accesses, (texts) => parsePermissions(texts, this.#store.lifeOf));
      connection.transactions.set(id, transaction);
    }
    connection.restore(saved.input, saved.output);
    return connection;
  }

  #reachAgain({ domain, target, port }: Pick<SavedConnection, "domain" | "target" | "port">): Connection | undefined {
    const known: Domain = { connection: undefined, target, port };
    this.#domains.set(domain, known);
    const isThere = this.#options.domains?.introduce(domain, -1, port, this) ?? false;
    if (isThere) this.#setTarget(known, target);
    return isThere ? known.connection : undefined;
  }

  #reattach(socket: number): Connection | undefined {
    const isThere = this.#options.sockets?.reattach(socket, this) ?? false;
    return isThere ? this.#sockets.get(socket) : undefined;
  }

  /** The domain is destroyed: what it owned is removed, and who has its number next has none of its rights. */
  release(domain: number): void {
    this.#release(domain);
    this.#commit();
    this.#doOutside();
    this.#store.watches.tell();
    this.#wakeOthers();
  }

  #release(domain: number): void {
    const known = this.#domains.get(domain);
    if (known === undefined) return;
    this.#domains.delete(domain);
    const { connection } = known;
    if (connection !== undefined) this.#reset(connection);
    this.#outside.push(() => {
      connection?.close("the domain is gone");
      this.#options.domains?.release(domain);
    });
    const draft = new Draft(this.#store.root, this.#store);
    // Nodes of others below its own go, too, as with any removal.
    for (const path of this.#store.pathsOf(domain)) draft.apply({ kind: "remove", path }, master);
    this.#take(draft);
    this.#store.endLife(domain);
    this.#effects?.released(domain);
    this.#store.announce("@releaseDomain");
  }

  /** Some domain is not what it was: those who watch for releases look. */
  announceRelease(): void {
    this.#store.announce("@releaseDomain");
    this.#store.watches.tell();
  }

  answer(connection: Connection, message: Message): boolean {
    const { request, transaction } = message;
    this.#options.journal?.begin(connection.number);
    this.#isBusy = true;
    const outcome = this.#answer(connection, message);
    if (outcome === later) {
      this.#isBusy = false;
      return false;
    }
    const isError = typeof outcome === "string";
    const payload = isError ? encodeStrings(outcome) : outcome;
    this.#commit();
    this.#store.watches.tell();
    connection.answered(encodeMessage(isError ? messageType.error : message.type, request, transaction, payload));
    // A watch begins with an event, behind the reply.
    const begun = this.#begun;
    this.#begun = undefined;
    if (begun !== undefined) connection.notify(begun, begun.path);
    this.#doOutside();
    const after = this.#after;
    this.#after = undefined;
    if (after !== undefined) queueMicrotask(after);
    this.#isBusy = false;
    this.#wakeOthers();
    return true;
  }

  forget(connection: Connection): void {
    this.#reset(connection);
    for (const each of [this.#waiting, this.#woken, this.#retrying]) each.delete(connection);
    if (this.#sockets.get(connection.socket) === connection) this.#sockets.delete(connection.socket);
    const known = this.#domains.get(connection.actor.domain);
    if (known?.connection === connection) known.connection = undefined;
    this.#wakeOthers();
  }

  #answer(connection: Connection, message: Message): Outcome {
    const transaction = connection.transactions.get(message.transaction);
    if (transaction === undefined && message.transaction !== 0 && message.type !== messageType.watch) {
      return message.type === messageType.transactionStart ? "EBUSY" : "ENOENT";
    }
    const first = this.#first;
    if (first !== undefined && first.connection !== connection) {
      if (first.isAlone) {
        this.#waiting.add(connection);
        this.statistics.waits++;
        return later;
      }
    } else if (first !== undefined && first.transaction === transaction) this.#renewPrecedence();
    const outcome = this.#outcomeOf(connection, transaction, message);
    if (outcome !== later) this.#note(connection, message, transaction, outcome);
    return outcome;
  }

  /** Notes what changed what the client has itself: its watches and transactions. */
  #note(connection: Connection, message: Message, transaction: Transaction | undefined, outcome: Outcome): void {
    if (this.#effects === undefined) return;
    const { number: client, transactions, latestTransaction } = connection;
    const { type, transaction: id, payload } = message;
    const isRefused = typeof outcome === "string";
    if (type === messageType.transactionStart) {
      if (!isRefused) this.#effects.asked(client, type, latestTransaction, false, payload);
    } else if (type === messageType.transactionEnd) {
      if (transaction !== undefined && !transactions.has(id)) this.#effects.asked(client, type, id, false, payload);
    } else if (transaction !== undefined) {
      // A transaction learns of refusals, too.
      const isLatest = looks.has(type) && transaction === this.#first?.transaction;
      this.#effects.asked(client, type, id, isLatest, payload);
    } else if (watchings.has(type) && !isRefused) this.#effects.asked(client, type, 0, false, payload);
  }

  #outcomeOf(connection: Connection, transaction: Transaction | undefined, message: Message): Outcome {
    const { payload } = message;
    switch (message.type) {
      case messageType.read:
      case messageType.directory:
      case messageType.directoryPart:
      case messageType.getPermissions:
        return this.#look(connection, transaction, message.type, payload);
      case messageType.write:
      case messageType.makeDirectory:
      case messageType.remove:
      case messageType.setPermissions:
        return this.#change(connection, transaction, message.type, payload);
      case messageType.watch:
        return this.#watch(connection, payload);
      case messageType.unwatch:
        return this.#unwatch(connection, payload);
      case messageType.resetWatches:
        this.#reset(connection);
        return done;
      case messageType.transactionStart:
        return transaction === undefined ? this.#start(connection) : "EBUSY";
      case messageType.transactionEnd:
        return transaction === undefined ? "ENOENT" : this.#end(connection, transaction, payload);
      default:
        return this.#manage(connection, message.type, payload);
    }
  }

  // Looking.

  #look(connection: Connection, transaction: Transaction | undefined, type: number, payload: Uint8Array): Outcome {
    const [text, offset] = decodeStrings(payload);
    const { actor } = connection;
    if (text !== undefined && isSpecial(text) && type === messageType.getPermissions) {
      const permissions = this.#store.special.get(text);
      return permissions === undefined ? "EINVAL" : encodeStrings(...permissions.map(printPermission));
    }
    const path = text === undefined ? undefined : absolutePath(text, connection.home);
    if (path === undefined) return "EINVAL";
    if (transaction !== undefined) {
      if (!transaction.hasRoom) return "ENOSPC";
      // What goes before all others sees the latest, as nothing that it saw has changed.
      if (transaction === this.#first?.transaction) transaction.rebase(this.#store.root);
    }
    const root = transaction?.root ?? this.#store.root;
    const node = find(root, path);
    transaction?.look(path, aspectOf(type));
    if (node === undefined) return absence(root, path, actor, access.read, this.#store.lifeOf);
    if (!isAllowed(node.permissions, actor, access.read, this.#store.lifeOf)) return "EACCES";
    if (type === messageType.read) return node.value;
    if (type === messageType.getPermissions) return encodeStrings(...node.permissions.map(printPermission));
    const names = encodeStrings(...[...node.children].map(([name]) => name));
    if (type === messageType.directory) return names.length > longestPayload ? "E2BIG" : names;
    return partOf(node, names, offset);
  }

  // Changing.

  #change(connection: Connection, transaction: Transaction | undefined, type: number, payload: Uint8Array): Outcome {
    const operation = parseOperation(type, payload, connection.home, this.#store.lifeOf);
    if (typeof operation === "string") return operation;
    if ("special" in operation) return this.#permitSpecial(connection.actor, operation.special, operation.permissions);
    if (transaction !== undefined) {
      if (!transaction.hasRoom) return "ENOSPC";
      return transaction.apply(operation) ?? done;
    }
    const draft = new Draft(this.#store.root, this.#store);
    const error = draft.apply(operation, connection.actor);
    if (error !== undefined) return error;
    return this.#adopt(connection, draft) ? done : later;
  }

  /** False: the change has to wait for the transaction that goes first. */
  #adopt(connection: Connection, draft: Draft): boolean {
    const first = this.#first;
    if (first !== undefined && first.connection !== connection && first.transaction.isDisturbedBy(draft.root)) {
      this.#waiting.add(connection);
      this.statistics.waits++;
      return false;
    }
    this.#take(draft);
    return true;
  }

  #take(draft: Draft): void {
    this.#store.adopt(draft);
    if (this.#effects !== undefined) this.#store.tellEffects(draft, this.#effects);
  }

  #permitSpecial(actor: Actor, path: "@introduceDomain" | "@releaseDomain", permissions: Permissions): Outcome {
    if (!actor.privileged) return "EACCES";
    this.#store.special.set(path, permissions);
    this.#effects?.node({ path, value: nothing, permissions: permissions.map(printPermission) });
    return done;
  }

  // Watching.

  #watch(connection: Connection, payload: Uint8Array): Outcome {
    const [text, token] = decodeStrings(payload);
    if (text === undefined || token === undefined) return "EINVAL";
    const watch = this.#addWatch(connection, text, token);
    if (typeof watch === "string") return watch;
    this.#begun = watch;
    return done;
  }

  #addWatch(connection: Connection, text: string, token: string): Watch | ErrorName {
    const path = this.#watched(connection, text);
    if (path === undefined) return "EINVAL";
    const key = `${path}\0${token}`;
    const { watches, actor } = connection;
    if (watches.has(key)) return "EEXIST";
    const { limits } = this;
    const most = actor.privileged ? limits.watches : this.#store.most("watches", actor.domain);
    if (watches.size >= most || token.length > limits.token) return "ENOSPC";
    const watch = new Watch(connection, path, token, path.length - text.length);
    watches.set(key, watch);
    this.#store.watches.add(watch);
    return watch;
  }

  #watched(connection: Connection, text: string): string | undefined {
    return isSpecial(text) ? text : absolutePath(text, connection.home);
  }

  #unwatch(connection: Connection, payload: Uint8Array): Outcome {
    const [text, token] = decodeStrings(payload);
    const path = text === undefined ? undefined : this.#watched(connection, text);
    if (path === undefined || token === undefined) return "EINVAL";
    const key = `${path}\0${token}`;
    const watch = connection.watches.get(key);
    if (watch === undefined) return "ENOENT";
    this.#unlink(connection, watch);
    connection.watches.delete(key);
    return done;
  }

  #unlink(connection: Connection, watch: Watch): void {
    this.#store.watches.remove(watch);
    connection.forgetEvents(watch);
  }

  /** All watches and transactions of a client are dropped. */
  #reset(connection: Connection): void {
    for (const watch of connection.watches.values()) this.#unlink(connection, watch);
    connection.watches.clear();
    connection.transactions.clear();
    if (this.#first?.connection === connection) this.#letOthers();
  }

  // Transactions.

  #start(connection: Connection): Outcome {
    const { actor, transactions } = connection;
    const { limits } = this;
    const room = actor.privileged ? limits.transactions : this.#store.most("transactions", actor.domain);
    if (transactions.size >= room) return "ENOSPC";
    const goesFirst = connection.failures >= limits.failures;
    if (goesFirst && this.#first !== undefined && this.#first.connection !== connection) {
      this.#retrying.add(connection);
      this.statistics.waits++;
      return later;
    }
    const transaction = this.#begin(connection, connection.freeTransaction());
    if (goesFirst && this.#first === undefined) {
      const until = this.#timers.now() + (actor.privileged ? limits.precedenceInAll : limits.precedence);
      this.#first = { connection, transaction, isAlone: actor.privileged && this.#isCrowded, until };
      this.#renewPrecedence();
    }
    return encodeStrings(String(transaction.id));
  }

  /** A round through all clients takes so long that whoever goes first would not be done in time. */
  get #isCrowded(): boolean {
    return this.#sockets.size + this.#domains.size > this.limits.crowd;
  }

  #begin(connection: Connection, id: number): Transaction {
    const { actor, transactions } = connection;
    const transaction = new Transaction(id, actor, this.#store.root, this.#store, this.#transactionNodes(actor));
    transactions.set(id, transaction);
    connection.latestTransaction = id;
    return transaction;
  }

  /** Each request of whoever goes first gives it time for another, within bounds. */
  #renewPrecedence(): void {
    if (this.#first === undefined) return;
    this.#precedence.set(Math.min(this.#first.until, this.#timers.now() + this.limits.precedence));
  }

  #transactionNodes(actor: Actor): number {
    return actor.privileged ? this.limits.transactionNodes : this.#store.most("transaction-nodes", actor.domain);
  }

  #end(connection: Connection, transaction: Transaction, payload: Uint8Array): Outcome {
    const [answer] = decodeStrings(payload);
    if (answer !== "T" && answer !== "F") return "EINVAL";
    let outcome: Outcome = done;
    if (answer === "T") {
      const draft = transaction.replay(this.#store.root);
      if (typeof draft !== "string" && !this.#adopt(connection, draft)) return later;
      if (typeof draft === "string") outcome = draft;
      this.#count(connection, outcome);
    }
    connection.transactions.delete(transaction.id);
    if (this.#first?.transaction === transaction) this.#letOthers();
    return outcome;
  }

  #count(connection: Connection, outcome: Outcome): void {
    if (outcome === "EAGAIN") {
      this.statistics.conflicts++;
      connection.failures++;
    } else {
      this.statistics.commits++;
      connection.failures = 0;
    }
  }

  get #isFree(): boolean {
    return this.#first === undefined;
  }

  /** Nobody goes first any more. {@link XenstoreServer.#wakeOthers} follows, once what is under way is done. */
  #letOthers(): void {
    this.#first = undefined;
    this.#precedence.cancel();
    for (const connection of this.#waiting) this.#woken.add(connection);
    this.#waiting.clear();
  }

  /** One after the other, and each as a request of its own. */
  #wakeOthers(): void {
    if (this.#isBusy || this.#isWaking) return;
    this.#isWaking = true;
    for (;;) {
      const [next] = this.#woken.size > 0 || !this.#isFree ? this.#woken : this.#retrying;
      if (next === undefined) break;
      this.#woken.delete(next);
      this.#retrying.delete(next);
      next.resume();
    }
    this.#isWaking = false;
  }

  // Domains.

  #manage(connection: Connection, type: number, payload: Uint8Array): Outcome {
    const strings = decodeStrings(payload);
    if (type === messageType.control) {
      return connection.actor.privileged ? this.#control(strings, payload) : "EACCES";
    }
    if (type === messageType.getQuota || type === messageType.setQuota) {
      return connection.actor.privileged ? this.#quota(strings, type === messageType.setQuota) : "EACCES";
    }
    if (type === messageType.getFeature) {
      return connection.actor.privileged ? encodeStrings(String(features)) : "EACCES";
    }
    const [first, second, third] = strings.map(number);
    if (type < messageType.introduce || type > messageType.setTarget || !(type in managed)) return "ENOSYS";
    if (first === undefined || first < 0 || first > 65_535) return "EINVAL";
    if (type === messageType.getDomainPath) return encodeStrings(domainPath(first));
    if (!connection.actor.privileged) return "EACCES";
    if (type === messageType.isDomainIntroduced) {
      return encodeStrings(first === 0 || this.#domains.has(first) ? "T" : "F");
    }
    if (first === 0 || first >= firstReserved) return "EINVAL";
    if (type === messageType.introduce) return this.#introduce(first, second, third);
    const domain = this.#domains.get(first);
    if (domain === undefined) return "ENOENT";
    if (type === messageType.release) this.#release(first);
    if (type === messageType.setTarget) {
      if (second === undefined || !this.#domains.has(second)) return second === undefined ? "EINVAL" : "ENOENT";
      this.#setTarget(domain, second);
      this.#effects?.introduced(first, domain.port, second);
    }
    return done;
  }

  #setTarget(domain: Domain, target: number): void {
    domain.target = target;
    const { connection } = domain;
    if (connection !== undefined) connection.actor = { ...connection.actor, target };
  }

  #introduce(domain: number, frame: number | undefined, port: number | undefined): Outcome {
    if (frame === undefined || port === undefined || port < 0) return "EINVAL";
    const isNew = !this.#domains.has(domain);
    if (isNew) this.#domains.set(domain, { connection: undefined, target: -1, port });
    const { domains } = this.#options;
    if (domains !== undefined && !domains.introduce(domain, frame, port, this)) {
      if (isNew) this.#domains.delete(domain);
      return "EINVAL";
    }
    if (isNew) {
      this.#effects?.introduced(domain, port, -1);
      this.#store.announce("@introduceDomain");
    }
    return done;
  }

  #control(strings: readonly string[], payload: Uint8Array): Outcome {
    if (strings[0] === "live-update") {
      if (this.#update === undefined) return "ENOSYS";
      const step = this.#update.step(strings.slice(1), payload);
      this.#after = step?.replace;
      return step === undefined ? "EINVAL" : encodeStrings(step.answer);
    }
    if (strings[0] === "kill") return this.#kill(strings[1] ?? "1");
    const answer = control(this.#controlled, strings);
    if (answer === undefined) return "EINVAL";
    // It may have set a quota for all.
    for (const [name, value] of this.#store.quotas.changed.general) this.#effects?.quota(-1, name, value);
    const bytes = encodeStrings(answer);
    return bytes.length > longestPayload ? "E2BIG" : bytes;
  }

  /** In the middle of a request this server is to die: what comes then is what comes after any fault. */
  #kill(text: string): Outcome {
    const requests = number(text);
    if (this.#effects === undefined) return "ENOSYS";
    if (requests === undefined || requests < 1) return "EINVAL";
    // This very request is done before.
    this.#untilKilled = requests + 1;
    return done;
  }

  /** `[[domain] name]`, or `[domain] name value`. */
  #quota(strings: readonly string[], isSet: boolean): Outcome {
    const { quotas } = this.#store;
    const words = [...strings];
    if (!isSet && words.length === 0) return encodeStrings(quotaNames.join(" "));
    const value = isSet ? parseQuota(words.pop()) : 0;
    const name = words.pop();
    const [domainText] = words;
    const domain = domainText === undefined ? -1 : number(domainText);
    if (value === undefined || name === undefined || !isQuotaName(name) || domain === undefined) return "EINVAL";
    if (domainText !== undefined && !this.#domains.has(domain)) return "ENOENT";
    if (!isSet) return encodeStrings(String(quotas.value(name, domain)));
    quotas.set(name, value, domain);
    this.#effects?.quota(domain, name, value);
    return done;
  }

  #usage(domain: number): ReadonlyMap<QuotaName, number> | undefined {
    const connection = this.#domains.get(domain)?.connection;
    if (connection === undefined) return undefined;
    return new Map<QuotaName, number>([
      ["nodes", this.owned(domain)],
      ["watches", connection.watches.size],
      ["transactions", connection.transactions.size],
    ]);
  }

  #report(): string {
    const { commits, conflicts, waits } = this.statistics;
    const { nodes, domains, watches, transactions } = this.census;
    return (
      `nodes ${nodes}, domains ${domains}, watches ${watches}, transactions ${transactions}, ` +
      `commits ${commits}, conflicts ${conflicts}, waits ${waits}, faults ${this.#options.journal?.faults ?? 0}`
    );
  }
}

const nothing = new Uint8Array(0);

/** What rings offer. */
const features = ringFeature.reconnection | ringFeature.error;

const managed: Readonly<Record<number, true>> = {
  [messageType.introduce]: true,
  [messageType.release]: true,
  [messageType.getDomainPath]: true,
  [messageType.isDomainIntroduced]: true,
  [messageType.resume]: true,
  [messageType.setTarget]: true,
};

/** A number in decimal, which may be negative; −1 000 000 000 and beyond are none. */
function number(text: string): number | undefined {
  return /^-?\d{1,19}$/.test(text) ? Number(text) : undefined;
}
