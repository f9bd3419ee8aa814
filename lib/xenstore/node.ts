import { namesOf } from "./path.ts";
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
  for (const name of namesOf(path)) {
    node = node.children.get(name);
    if (node === undefined) return undefined;
  }
  return node;
}

/**
 * The tree with `node` at `path`, whose parent exists; undefined takes the node and all below it away.
 *
 * @param generation for the parent, when a child comes or goes
 */
export function replace(root: Node, path: string, node: Node | undefined, generation: number): Node {
  return within(root, namesOf(path), 0, node, generation) ?? root;
}

function within(
  at: Node,
  names: readonly string[],
  depth: number,
  node: Node | undefined,
  generation: number,
): Node | undefined {
  const name = names[depth];
  if (name === undefined) return node;
  const child = at.children.get(name);
  if (child === undefined && depth < names.length - 1) return at;
  const changed = child === undefined ? node : within(child, names, depth + 1, node, generation);
  const children = changed === undefined ? at.children.without(name) : at.children.with(name, changed);
  const cameOrWent = (child === undefined) !== (changed === undefined);
  return { ...at, children, generation: cameOrWent ? generation : at.generation };
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
