import type { PersistentMap } from "./persistent-map.ts";
import type { Permissions } from "./permissions.ts";

/** A node of the tree. It never changes: a change makes another, and others of all its parents. */
export interface Node {
  readonly value: Uint8Array;
  readonly permissions: Permissions;
  readonly children: PersistentMap<Node>;
  /** Changes whenever a child comes or goes: unique in the life of the store. */
  readonly generation: number;
}

/** The node at a path; undefined when there is none. */
export function find(root: Node, path: string): Node | undefined {
  let node: Node | undefined = root;
  for (let from = 1; from < path.length;) {
    const to = endOfName(path, from);
    node = node.children.get(path.slice(from, to));
    if (node === undefined) return undefined;
    from = to + 1;
  }
  return node;
}

/** Where the name ends that begins at `from`. */
function endOfName(path: string, from: number): number {
  const slash = path.indexOf("/", from);
  return slash < 0 ? path.length : slash;
}

/**
 * The tree with `node` at `path`, whose parent exists; undefined takes the node and all below it away.
 *
 * @param generation for the parent, when a child comes or goes
 */
export function replace(root: Node, path: string, node: Node | undefined, generation: number): Node {
  return within(root, path, 1, node, generation) ?? root;
}

/** @param from where the name of a child of `at` begins; beyond the path's end: `at` is what is replaced */
function within(at: Node, path: string, from: number, node: Node | undefined, generation: number): Node | undefined {
  if (from >= path.length) return node;
  const to = endOfName(path, from);
  const name = path.slice(from, to);
  const child = at.children.get(name);
  if (child === undefined && to < path.length) return at;
  const changed = child === undefined ? node : within(child, path, to + 1, node, generation);
  const children = changed === undefined ? at.children.without(name) : at.children.with(name, changed);
  const cameOrWent = (child === undefined) !== (changed === undefined);
  const { value, permissions } = at;
  return { value, permissions, children, generation: cameOrWent ? generation : at.generation };
}

/** All nodes at and below a path, parents first, with their paths. */
export function* everything(root: Node, path: string): IterableIterator<readonly [string, Node]> {
  const pending: [string, Node][] = [[path, root]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    yield next;
    const [above, node] = next;
    const prefix = above === "/" ? "" : above;
    for (const [name, child] of node.children) pending.push([`${prefix}/${name}`, child]);
  }
}
