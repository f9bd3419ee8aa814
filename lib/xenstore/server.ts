import { ClientTable, master } from "./client-table.ts";
import type { Answerer, Carrier, Connection } from "./connection.ts";
import { loadServer, redoing, saveServer, type Continued } from "./continuation.ts";
import { control, quotaRequest, type Controlled } from "./control.ts";
import { Draft } from "./draft.ts";
import { EffectWriter, readRecord } from "./journal.ts";
import type { Kept } from "./keeper.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import { LiveUpdate } from "./live-update.ts";
import { look } from "./look.ts";
import { domainPath, type SpecialPath } from "./path.ts";
import { printPermission, type Actor, type Permissions } from "./permissions.ts";
import { Precedence } from "./precedence.ts";
import type { QuotaName } from "./quotas.ts";
import { looks, parseNumber, parseOperation, watchings } from "./request.ts";
import { ringFeature } from "./ring.ts";
import type { Serves } from "./serve.ts";
import type { Client, XenstoreServerOptions } from "./server-options.ts";
import { Store } from "./store.ts";
import { beginTransaction, type Transaction } from "./transaction.ts";
import type { Watch } from "./watches.ts";
import { dropAllWatches, dropWatch, setWatch } from "./watching.ts";
import {
  decodeStrings,
  done,
  encodeMessage,
  encodeStrings,
  longestPayload,
  messageType,
  type ErrorName,
  type Message,
} from "./wire.ts";

/** What a request comes to: the payload of the reply, why it is refused, or that it has to wait. */
type Outcome = Uint8Array | ErrorName | typeof later;
const later = Symbol("later");
/** From here on numbers mean something else than a domain (`xen.h`). */
const firstReserved = 0x7ff0;

/**
 * A xenstore server (`docs/misc/xenstore.txt` of Xen). It knows neither sockets nor rings: see {@link Connection}.
 */
export class XenstoreServer implements Answerer, Serves {
  readonly limits: Limits;
  readonly #store: Store;
  readonly #clients: ClientTable;
  readonly #precedence: Precedence;
  readonly #options: XenstoreServerOptions;
  readonly #update: LiveUpdate | undefined;
  readonly #controlled: Controlled;
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
    this.#clients = new ClientTable(this, this.limits, options);
    this.#precedence = new Precedence(options.timers, this.limits);
    this.#controlled = {
      quotas: this.#store.quotas,
      setQuota: (name, value, domain) => {
        this.#store.quotas.set(name, value, domain);
        this.#effects?.quota(domain, name, value);
      },
      isKnown: (domain) => this.#clients.domains.has(domain),
      usage: (domain) => this.#usage(domain),
      check: () => this.#store.check(),
      report: () => this.#report(),
      print: options.print ?? (() => undefined),
    };
    this.#effects = options.journal === undefined ? undefined : new EffectWriter();
  }

  /** Nodes, all in all. */
  get size(): number {
    return this.#store.size;
  }

  /** How much of everything there is. */
  get census(): { nodes: number; domains: number; watches: number; transactions: number } {
    let transactions = 0;
    for (const each of this.#clients.connections()) transactions += each.transactions.size;
    const domains = this.#clients.domains.size;
    return { nodes: this.size, domains, watches: this.#store.watches.size, transactions };
  }

  /** Commits that failed for others' changes, and that did not; and requests that had to wait. */
  get statistics(): Precedence["statistics"] {
    return this.#precedence.statistics;
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
    const connection = this.#clients.connect(client, carrier);
    if (client.kind === "domain" || client.socket !== undefined) this.#connected(connection);
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
    return saveServer({ store: this.#store, clients: this.#clients });
  }

  /** Does nothing any more, and tells nobody: another server goes on in its place. */
  retire(): void {
    this.#precedence.retire();
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
    const continued = server.#continued();
    const connections = bytes === undefined ? [] : loadServer(continued, bytes);
    const redone = redoing(continued);
    for (const record of records) readRecord(record, redone);
    server.#effects = effects;
    if (options.journal === undefined) for (const each of connections) each.proceed();
    return server;
  }

  #continued(): Continued {
    return {
      store: this.#store,
      clients: this.#clients,
      reset: (connection) => this.#reset(connection),
      redo: (connection, message) => {
        this.#answer(connection, message);
        this.#begun = undefined;
      },
    };
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
    const known = this.#clients.domains.get(domain);
    if (known === undefined) return;
    this.#clients.domains.delete(domain);
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
    this.#precedence.forget(connection);
    this.#clients.forget(connection);
    this.#wakeOthers();
  }

  #answer(connection: Connection, message: Message): Outcome {
    const transaction = connection.transactions.get(message.transaction);
    if (transaction === undefined && message.transaction !== 0 && message.type !== messageType.watch) {
      return message.type === messageType.transactionStart ? "EBUSY" : "ENOENT";
    }
    if (!this.#precedence.hears(connection, transaction)) return later;
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
      const isLatest = looks.has(type) && this.#precedence.isOf(transaction);
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
        // What goes before all others sees the latest, as nothing that it saw has changed.
        if (this.#precedence.isOf(transaction)) transaction?.rebase(this.#store.root);
        return look(this.#store, connection, transaction, message.type, payload);
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
    if (!this.#precedence.allows(connection, draft.root)) return false;
    this.#take(draft);
    return true;
  }

  #take(draft: Draft): void {
    this.#store.adopt(draft);
    if (this.#effects !== undefined) this.#store.tellEffects(draft, this.#effects);
  }

  #permitSpecial(actor: Actor, path: SpecialPath, permissions: Permissions): Outcome {
    if (!actor.privileged) return "EACCES";
    this.#store.special.set(path, permissions);
    this.#effects?.node({ path, value: nothing, permissions: permissions.map(printPermission) });
    return done;
  }

  // Watching.

  #watch(connection: Connection, payload: Uint8Array): Outcome {
    const [text, token] = decodeStrings(payload);
    if (text === undefined || token === undefined) return "EINVAL";
    const watch = setWatch(this.#store, connection, text, token);
    if (typeof watch === "string") return watch;
    this.#begun = watch;
    return done;
  }

  #unwatch(connection: Connection, payload: Uint8Array): Outcome {
    const [text, token] = decodeStrings(payload);
    if (text === undefined || token === undefined) return "EINVAL";
    return dropWatch(this.#store, connection, text, token) ?? done;
  }

  /** All watches and transactions of a client are dropped. */
  #reset(connection: Connection): void {
    dropAllWatches(this.#store, connection);
    connection.transactions.clear();
    this.#precedence.dropped(connection);
  }

  // Transactions.

  #start(connection: Connection): Outcome {
    const { actor, transactions } = connection;
    const { limits } = this;
    const room = actor.privileged ? limits.transactions : this.#store.most("transactions", actor.domain);
    if (transactions.size >= room) return "ENOSPC";
    if (!this.#precedence.mayBegin(connection)) return later;
    const id = connection.freeTransaction();
    const transaction = beginTransaction(this.#store, connection, id);
    connection.latestTransaction = id;
    this.#precedence.begun(connection, transaction, this.#clients.size > limits.crowd);
    return encodeStrings(String(id));
  }

  #end(connection: Connection, transaction: Transaction, payload: Uint8Array): Outcome {
    const [answer] = decodeStrings(payload);
    if (answer !== "T" && answer !== "F") return "EINVAL";
    let outcome: Outcome = done;
    if (answer === "T") {
      const draft = transaction.replay(this.#store.root);
      if (typeof draft !== "string" && !this.#adopt(connection, draft)) return later;
      if (typeof draft === "string") outcome = draft;
      this.#precedence.count(connection, outcome === "EAGAIN");
    }
    connection.transactions.delete(transaction.id);
    this.#precedence.ended(transaction);
    return outcome;
  }

  #wakeOthers(): void {
    if (!this.#isBusy) this.#precedence.wake();
  }

  // Domains.

  #manage(connection: Connection, type: number, payload: Uint8Array): Outcome {
    const strings = decodeStrings(payload);
    if (type === messageType.control) {
      return connection.actor.privileged ? this.#control(strings, payload) : "EACCES";
    }
    if (type === messageType.getQuota || type === messageType.setQuota) {
      return connection.actor.privileged
        ? quotaRequest(this.#controlled, strings, type === messageType.setQuota)
        : "EACCES";
    }
    if (type === messageType.getFeature) {
      return connection.actor.privileged ? encodeStrings(String(features)) : "EACCES";
    }
    const [first, second, third] = strings.map(parseNumber);
    if (type < messageType.introduce || type > messageType.setTarget || !(type in managed)) return "ENOSYS";
    if (first === undefined || first < 0 || first > 65_535) return "EINVAL";
    if (type === messageType.getDomainPath) return encodeStrings(domainPath(first));
    if (!connection.actor.privileged) return "EACCES";
    if (type === messageType.isDomainIntroduced) {
      return encodeStrings(first === 0 || this.#clients.domains.has(first) ? "T" : "F");
    }
    if (first === 0 || first >= firstReserved) return "EINVAL";
    if (type === messageType.introduce) return this.#introduce(first, second, third);
    const domain = this.#clients.domains.get(first);
    if (domain === undefined) return "ENOENT";
    if (type === messageType.release) this.#release(first);
    if (type === messageType.setTarget) {
      if (second === undefined || !this.#clients.domains.has(second)) return second === undefined ? "EINVAL" : "ENOENT";
      this.#clients.setTarget(domain, second);
      this.#effects?.introduced(first, domain.port, second);
    }
    return done;
  }

  #introduce(domain: number, frame: number | undefined, port: number | undefined): Outcome {
    if (frame === undefined || port === undefined || port < 0) return "EINVAL";
    const isNew = !this.#clients.domains.has(domain);
    if (!this.#clients.introduce(domain, frame, port)) return "EINVAL";
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
    const bytes = encodeStrings(answer);
    return bytes.length > longestPayload ? "E2BIG" : bytes;
  }

  /** In the middle of a request this server is to die: what comes then is what comes after any fault. */
  #kill(text: string): Outcome {
    const requests = parseNumber(text);
    if (this.#effects === undefined) return "ENOSYS";
    if (requests === undefined || requests < 1) return "EINVAL";
    // This very request is done before.
    this.#untilKilled = requests + 1;
    return done;
  }

  #usage(domain: number): ReadonlyMap<QuotaName, number> | undefined {
    const connection = this.#clients.byNumber(-1 - domain);
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
