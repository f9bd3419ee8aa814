import type { Draft, Ownership, Rules } from "./draft.ts";
import type { Limits } from "./limits.ts";
import type { Effects } from "./journal.ts";
import { everything, find, replace, type Node } from "./node.ts";
import { access, printPermission, type Permission, type Permissions } from "./permissions.ts";
import { PersistentMap } from "./persistent-map.ts";
import { parentOf, type SpecialPath } from "./path.ts";
import { Quotas, type QuotaName } from "./quotas.ts";
import type { SavedNode } from "./state.ts";
import { Watches } from "./watches.ts";

const nobody = new Uint8Array(0);

/** Domain 0's, and nobody else's. */
const closed: Permissions = [{ domain: 0, life: 0, access: access.none }];

/** The tree, who owns how much of it, and who watches it. */
export class Store implements Rules {
  readonly limits: Limits;
  readonly quotas: Quotas;
  readonly watches: Watches;
  /** Who hears of the events that have no node. */
  readonly special = new Map<SpecialPath, Permissions>([
    ["@introduceDomain", closed],
    ["@releaseDomain", closed],
  ]);
  /** Which domain each number means: it counts those that had it. Numbers that were never released are in life 0. */
  readonly #lives = new Map<number, number>();
  readonly #paths = new Map<number, Set<string>>();
  readonly lifeOf = (domain: number): number => this.#lives.get(domain) ?? 0;
  #root: Node;
  #size = 1;
  #generation = 1;

  constructor(limits: Limits) {
    this.limits = limits;
    this.quotas = new Quotas(limits);
    this.watches = new Watches(this.lifeOf);
    this.#root = { value: nobody, permissions: closed, children: PersistentMap.empty(), generation: 0 };
    this.#paths.set(0, new Set(["/"]));
  }

  most(quota: QuotaName, domain: number): number {
    return this.quotas.most(quota, domain);
  }

  get root(): Node {
    return this.#root;
  }

  get size(): number {
    return this.#size;
  }

  owned(domain: number): number {
    return this.#paths.get(domain)?.size ?? 0;
  }

  generation(): number {
    return this.#generation++;
  }

  /** Makes a draft of this tree the tree, and tells those who watch. */
  adopt(draft: Draft): void {
    this.#root = draft.root;
    for (const each of draft.ownerships) this.#own(each);
    for (const change of draft.changes) this.watches.fire(change);
  }

  #own({ path, before, after }: Ownership): void {
    if (before >= 0) {
      const paths = this.#paths.get(before);
      paths?.delete(path);
      if (paths?.size === 0) this.#paths.delete(before);
      this.#size--;
    }
    if (after >= 0) {
      const paths = this.#paths.get(after);
      if (paths === undefined) this.#paths.set(after, new Set([path]));
      else paths.add(path);
      this.#size++;
    }
  }

  /** Tells those who watch for the event, and may. */
  announce(path: SpecialPath): void {
    this.watches.fire({ path, readable: [this.special.get(path) ?? closed], isBelow: false });
  }

  /** All nodes, parents first. */
  *saved(): IterableIterator<SavedNode> {
    for (const [path, node] of everything(this.#root, "/")) yield this.#saved(path, node);
    for (const [path, permissions] of this.special) {
      if (permissions !== closed) yield { path, value: nobody, permissions: permissions.map(printPermission) };
    }
  }

  /** A node with permissions that are nobody's any more left out. */
  #saved(path: string, { value, permissions }: Node): SavedNode {
    const [owner, ...others] = permissions;
    const isAlive = ({ domain, life }: Permission): boolean => life === this.lifeOf(domain);
    const alive = [isAlive(owner) ? owner : { ...owner, domain: 0 }, ...others.filter(isAlive)];
    return { path, value, permissions: alive.map(printPermission) };
  }

  /** Tells what an adopted draft has changed: nodes as they are now, parents first. */
  tellEffects(draft: Draft, effects: Effects): void {
    const paths = new Set<string>();
    for (const { path } of draft.ownerships) paths.add(path);
    for (const { path } of draft.changes) paths.add(path);
    for (const path of paths.size > 1 ? [...paths].sort() : paths) {
      const node = find(draft.root, path);
      if (node === undefined) effects.gone(path);
      else effects.node(this.#saved(path, node));
    }
  }

  /** Takes a node and all below it away, and tells nobody. */
  unload(path: string): void {
    const node = find(this.#root, path);
    if (node === undefined || path === "/") return;
    for (const [at, { permissions }] of everything(node, path)) {
      this.#own({ path: at, before: permissions[0].domain, after: -1 });
    }
    this.#root = replace(this.#root, path, undefined, this.generation());
  }

  /** Puts a node where it was. False: its parent is not there. */
  load(path: string, value: Uint8Array, permissions: Permissions): boolean {
    const there = find(this.#root, path);
    if (there === undefined && find(this.#root, parentOf(path)) === undefined) return false;
    const children = there?.children ?? PersistentMap.empty<Node>();
    const node = { value, permissions, children, generation: this.generation() };
    this.#root = path === "/" ? node : replace(this.#root, path, node, this.generation());
    this.#own({ path, before: there === undefined ? -1 : there.permissions[0].domain, after: permissions[0].domain });
    return true;
  }

  /** What of the tree and of who owns it does not fit together; one line each, a hundred at most. */
  check(): string[] {
    const wrong: string[] = [];
    let count = 0;
    for (const [path, { permissions }] of everything(this.#root, "/")) {
      count++;
      const { domain } = permissions[0];
      if (this.#paths.get(domain)?.has(path) !== true) wrong.push(`${path} is not counted as domain ${domain}'s`);
      if (wrong.length >= 100) return wrong;
    }
    let owned = 0;
    for (const paths of this.#paths.values()) owned += paths.size;
    if (count !== owned) wrong.push(`${owned} nodes are somebody's, and ${count} are there`);
    if (count !== this.#size) wrong.push(`${this.#size} nodes are counted, and ${count} are there`);
    return wrong;
  }

  /** What a domain owns, in no order. */
  pathsOf(domain: number): readonly string[] {
    return [...(this.#paths.get(domain) ?? [])];
  }

  /** The domain is no more: whoever has its number from now on has none of its rights. */
  endLife(domain: number): void {
    this.quotas.forget(domain);
    this.#lives.set(domain, this.lifeOf(domain) + 1);
  }
}
