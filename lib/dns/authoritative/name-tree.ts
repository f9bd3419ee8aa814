import { ByteArena } from "./byte-arena.ts";
import { IntPages } from "./int-pages.ts";
import { compareKeys, type NameKey } from "./name-key.ts";
import { NameOrder } from "./name-order.ts";
import { i32At, u8At } from "./octets.ts";

/** No node. */
export const none = -1;

/** What is known of a node without looking at its records. */
export const nodeFlag = {
  /** It has records. Others are there because of names below them (empty non-terminals), or not at all. */
  data: 1,
  /** It has NS records, and is not the apex: what is at it and below belongs to somebody else (RFC 1034 §4.2). */
  cut: 2,
  /** It has a DNAME record (RFC 6672): there is nothing below it. */
  alias: 4,
  /** It has an NSEC record. */
  nsec: 8,
} as const;

/** Fields of a node, as offsets into its words. */
const field = { hash: 0, name: 1, block: 2, parent: 3, flags: 4, children: 5, wildcard: 6, link: 7 } as const;
const nodeWords = 8;
/**
 * A slot has the node's number and, in front, some bits of its hash: nodes that are passed on the way to another, or to
 * none, need not be looked at.
 */
const nodeMask = 2 ** 26 - 1;
/** All but the number that would be {@link none} with its bits of hash. */
const mostNodes = nodeMask;

/**
 * The names of a zone: an open-addressed hash over their keys, a node of 32 bytes for each, and their canonical order.
 *
 * Node 0 is the apex. Each name above a node, up to the apex, is a node too. Nodes are never taken out: one without
 * records and children is as good as absent ({@link exists}), and comes back when its name does.
 *
 * Keys in here are relative to the apex: what follows the first `apexLength` bytes of a {@link NameKey}.
 */
export class NameTree {
  /** Labels of the apex, and the length of its key, bytes. */
  readonly apexLabels: number;
  readonly apexLength: number;
  readonly arena: ByteArena;
  readonly #nodes: IntPages;
  #slots: IntPages;
  /** How many slots, less one; a power of two less one. */
  #mask: number;
  /** Nodes, absent ones too. */
  count: number;
  /** The most labels that a name has had. */
  depth: number;
  /** Nodes with records, in canonical order. */
  readonly order: NameOrder;

  constructor(apex: NameKey, from?: NameTree) {
    this.apexLabels = apex.labels;
    this.apexLength = apex.length;
    if (from !== undefined) {
      this.arena = from.arena.fork();
      this.#nodes = from.#nodes.fork();
      this.#slots = from.#slots.fork();
      this.#mask = from.#mask;
      this.count = from.count;
      this.depth = from.depth;
      this.order = from.order.fork();
      return;
    }
    this.arena = new ByteArena();
    this.#nodes = new IntPages(nodeWords);
    this.#slots = new IntPages(8, none);
    this.#mask = 7;
    this.count = 0;
    this.depth = apex.labels;
    this.order = new NameOrder();
    this.#add(apex, apex.labels, none);
  }

  /** A copy to change; this must not be changed any more. */
  fork(apex: NameKey): NameTree {
    return new NameTree(apex, this);
  }

  block(node: number): number {
    return this.#nodes.get(node * nodeWords + field.block);
  }

  setBlock(node: number, address: number): void {
    this.#nodes.set(node * nodeWords + field.block, address);
  }

  /** The node above; {@link none} for the apex. */
  parent(node: number): number {
    return this.#nodes.get(node * nodeWords + field.parent);
  }

  flags(node: number): number {
    return this.#nodes.get(node * nodeWords + field.flags);
  }

  /** How many of the nodes right below exist. */
  children(node: number): number {
    return this.#nodes.get(node * nodeWords + field.children);
  }

  /** The node of `*` below this one, which may be absent; {@link none} when there never was one. */
  wildcard(node: number): number {
    return this.#nodes.get(node * nodeWords + field.wildcard) - 1;
  }

  /** A number that goes with a node, for whoever has a use for it; 0 at first. */
  link(node: number): number {
    return this.#nodes.get(node * nodeWords + field.link);
  }

  setLink(node: number, value: number): void {
    this.#nodes.set(node * nodeWords + field.link, value);
  }

  /** Whether there is such a name: records at it or below. */
  exists(node: number): boolean {
    return node === 0 || (this.flags(node) & nodeFlag.data) !== 0 || this.children(node) > 0;
  }

  /** Where the key of a node is in the arena: a byte of length, and the key. */
  name(node: number): number {
    return this.#nodes.get(node * nodeWords + field.name);
  }

  /** The node of the first `labels` labels of `key`, which are in the zone; absent ones too. {@link none} if none. */
  find(key: NameKey, labels: number): number {
    const hash = i32At(key.hashes, labels);
    const at = this.apexLength;
    const length = i32At(key.ends, labels) - at;
    const mask = this.#mask;
    const wanted = hash & ~nodeMask;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = this.#slots.get(slot);
      if (found === none) return none;
      if ((found & ~nodeMask) !== wanted) continue;
      const node = found & nodeMask;
      if (this.#nodes.get(node * nodeWords + field.hash) !== hash) continue;
      const name = this.#nodes.get(node * nodeWords + field.name);
      const chunk = this.arena.chunk(name);
      const position = this.arena.position(name);
      if (u8At(chunk, position) !== length) continue;
      let index = 0;
      while (index < length && u8At(chunk, position + 1 + index) === u8At(key.bytes, at + index)) index++;
      if (index === length) return node;
    }
  }

  /** As {@link find}, but makes the node, and those above it, when they are not there. */
  insert(key: NameKey): number {
    const found = this.find(key, key.labels);
    if (found !== none) return found;
    // The lowest that is there; the apex always is.
    let labels = key.labels - 1;
    let node = this.find(key, labels);
    while (node === none) node = this.find(key, --labels);
    while (labels < key.labels) node = this.#add(key, ++labels, node);
    if (key.labels > this.depth) this.depth = key.labels;
    return node;
  }

  /**
   * Says what a node has, and brings the order and the counts above it up to date.
   *
   * @param keepOrder whether the order is brought up to date; else who calls sets it as a whole
   */
  setFlags(node: number, flags: number, keepOrder: boolean): void {
    const before = this.exists(node);
    const had = (this.flags(node) & nodeFlag.data) !== 0;
    const has = (flags & nodeFlag.data) !== 0;
    this.#nodes.set(node * nodeWords + field.flags, flags);
    if (keepOrder && had !== has) {
      if (has) this.order.insert(this, node);
      else this.order.remove(this, node);
    }
    // Whether a name exists depends on those below, so a change may go all the way up.
    for (let at = node, was = before; this.exists(at) !== was;) {
      const parent = this.parent(at);
      if (parent === none) return;
      const parentWas = this.exists(parent);
      this.#nodes.set(parent * nodeWords + field.children, this.children(parent) + (was ? -1 : 1));
      at = parent;
      was = parentWas;
    }
  }

  /** Compares two nodes in canonical order. */
  compare(a: number, b: number): number {
    const aName = this.name(a);
    const bName = this.name(b);
    const aChunk = this.arena.chunk(aName);
    const bChunk = this.arena.chunk(bName);
    const aAt = this.arena.position(aName);
    const bAt = this.arena.position(bName);
    return compareKeys(aChunk, aAt + 1, u8At(aChunk, aAt), bChunk, bAt + 1, u8At(bChunk, bAt));
  }

  /** Compares a node with the first `labels` labels of `key` in canonical order: negative when the node comes first. */
  compareKey(node: number, key: NameKey, labels: number): number {
    const name = this.name(node);
    const chunk = this.arena.chunk(name);
    const at = this.arena.position(name);
    const length = i32At(key.ends, labels) - this.apexLength;
    return compareKeys(chunk, at + 1, u8At(chunk, at), key.bytes, this.apexLength, length);
  }

  #add(key: NameKey, labels: number, parent: number): number {
    if (this.count >= mostNodes) throw new RangeError(`a zone has more than ${mostNodes} names`);
    const node = this.count++;
    const start = this.apexLength;
    const length = i32At(key.ends, labels) - start;
    const name = this.arena.allocate(length + 1);
    const chunk = this.arena.chunk(name);
    const position = this.arena.position(name);
    chunk[position] = length;
    for (let index = 0; index < length; index++) chunk[position + 1 + index] = u8At(key.bytes, start + index);
    this.#nodes.grow(this.count * nodeWords);
    const at = node * nodeWords;
    this.#nodes.set(at + field.hash, i32At(key.hashes, labels));
    this.#nodes.set(at + field.name, name);
    this.#nodes.set(at + field.parent, parent);
    if (this.count * 3 > (this.#mask + 1) * 2) this.#rehash();
    else this.#link(node);
    const label = labels === 0 ? 0 : i32At(key.ends, labels - 1);
    if (parent !== none && u8At(key.bytes, label) === 1 && u8At(key.bytes, label + 1) === 0x2a) {
      this.#nodes.set(parent * nodeWords + field.wildcard, node + 1);
    }
    return node;
  }

  #link(node: number): void {
    const hash = this.#nodes.get(node * nodeWords + field.hash);
    let slot = hash & this.#mask;
    while (this.#slots.get(slot) !== none) slot = (slot + 1) & this.#mask;
    this.#slots.set(slot, (hash & ~nodeMask) | node);
  }

  #rehash(): void {
    const slots = (this.#mask + 1) * 2;
    this.#slots = new IntPages(slots, none);
    this.#mask = slots - 1;
    for (let node = 0; node < this.count; node++) this.#link(node);
  }
}
