import type { Clock } from "@tesserae/device/clock";
import { expiryOf, type Kept } from "./kept.ts";
import { isWithin, parentKey, rootKey } from "./name-key.ts";
import { type Rrset, typeCode } from "./rrset.ts";

/** RFC 8767 §5: how long what has expired is kept for bad times, milliseconds. */
const staleFor = 86_400_000;
/** The key's type of what holds for all types of a name. */
const allTypes = 0;

interface Slot {
  readonly key: string;
  kept: Kept;
  bytes: number;
  isProtected: boolean;
}

/**
 * What was learnt, by name and type, within a bound in bytes.
 *
 * New things are on probation; what is asked for again is protected. Room is made among those on probation, the one
 * used longest ago first, so that names made up by one client, each asked for once, push out nothing but each other.
 */
export class Store {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #top: (name: string) => string;
  /** In order of use. */
  readonly #probation = new Map<string, Slot>();
  readonly #protected = new Map<string, Slot>();
  #bytes = 0;
  #protectedBytes = 0;
  /** How many DNAME records there are: mostly none, and then they need not be looked for above every name. */
  #dnames = 0;

  /** @param top the zone of a name above which nothing says anything of it: the root's key, mostly */
  constructor(clock: Clock, capacity: number, top: (name: string) => string = () => rootKey) {
    this.#clock = clock;
    this.#capacity = capacity;
    this.#top = top;
  }

  get size(): number {
    return this.#probation.size + this.#protected.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What is known and valid: of this type, or for all types; or a CNAME record; or a DNAME record above. */
  find(name: string, type: number): Kept | undefined {
    const exact = this.#fresh(name, type) ?? this.#fresh(name, allTypes);
    if (exact !== undefined) return exact;
    if (type !== typeCode.CNAME && type !== typeCode.DS) {
      const alias = this.#fresh(name, typeCode.CNAME);
      if (alias?.kind === "positive") return alias;
    }
    const top = this.#top(name);
    for (let above = name; above !== top && above !== rootKey;) {
      above = parentKey(above);
      // RFC 8020: what is below a name that does not exist does not exist; believed when it is signed.
      const none = this.#fresh(above, allTypes);
      if (none?.security === "secure" && none.kind === "no-name") return none;
      if (this.#dnames === 0) continue;
      const dname = this.#fresh(above, typeCode.DNAME);
      if (dname?.kind === "positive") return dname;
    }
    return undefined;
  }

  /** The same whether or not it has expired, for {@link staleFor} at most. */
  findStale(name: string, type: number): Kept | undefined {
    const kept = [type, typeCode.CNAME, allTypes].map((each) => this.#slot(name, each)?.kept);
    return kept.find((each) => each !== undefined && each.kind !== "failed" && each.security !== "bogus");
  }

  put(kept: Kept): void {
    const type = kept.kind === "no-name" ? allTypes : kept.kind === "positive" ? typeOf(kept) : kept.type;
    // A DNAME record is kept where it is, above the name that was asked for.
    const key = keyFor(type === typeCode.DNAME ? (kept.rrset?.name ?? kept.name) : kept.name, type);
    const bytes = sizeOf(kept);
    const old = this.#probation.get(key) ?? this.#protected.get(key);
    // What has failed does not replace what may still serve when it is stale.
    if (old !== undefined && kept.kind === "failed" && old.kept.kind !== "failed") {
      this.#insert(`failed ${key}`, kept, bytes, false);
      return;
    }
    if (kept.kind !== "failed") this.#drop(`failed ${key}`);
    if (old !== undefined) this.#drop(key);
    this.#insert(key, kept, bytes, old?.isProtected === true);
  }

  /** Forgets everything at the name and below it. */
  flush(name: string): void {
    for (const key of [...this.#probation.keys(), ...this.#protected.keys()]) {
      if (isWithin(key.slice(key.lastIndexOf(" ") + 1), name)) this.#drop(key);
    }
  }

  #fresh(name: string, type: number): Kept | undefined {
    const key = keyFor(name, type);
    const slot = this.#use(key);
    if (slot !== undefined && this.#clock.now() < expiryOf(slot.kept)) return slot.kept;
    const failed = this.#use(`failed ${key}`);
    return failed !== undefined && this.#clock.now() < expiryOf(failed.kept) ? failed.kept : undefined;
  }

  #slot(name: string, type: number): Slot | undefined {
    const key = keyFor(name, type);
    const slot = this.#probation.get(key) ?? this.#protected.get(key);
    if (slot === undefined || this.#clock.now() < expiryOf(slot.kept) + staleFor) return slot;
    this.#drop(key);
    return undefined;
  }

  #use(key: string): Slot | undefined {
    let slot = this.#protected.get(key);
    if (slot !== undefined) {
      this.#protected.delete(key);
      this.#protected.set(key, slot);
      return slot;
    }
    slot = this.#probation.get(key);
    if (slot === undefined) return undefined;
    this.#probation.delete(key);
    this.#protect(slot);
    return slot;
  }

  #protect(slot: Slot): void {
    slot.isProtected = true;
    this.#protected.set(slot.key, slot);
    this.#protectedBytes += slot.bytes;
    // Three quarters are protected; who is pushed out of there is on probation again.
    for (const [key, oldest] of this.#protected) {
      if (this.#protectedBytes <= this.#capacity * 0.75) break;
      this.#protected.delete(key);
      this.#protectedBytes -= oldest.bytes;
      oldest.isProtected = false;
      this.#probation.set(key, oldest);
    }
  }

  #insert(key: string, kept: Kept, bytes: number, isProtected: boolean): void {
    if (bytes > this.#capacity) return;
    this.#drop(key);
    const slot: Slot = { key, kept, bytes, isProtected };
    this.#bytes += bytes;
    if (kept.rrset?.type === typeCode.DNAME) this.#dnames++;
    if (isProtected) this.#protect(slot);
    else this.#probation.set(key, slot);
    for (const table of [this.#probation, this.#protected]) {
      for (const oldest of table.keys()) {
        if (this.#bytes <= this.#capacity) return;
        if (oldest !== key) this.#drop(oldest);
      }
    }
  }

  #drop(key: string): void {
    const slot = this.#probation.get(key) ?? this.#protected.get(key);
    if (slot === undefined) return;
    this.#probation.delete(key);
    this.#protected.delete(key);
    this.#bytes -= slot.bytes;
    if (slot.isProtected) this.#protectedBytes -= slot.bytes;
    if (slot.kept.rrset?.type === typeCode.DNAME) this.#dnames--;
  }
}

/** CNAME and DNAME records are kept for what they are, whatever was asked for. */
function typeOf({ rrset, type }: Kept): number {
  return type === typeCode.ANY ? type : (rrset?.type ?? type);
}

function keyFor(name: string, type: number): string {
  return `${type} ${name}`;
}

function sizeOf({ name, rrset, more, proof }: Kept): number {
  let bytes = 300 + 2 * name.length;
  for (const set of [...(rrset === undefined ? [] : [rrset]), ...more, ...proof]) bytes += sizeOfSet(set);
  return bytes;
}

function sizeOfSet({ name, data, signatures }: Rrset): number {
  let bytes = 120 + name.length;
  for (const each of [...data, ...signatures]) bytes += 100 + each.length;
  return bytes;
}
