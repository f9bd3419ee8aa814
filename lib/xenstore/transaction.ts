import type { Connection } from "./connection.ts";
import { Draft, type Operation, type Rules } from "./draft.ts";
import { find, type Node } from "./node.ts";
import { parentOf } from "./path.ts";
import { printPermission, type Actor, type Permissions } from "./permissions.ts";
import type { SavedAccess } from "./state.ts";
import type { Store } from "./store.ts";
import type { ErrorName } from "./wire.ts";

const nothing = new Uint8Array(0);

/** What a transaction has looked at of a node, in bits. */
export const aspect = { existence: 1, value: 2, permissions: 4, children: 8 } as const;

/**
 * A transaction: it sees the tree as it was when it began, with its own changes.
 *
 * It fails only for what it has looked at and others have changed since: a value, the permissions, whether a node is
 * there, or which children it has. Two transactions that write to the same node, or add children to the same node,
 * without having looked do not disturb each other: their changes are made one after the other.
 */
export class Transaction {
  readonly id: number;
  readonly actor: Actor;
  readonly #rules: Rules;
  readonly #most: number;
  #snapshot: Node;
  #draft: Draft;
  readonly #seen = new Map<string, number>();
  readonly #operations: Operation[] = [];
  #isLost = false;

  /** @param most changes, and nodes looked at, together */
  constructor(id: number, actor: Actor, root: Node, rules: Rules, most: number) {
    this.id = id;
    this.actor = actor;
    this.#rules = rules;
    this.#most = most;
    this.#snapshot = root;
    this.#draft = new Draft(root, rules);
  }

  get root(): Node {
    return this.#draft.root;
  }

  /** Whether there is room to remember one more. */
  get hasRoom(): boolean {
    return this.#seen.size + this.#operations.length < this.#most;
  }

  /** Remembers that aspects of the node at `path` were looked at, and that it was there or not. */
  look(path: string, aspects: number): void {
    this.#look(path, aspects);
    // What an ordinary client learns of a node that is not there depends on what is above it.
    if (!this.actor.privileged) this.#lookAbove(path);
  }

  /** Makes a change, in here only. */
  apply(operation: Operation): ErrorName | undefined {
    const { kind, path } = operation;
    const root = this.#draft.root;
    const error = this.#draft.apply(operation, this.actor);
    // A refusal depends on what is there; a change is made anew at the end.
    if (error === undefined) this.#operations.push(operation);
    else this.look(path, 0);
    // It is refused where the parent is missing, and else says nothing.
    if (kind === "remove" && find(root, path) === undefined) {
      this.#look(path, 0);
      this.#lookAbove(path);
    }
    return error;
  }

  #look(path: string, aspects: number): void {
    // What may be done by who may do everything does not depend on permissions.
    const bits = aspects | aspect.existence | (this.actor.privileged ? 0 : aspect.permissions);
    this.#seen.set(path, (this.#seen.get(path) ?? 0) | bits);
  }

  /** Looks at what is above a node that is not there, up to what is. */
  #lookAbove(path: string): void {
    for (let at = path; find(this.#draft.root, at) === undefined;) {
      at = parentOf(at);
      this.#look(at, 0);
    }
  }

  /** What it has seen and done is not known any more: it cannot but fail. */
  lose(): void {
    this.#isLost = true;
  }

  /** Whether anything that was looked at is not the same in `root`. */
  isDisturbedBy(root: Node): boolean {
    if (root === this.#snapshot) return false;
    for (const [path, aspects] of this.#seen) {
      if (differ(find(this.#snapshot, path), find(root, path), aspects)) return true;
    }
    return false;
  }

  /** All changes, made to `root`; or why not. */
  replay(root: Node): Draft | ErrorName {
    if (this.#isLost || this.isDisturbedBy(root)) return "EAGAIN";
    const draft = new Draft(root, this.#rules);
    for (const operation of this.#operations) {
      const error = draft.apply(operation, this.actor);
      if (error !== undefined) return error === "ENOSPC" ? error : "EAGAIN";
    }
    return draft;
  }

  /**
   * All that it has looked at and done, for a server that goes on in another's place, with `root` as its tree.
   *
   * @returns undefined when it cannot but fail
   */
  accesses(root: Node): SavedAccess[] | undefined {
    if (this.#isLost || !this.rebase(root)) return undefined;
    const accesses: SavedAccess[] = [];
    const seen = (path: string): void => {
      accesses.push({ path, kind: "seen", value: nothing, permissions: [] });
    };
    for (const path of this.#seen.keys()) seen(path);
    const draft = new Draft(root, this.#rules);
    for (const operation of this.#operations) {
      const { kind, path } = operation;
      const before = find(draft.root, path);
      draft.apply(operation, this.actor);
      const node = find(draft.root, path);
      // What depends on what was there is told as a write behind a look: it is disturbed more easily then.
      if (kind === "make" || kind === "permit") seen(path);
      if (kind === "remove") accesses.push({ path, kind: "removed", value: nothing, permissions: [] });
      else if (node !== undefined && node !== before) {
        const permissions = node.permissions.map(printPermission);
        accesses.push({ path, kind: "written", value: node.value, permissions });
      }
    }
    return accesses;
  }

  /** Looks at and does what another has. It is lost when something of it cannot be done. */
  load(accesses: readonly SavedAccess[], parse: (texts: readonly string[]) => Permissions | undefined): void {
    for (const { path, kind, value, permissions } of accesses) {
      if (kind === "seen") this.#look(path, aspect.value | aspect.permissions | aspect.children);
      else if (kind === "removed") this.#redo({ kind: "remove", path });
      else {
        const parsed = parse(permissions);
        if (parsed === undefined) this.#isLost = true;
        else {
          this.#redo({ kind: "write", path, value });
          const now = find(this.#draft.root, path);
          if (now !== undefined && !areSame(now.permissions, parsed))
            this.#redo({ kind: "permit", path, permissions: parsed });
        }
      }
    }
  }

  #redo(operation: Operation): void {
    if (this.apply(operation) !== undefined) this.#isLost = true;
  }

  /** Goes on as if it had begun with `root`. False, and nothing has changed, when it cannot. */
  rebase(root: Node): boolean {
    if (root === this.#snapshot) return true;
    const draft = this.replay(root);
    if (typeof draft === "string") return false;
    this.#snapshot = root;
    this.#draft = draft;
    return true;
  }
}

/** A client begins a transaction. @param id that none of its others has */
export function beginTransaction(store: Store, { actor, transactions }: Connection, id: number): Transaction {
  const most = actor.privileged ? store.limits.transactionNodes : store.most("transaction-nodes", actor.domain);
  const transaction = new Transaction(id, actor, store.root, store, most);
  transactions.set(id, transaction);
  return transaction;
}

function differ(before: Node | undefined, now: Node | undefined, aspects: number): boolean {
  if (before === now) return false;
  if (before === undefined || now === undefined) return true;
  if ((aspects & aspect.value) !== 0 && !isSame(before.value, now.value)) return true;
  if ((aspects & aspect.children) !== 0 && before.generation !== now.generation) return true;
  return (aspects & aspect.permissions) !== 0 && !areSame(before.permissions, now.permissions);
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, index) => byte === b[index]));
}

function areSame(a: Permissions, b: Permissions): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  return a.every((each, index) => {
    const other = b[index];
    return each.domain === other?.domain && each.life === other.life && each.access === other.access;
  });
}
