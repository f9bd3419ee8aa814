import type { NameKey } from "./name-key.ts";
import type { NameTree } from "./name-tree.ts";
import { i32At } from "./octets.ts";
import type { Steps } from "./steps.ts";

/** A chunk is cut in two above this. */
const mostInChunk = 1024;

/**
 * Nodes of a tree in canonical order, in sorted chunks: a changed copy shares the chunks that did not change.
 */
export class NameOrder {
  #chunks: Int32Array[] = [];
  /** How many nodes. */
  length = 0;

  fork(): NameOrder {
    const copy = new NameOrder();
    copy.#chunks = [...this.#chunks];
    copy.length = this.length;
    return copy;
  }

  /** Takes nodes that are in order already. */
  assign(nodes: Int32Array): void {
    this.#chunks = [];
    this.length = nodes.length;
    for (let at = 0; at < nodes.length; at += mostInChunk / 2) {
      this.#chunks.push(nodes.slice(at, Math.min(nodes.length, at + mostInChunk / 2)));
    }
  }

  /** All of them, in order, as they are now. */
  *[Symbol.iterator](): Generator<number, undefined> {
    for (const chunk of this.#chunks) yield* chunk;
    return undefined;
  }

  /** All of them, as one array. */
  toArray(): Int32Array {
    const nodes = new Int32Array(this.length);
    let at = 0;
    for (const chunk of this.#chunks) {
      nodes.set(chunk, at);
      at += chunk.length;
    }
    return nodes;
  }

  /**
   * The last node that does not come after the first `labels` labels of `key`; −1 when all do.
   */
  atOrBefore(tree: NameTree, key: NameKey, labels: number): number {
    // The last chunk whose first is not after the key.
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (tree.compareKey(this.#at(middle, 0), key, labels) <= 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return -1;
    const chunk = low - 1;
    low = 1;
    high = (this.#chunks[chunk] as Int32Array).length; // as: the search stayed inside
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (tree.compareKey(this.#at(chunk, middle), key, labels) <= 0) low = middle + 1;
      else high = middle;
    }
    return this.#at(chunk, low - 1);
  }

  /** How many nodes do not come after the first `labels` labels of `key`. */
  rank(tree: NameTree, key: NameKey, labels: number): number {
    const node = this.atOrBefore(tree, key, labels);
    if (node < 0) return 0;
    const chunk = this.#chunkOf(tree, node);
    let rank = this.#position(tree, this.#chunks[chunk] as Int32Array, node) + 1; // as: the node is in it
    for (let before = 0; before < chunk; before++) rank += (this.#chunks[before] as Int32Array).length; // as: below
    return rank;
  }

  /** Up to `count` nodes, from the one on that `from` others come before. */
  slice(from: number, count: number): Int32Array {
    const nodes = new Int32Array(Math.max(0, Math.min(count, this.length - from)));
    let filled = 0;
    let first = 0;
    for (const chunk of this.#chunks) {
      if (filled === nodes.length) break;
      if (first + chunk.length > from) {
        const part = chunk.subarray(Math.max(0, from - first), Math.max(0, from - first) + nodes.length - filled);
        nodes.set(part, filled);
        filled += part.length;
      }
      first += chunk.length;
    }
    return nodes;
  }

  /** The last of all; −1 when there is none. */
  last(): number {
    return this.#chunks.at(-1)?.at(-1) ?? -1;
  }

  insert(tree: NameTree, node: number): void {
    this.length++;
    const index = this.#chunkOf(tree, node);
    const chunk = this.#chunks[index];
    if (chunk === undefined) {
      this.#chunks.push(Int32Array.of(node));
      return;
    }
    const at = this.#position(tree, chunk, node);
    const longer = new Int32Array(chunk.length + 1);
    longer.set(chunk.subarray(0, at));
    longer[at] = node;
    longer.set(chunk.subarray(at), at + 1);
    if (longer.length <= mostInChunk) this.#chunks[index] = longer;
    else this.#chunks.splice(index, 1, longer.slice(0, mostInChunk / 2), longer.slice(mostInChunk / 2));
  }

  remove(tree: NameTree, node: number): void {
    const index = this.#chunkOf(tree, node);
    const chunk = this.#chunks[index];
    if (chunk === undefined) return;
    const at = this.#position(tree, chunk, node);
    if (chunk[at] !== node) return;
    this.length--;
    if (chunk.length === 1) this.#chunks.splice(index, 1);
    else this.#chunks[index] = chunk.filter((each) => each !== node);
  }

  #at(chunk: number, index: number): number {
    return i32At(this.#chunks[chunk] as Int32Array, index); // as: who asks has looked
  }

  /** The chunk that a node belongs into. */
  #chunkOf(tree: NameTree, node: number): number {
    let low = 1;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (tree.compare(this.#at(middle, 0), node) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Where a node is in a chunk, or belongs. */
  #position(tree: NameTree, chunk: Int32Array, node: number): number {
    let low = 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (tree.compare(i32At(chunk, middle), node) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Nodes that are compared in one step. */
const nodesInStep = 4096;

/** Sorts nodes of a tree into canonical order. Costs one pass when they are in order already. */
export function* sortNodes(tree: NameTree, nodes: Int32Array): Steps<Int32Array> {
  let isSorted = true;
  for (let at = 1; at < nodes.length && isSorted; at++) {
    isSorted = tree.compare(i32At(nodes, at - 1), i32At(nodes, at)) < 0;
    if (at % nodesInStep === 0) yield;
  }
  if (isSorted) return nodes;
  // Merging runs of 1, 2, 4 … nodes.
  let from: Int32Array = nodes;
  let into: Int32Array = new Int32Array(nodes.length);
  for (let width = 1; width < nodes.length; width *= 2) {
    for (let start = 0; start < nodes.length; start += 2 * width) {
      const middle = Math.min(start + width, nodes.length);
      const end = Math.min(start + 2 * width, nodes.length);
      let left = start;
      let right = middle;
      for (let at = start; at < end; at++) {
        const isLeft = left < middle && (right >= end || tree.compare(i32At(from, left), i32At(from, right)) <= 0);
        into[at] = isLeft ? i32At(from, left++) : i32At(from, right++);
        if (at % nodesInStep === nodesInStep - 1) yield;
      }
    }
    [from, into] = [into, from];
  }
  return from;
}
