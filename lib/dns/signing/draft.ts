import type { NameKey } from "../authoritative/name-key.ts";
import { none } from "../authoritative/name-tree.ts";
import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { lowerName, nameToText } from "../name-bytes.ts";
import type { WireRecord } from "../wire-record.ts";

/** Names, each once. */
export class NameSet implements Iterable<Uint8Array> {
  readonly #names = new Map<string, Uint8Array>();

  add(owner: Uint8Array): void {
    const lower = lowerName(owner);
    this.#names.set(nameToText(lower), lower);
  }

  [Symbol.iterator](): IterableIterator<Uint8Array> {
    return this.#names.values();
  }
}

/** A zone that is being changed step by step, and the names that were. */
export class Draft {
  zone: Zone;
  readonly owners = new NameSet();
  #pending: ZoneChange[] = [];

  constructor(zone: Zone, changes: readonly ZoneChange[]) {
    this.zone = zone;
    this.add(changes);
    this.flush();
  }

  add(changes: Iterable<ZoneChange>): void {
    for (const change of changes) {
      this.owners.add(change.record.owner);
      this.#pending.push(change);
    }
  }

  remove(records: Iterable<WireRecord>): void {
    for (const record of records) this.add([{ kind: "remove", record }]);
  }

  put(records: Iterable<WireRecord>): void {
    for (const record of records) this.add([{ kind: "add", record }]);
  }

  /** Makes {@link zone} what was added. */
  flush(): void {
    if (this.#pending.length > 0) this.zone = this.zone.update(this.#pending);
    this.#pending = [];
  }
}

/** The nodes with records below a name. @param key of the name */
export function* nodesBelow(zone: Zone, node: number, key: NameKey): Generator<number, undefined> {
  const { names } = zone;
  let from = names.order.rank(names, key, key.labels);
  for (;;) {
    const nodes = names.order.slice(from, 256);
    if (nodes.length === 0) return undefined;
    for (const each of nodes) {
      let above = names.parent(each);
      while (above !== none && above !== node) above = names.parent(above);
      if (above === none) return undefined;
      yield each;
    }
    from += nodes.length;
  }
}
