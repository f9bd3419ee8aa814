import type { Timer, Timers } from "@tesserae/device/clock";
import type { Connection } from "./connection.ts";
import type { Limits } from "./limits.ts";
import type { Node } from "./node.ts";
import type { Transaction } from "./transaction.ts";

/** A transaction that goes before all others. */
interface First {
  readonly connection: Connection;
  readonly transaction: Transaction;
  /** Of so many clients nobody else is heard meanwhile: it is over sooner so. */
  readonly isAlone: boolean;
  /** When it is over at the latest. */
  readonly until: number;
}

/**
 * Who goes first: a client whose transactions fail several times in a row gets one that cannot. Changes that would
 * disturb it wait until it has ended, or a fraction of a second is over.
 */
export class Precedence {
  /** Commits that failed for others' changes, and that did not; and requests that had to wait. */
  readonly statistics = { commits: 0, conflicts: 0, waits: 0 };
  readonly #limits: Limits;
  readonly #timers: Timers;
  readonly #timer: Timer;
  #first: First | undefined;
  readonly #waiting = new Set<Connection>();
  /** Those that waited and are heard now, in order. */
  readonly #woken = new Set<Connection>();
  #isWaking = false;
  /** Those whose last transaction failed and who wait to go first, in order: one after the other they do not meet. */
  readonly #retrying = new Set<Connection>();

  constructor(timers: Timers, limits: Limits) {
    this.#timers = timers;
    this.#limits = limits;
    this.#timer = timers.timer(() => {
      // Whoever does not use it does not get it again at once.
      if (this.#first !== undefined) this.#first.connection.failures = 0;
      this.#letOthers();
      this.wake();
    });
  }

  /** Whether the transaction is the one that goes first. */
  isOf(transaction: Transaction | undefined): boolean {
    return transaction !== undefined && this.#first?.transaction === transaction;
  }

  /** A client asks something. False: it has to wait, as another is heard alone. */
  hears(connection: Connection, transaction: Transaction | undefined): boolean {
    const first = this.#first;
    if (first === undefined) return true;
    if (first.connection === connection) {
      if (first.transaction === transaction) this.#renew(first);
      return true;
    }
    if (first.isAlone) this.#wait(connection, this.#waiting);
    return !first.isAlone;
  }

  /** A client makes the tree `root`. False: that has to wait for the transaction that goes first. */
  allows(connection: Connection, root: Node): boolean {
    const first = this.#first;
    if (first === undefined || first.connection === connection || !first.transaction.isDisturbedBy(root)) return true;
    this.#wait(connection, this.#waiting);
    return false;
  }

  /** A client begins a transaction. False: it has to wait until it can go first itself. */
  mayBegin(connection: Connection): boolean {
    const isTaken = this.#first !== undefined && this.#first.connection !== connection;
    if (!isTaken || !this.#isDue(connection)) return true;
    this.#wait(connection, this.#retrying);
    return false;
  }

  /**
   * A client has begun a transaction, which goes first if it is due.
   *
   * @param isCrowded a round through all clients takes so long that it would not be done in time
   */
  begun(connection: Connection, transaction: Transaction, isCrowded: boolean): void {
    if (this.#first !== undefined || !this.#isDue(connection)) return;
    const { privileged } = connection.actor;
    const until = this.#timers.now() + (privileged ? this.#limits.precedenceInAll : this.#limits.precedence);
    this.#first = { connection, transaction, isAlone: privileged && isCrowded, until };
    this.#renew(this.#first);
  }

  /** A client's transaction was committed, or could not be for others' changes. */
  count(connection: Connection, isConflict: boolean): void {
    if (isConflict) {
      this.statistics.conflicts++;
      connection.failures++;
    } else {
      this.statistics.commits++;
      connection.failures = 0;
    }
  }

  /** The transaction is over. {@link Precedence.wake} follows, once the request under way is done. */
  ended(transaction: Transaction): void {
    if (this.isOf(transaction)) this.#letOthers();
  }

  /** All transactions of a client are over. */
  dropped(connection: Connection): void {
    if (this.#first?.connection === connection) this.#letOthers();
  }

  /** A client is gone. */
  forget(connection: Connection): void {
    for (const each of [this.#waiting, this.#woken, this.#retrying]) each.delete(connection);
  }

  /** Nobody waits any more, and nobody is told. */
  retire(): void {
    this.#timer.cancel();
    this.#first = undefined;
    for (const each of [this.#waiting, this.#woken, this.#retrying]) each.clear();
  }

  /** Hears those who waited: one after the other, and each as a request of its own. Not inside of a request. */
  wake(): void {
    if (this.#isWaking) return;
    this.#isWaking = true;
    for (;;) {
      const [next] = this.#woken.size > 0 || this.#first !== undefined ? this.#woken : this.#retrying;
      if (next === undefined) break;
      this.#woken.delete(next);
      this.#retrying.delete(next);
      next.resume();
    }
    this.#isWaking = false;
  }

  #isDue(connection: Connection): boolean {
    return connection.failures >= this.#limits.failures;
  }

  #wait(connection: Connection, among: Set<Connection>): void {
    among.add(connection);
    this.statistics.waits++;
  }

  /** Each request of whoever goes first gives it time for another, within bounds. */
  #renew({ until }: First): void {
    this.#timer.set(Math.min(until, this.#timers.now() + this.#limits.precedence));
  }

  #letOthers(): void {
    this.#first = undefined;
    this.#timer.cancel();
    for (const connection of this.#waiting) this.#woken.add(connection);
    this.#waiting.clear();
  }
}
