import type { Limits } from "./limits.ts";
import { everything, find, replace, type Node } from "./node.ts";
import { childOf, namesOf, parentOf } from "./path.ts";
import { access, asOwner, inherited, isAllowed, type Actor, type LifeOf, type Permissions } from "./permissions.ts";
import { PersistentMap } from "./persistent-map.ts";
import type { QuotaName } from "./quotas.ts";
import type { ErrorName } from "./wire.ts";

/** One change that a client asks for. Paths are absolute and well formed. */
export type Operation =
  | { readonly kind: "write"; readonly path: string; readonly value: Uint8Array }
  | { readonly kind: "make"; readonly path: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "permit"; readonly path: string; readonly permissions: Permissions };

/** What happened to a node, for those who watch. */
export interface Change {
  readonly path: string;
  /** Those who may read by any of these hear of it: the node's own, its parent's, and its own before. */
  readonly readable: readonly Permissions[];
  /** Gone together with a node above it: only watches of this very path hear of it. */
  readonly isBelow: boolean;
}

/** A node that came, went, or has another owner. */
export interface Ownership {
  readonly path: string;
  /** −1: it came. */
  readonly before: number;
  /** −1: it went. */
  readonly after: number;
}

/** What a draft needs to know of the store. */
export interface Rules {
  readonly limits: Limits;
  readonly lifeOf: LifeOf;
  /** The most that a domain may have. */
  most(quota: QuotaName, domain: number): number;
  /** Nodes in all. */
  readonly size: number;
  /** Nodes that a domain owns. */
  owned(domain: number): number;
  /** A number that was never given before. */
  generation(): number;
}

const empty = new Uint8Array(0);

/** Changes to a tree that are not the store's yet. An operation that fails changes nothing. */
export class Draft {
  root: Node;
  readonly changes: Change[] = [];
  readonly ownerships: Ownership[] = [];
  readonly #rules: Rules;
  /** Nodes more or less than the store has, by owner. */
  readonly #more = new Map<number, number>();
  #added = 0;

  constructor(root: Node, rules: Rules) {
    this.root = root;
    this.#rules = rules;
  }

  /** @returns what is wrong, or undefined when it is done */
  apply(operation: Operation, actor: Actor): ErrorName | undefined {
    switch (operation.kind) {
      case "write":
        return this.#write(operation.path, operation.value, actor);
      case "make":
        return this.#make(operation.path, actor);
      case "remove":
        return this.#remove(operation.path, actor);
      case "permit":
        return this.#permit(operation.path, operation.permissions, actor);
    }
  }

  #may(node: Node, actor: Actor, wanted: number): boolean {
    return isAllowed(node.permissions, actor, wanted, this.#rules.lifeOf);
  }

  #write(path: string, value: Uint8Array, actor: Actor): ErrorName | undefined {
    if (!actor.privileged && path.length + value.length > this.#rules.most("node-size", actor.domain)) return "ENOSPC";
    const node = find(this.root, path);
    if (node === undefined) return this.#create(path, value, actor);
    if (!this.#may(node, actor, access.write)) return "EACCES";
    this.#put(path, { ...node, value });
    this.#changed(path, node.permissions);
    return undefined;
  }

  #make(path: string, actor: Actor): ErrorName | undefined {
    const node = find(this.root, path);
    if (node === undefined) return this.#create(path, empty, actor);
    return this.#may(node, actor, access.write) ? undefined : "EACCES";
  }

  /** The node and its missing parents. */
  #create(path: string, value: Uint8Array, actor: Actor): ErrorName | undefined {
    const names = namesOf(path);
    let above: Node = this.root;
    let abovePath = "/";
    let depth = 0;
    for (let next = above.children.get(names[0] ?? ""); next !== undefined;) {
      above = next;
      abovePath = childOf(abovePath, names[depth] ?? "");
      next = above.children.get(names[++depth] ?? "");
    }
    if (!this.#may(above, actor, access.write)) return "EACCES";
    const permissions = inherited(above.permissions, actor, this.#rules.lifeOf);
    const owner = permissions[0].domain;
    const wanted = names.length - depth;
    if (!this.#hasRoom(owner, wanted, actor)) return "ENOSPC";
    const made = names.slice(depth);
    let node: Node | undefined;
    for (let index = made.length - 1; index >= 0; index--) {
      const below = made[index + 1];
      node = {
        value: node === undefined ? value : empty,
        permissions,
        children:
          node === undefined || below === undefined
            ? PersistentMap.empty<Node>()
            : PersistentMap.empty<Node>().with(below, node),
        generation: this.#rules.generation(),
      };
    }
    let at = abovePath;
    for (const [index, name] of made.entries()) {
      at = childOf(at, name);
      if (index === 0 && node !== undefined) this.#put(at, node);
      this.#own(at, -1, owner);
    }
    this.#changed(path, permissions);
    return undefined;
  }

  #remove(path: string, actor: Actor): ErrorName | undefined {
    if (path === "/") return "EINVAL";
    const node = find(this.root, path);
    const parent = find(this.root, parentOf(path));
    if (node === undefined)
      return this.#absent(path, actor, access.write) === "EACCES"
        ? "EACCES"
        : parent === undefined
          ? "ENOENT"
          : undefined;
    if (!this.#may(node, actor, access.write)) return "EACCES";
    this.root = replace(this.root, path, undefined, this.#rules.generation());
    const above = parent === undefined ? [] : [parent.permissions];
    for (const [at, each] of everything(node, path)) {
      this.#own(at, each.permissions[0].domain, -1);
      this.changes.push({ path: at, readable: [each.permissions, ...above], isBelow: at !== path });
    }
    return undefined;
  }

  #permit(path: string, permissions: Permissions, actor: Actor): ErrorName | undefined {
    const node = find(this.root, path);
    if (node === undefined) return this.#absent(path, actor, access.write);
    if (!this.#may(node, actor, access.write | asOwner)) return "EACCES";
    const before = node.permissions[0].domain;
    const after = permissions[0].domain;
    if (!actor.privileged) {
      if (permissions.length > this.#rules.most("permissions", actor.domain)) return "ENOSPC";
      if (after !== before) return "EPERM";
    }
    this.#put(path, { ...node, permissions });
    if (after !== before) this.#own(path, before, after);
    this.#changed(path, permissions, node.permissions);
    return undefined;
  }

  /** What is said of a node that is not there: whoever may not look at its parent does not learn it. */
  #absent(path: string, actor: Actor, wanted: number): ErrorName {
    return absence(this.root, path, actor, wanted, this.#rules.lifeOf);
  }

  #put(path: string, node: Node): void {
    this.root = path === "/" ? node : replace(this.root, path, node, this.#rules.generation());
  }

  #changed(path: string, permissions: Permissions, before?: Permissions): void {
    const parent = find(this.root, parentOf(path));
    const readable = [permissions];
    if (parent !== undefined) readable.push(parent.permissions);
    if (before !== undefined) readable.push(before);
    this.changes.push({ path, readable, isBelow: false });
  }

  #own(path: string, before: number, after: number): void {
    this.ownerships.push({ path, before, after });
    if (before >= 0) this.#count(before, -1);
    if (after >= 0) this.#count(after, 1);
  }

  #count(domain: number, by: number): void {
    this.#more.set(domain, (this.#more.get(domain) ?? 0) + by);
    this.#added += by;
  }

  #hasRoom(owner: number, wanted: number, actor: Actor): boolean {
    const { limits, size } = this.#rules;
    if (size + this.#added + wanted > limits.nodes) return false;
    if (actor.privileged) return true;
    return this.#rules.owned(owner) + (this.#more.get(owner) ?? 0) + wanted <= this.#rules.most("nodes", owner);
  }
}

/** What is said of a node that is not there: `EACCES` to whoever may not do `wanted` with what is nearest above it. */
export function absence(root: Node, path: string, actor: Actor, wanted: number, lifeOf: LifeOf): "ENOENT" | "EACCES" {
  let above = path;
  for (;;) {
    above = parentOf(above);
    const node = find(root, above);
    if (node !== undefined) return isAllowed(node.permissions, actor, wanted, lifeOf) ? "ENOENT" : "EACCES";
  }
}
