/**
 * A map from text to values that never changes: setting and deleting give another map, which shares all but a path of
 * nodes with it. Weight-balanced trees (Adams 1992; the parameters are Hirai and Yamamoto's, 2011): every operation
 * looks at a number of keys that is logarithmic in the size.
 */

interface Branch<T> {
  readonly key: string;
  readonly value: T;
  readonly size: number;
  readonly left: Branch<T> | undefined;
  readonly right: Branch<T> | undefined;
}

const delta = 3;
const gamma = 2;

type Tree<T> = Branch<T> | undefined;

function sizeOf<T>(tree: Tree<T>): number {
  return tree === undefined ? 0 : tree.size;
}

function join<T>(key: string, value: T, left: Tree<T>, right: Tree<T>): Branch<T> {
  return { key, value, size: sizeOf(left) + sizeOf(right) + 1, left, right };
}

function isHeavy<T>(tree: Tree<T>, other: Tree<T>): boolean {
  return sizeOf(tree) + 1 > delta * (sizeOf(other) + 1);
}

/** Joins two trees whose weights are out of balance by one insertion or deletion at most. */
function balance<T>(key: string, value: T, left: Tree<T>, right: Tree<T>): Branch<T> {
  if (right !== undefined && isHeavy(right, left)) {
    const inner = right.left;
    if (inner === undefined || sizeOf(inner) + 1 < gamma * (sizeOf(right.right) + 1)) {
      return join(right.key, right.value, join(key, value, left, inner), right.right);
    }
    const outer = join(right.key, right.value, inner.right, right.right);
    return join(inner.key, inner.value, join(key, value, left, inner.left), outer);
  }
  if (left !== undefined && isHeavy(left, right)) {
    const inner = left.right;
    if (inner === undefined || sizeOf(inner) + 1 < gamma * (sizeOf(left.left) + 1)) {
      return join(left.key, left.value, left.left, join(key, value, inner, right));
    }
    const outer = join(left.key, left.value, left.left, inner.left);
    return join(inner.key, inner.value, outer, join(key, value, inner.right, right));
  }
  return join(key, value, left, right);
}

function insert<T>(tree: Tree<T>, key: string, value: T): Branch<T> {
  if (tree === undefined) return join(key, value, undefined, undefined);
  if (key === tree.key) return join(key, value, tree.left, tree.right);
  return key < tree.key
    ? balance(tree.key, tree.value, insert(tree.left, key, value), tree.right)
    : balance(tree.key, tree.value, tree.left, insert(tree.right, key, value));
}

function withoutLeast<T>(tree: Branch<T>): Tree<T> {
  return tree.left === undefined ? tree.right : balance(tree.key, tree.value, withoutLeast(tree.left), tree.right);
}

function least<T>(tree: Branch<T>): Branch<T> {
  let at = tree;
  while (at.left !== undefined) at = at.left;
  return at;
}

function remove<T>(tree: Tree<T>, key: string): Tree<T> {
  if (tree === undefined) return undefined;
  if (key < tree.key) return balance(tree.key, tree.value, remove(tree.left, key), tree.right);
  if (key > tree.key) return balance(tree.key, tree.value, tree.left, remove(tree.right, key));
  if (tree.left === undefined) return tree.right;
  if (tree.right === undefined) return tree.left;
  const next = least(tree.right);
  return balance(next.key, next.value, tree.left, withoutLeast(tree.right));
}

export class PersistentMap<T> {
  readonly #root: Tree<T>;

  private constructor(root: Tree<T>) {
    this.#root = root;
  }

  static empty<T>(): PersistentMap<T> {
    return new PersistentMap<T>(undefined);
  }

  get size(): number {
    return sizeOf(this.#root);
  }

  get(key: string): T | undefined {
    let at = this.#root;
    while (at !== undefined && at.key !== key) at = key < at.key ? at.left : at.right;
    return at?.value;
  }

  with(key: string, value: T): PersistentMap<T> {
    return new PersistentMap(insert(this.#root, key, value));
  }

  /** Itself when the key is not there. */
  without(key: string): PersistentMap<T> {
    return this.get(key) === undefined ? this : new PersistentMap(remove(this.#root, key));
  }

  /** In the order of the keys' UTF-16 units. */
  *[Symbol.iterator](): IterableIterator<readonly [string, T]> {
    const above: Branch<T>[] = [];
    let at = this.#root;
    while (at !== undefined || above.length > 0) {
      for (; at !== undefined; at = at.left) above.push(at);
      const branch = above.pop();
      if (branch === undefined) return;
      yield [branch.key, branch.value];
      at = branch.right;
    }
  }
}
