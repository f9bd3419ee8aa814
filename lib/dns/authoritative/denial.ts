import { NameKey, unkey } from "./name-key.ts";
import { nodeFlag, none } from "./name-tree.ts";
import { i32At, u8At } from "./octets.ts";
import { Sha1 } from "./sha1.ts";
import type { Nsec3Parameters, Zone } from "./zone.ts";

/** NSEC and NSEC3 records for one response: three for each name of a chain of aliases would do. */
const mostProofs = 24;
/** More is not asked of us for one name (RFC 9276 §3.2): then there is no proof. */
const mostIterations = 500;
const hashLabelLength = 32;
const digits = "0123456789abcdefghijklmnopqrstuv";
const base32 = Uint8Array.from(digits, (digit) => digit.charCodeAt(0));

/**
 * Collects the records that prove what is not there: NSEC (RFC 4035 §3.1.3) or NSEC3 (RFC 5155 §7.2), whichever the zone
 * is signed with; none when it is not signed. One object is used for ever.
 */
export class Denial {
  /** How many records there are. */
  count = 0;
  readonly #zones: (Zone | undefined)[] = new Array<Zone | undefined>(mostProofs).fill(undefined);
  /** Twice the node, plus 1 when it is one of the hashed names. */
  readonly #nodes = new Int32Array(mostProofs);
  readonly #key = new NameKey();
  readonly #sha1 = new Sha1();
  readonly #name = new Uint8Array(256);
  readonly #label = new Uint8Array(hashLabelLength + 2);
  readonly #hashed = new NameKey();

  clear(): void {
    this.count = 0;
  }

  zoneAt(index: number): Zone {
    return this.#zones[index] as Zone; // as: below `count`
  }

  nodeAt(index: number): number {
    return i32At(this.#nodes, index) >> 1;
  }

  isHashed(index: number): boolean {
    return (i32At(this.#nodes, index) & 1) !== 0;
  }

  /** There is no such name, and no wildcard for it. `labels`: of its closest encloser. */
  noName(zone: Zone, key: NameKey, labels: number): void {
    const wildcard = this.#key;
    if (zone.hasNsec) {
      this.#before(zone, key, key.labels);
      if (labels === zone.apexKey.labels) {
        // The same one for every name right below the apex, which most names that are not there are.
        const cover = (zone.apexWildcardCover = this.#ofApexWildcard(zone, key));
        if (cover >= 0) this.#add(zone, cover, 0);
      } else if (wildcard.wildcardOf(key, labels)) this.#before(zone, wildcard, labels + 1);
    } else if (zone.nsec3 !== undefined) {
      const closest = this.#provable(zone, zone.nsec3, key, labels);
      this.#covering(zone, zone.nsec3, key, closest + 1);
      if (wildcard.wildcardOf(key, closest)) this.#covering(zone, zone.nsec3, wildcard, closest + 1);
    }
  }

  /**
   * Adds the NSEC3 record of the closest encloser that has one: names that are there only because of delegations that
   * are left out (RFC 5155 §6) have none. Its labels.
   */
  #provable(zone: Zone, nsec3: Nsec3Parameters, key: NameKey, labels: number): number {
    let level = labels;
    while (!this.#matching(zone, nsec3, key, level) && level > zone.apexKey.labels) level--;
    return level;
  }

  /** There is such a name, but no record of the type. */
  noData(zone: Zone, node: number, key: NameKey): void {
    if (zone.hasNsec) {
      if ((zone.names.flags(node) & nodeFlag.nsec) !== 0) this.#add(zone, node, 0);
      else this.#before(zone, key, key.labels);
    } else if (zone.nsec3 !== undefined) {
      this.#closest(zone, zone.nsec3, key, key.labels);
    }
  }

  /** A wildcard answers, and nothing is closer to the name. `labels`: of the closest encloser. */
  noCloser(zone: Zone, key: NameKey, labels: number): void {
    if (zone.hasNsec) this.#before(zone, key, key.labels);
    else if (zone.nsec3 !== undefined) this.#covering(zone, zone.nsec3, key, labels + 1);
  }

  /** A wildcard would answer, but has no record of the type. */
  noWildcardData(zone: Zone, wildcard: number, key: NameKey, labels: number): void {
    if (zone.hasNsec) {
      this.#before(zone, key, key.labels);
      if ((zone.names.flags(wildcard) & nodeFlag.nsec) !== 0) this.#add(zone, wildcard, 0);
      else if (this.#key.wildcardOf(key, labels)) this.#before(zone, this.#key, labels + 1);
    } else if (zone.nsec3 !== undefined) {
      const closest = this.#provable(zone, zone.nsec3, key, labels);
      this.#covering(zone, zone.nsec3, key, closest + 1);
      if (this.#key.wildcardOf(key, labels)) this.#matching(zone, zone.nsec3, this.#key, labels + 1);
    }
  }

  /** A delegation has no DS record. */
  noSigner(zone: Zone, node: number): void {
    if (zone.hasNsec) {
      if ((zone.names.flags(node) & nodeFlag.nsec) !== 0) this.#add(zone, node, 0);
    } else if (zone.nsec3 !== undefined) {
      const name = zone.names.name(node);
      const chunk = zone.names.arena.chunk(name);
      const at = zone.names.arena.position(name);
      this.#key.take(zone.apexKey, chunk, at + 1, u8At(chunk, at));
      this.#closest(zone, zone.nsec3, this.#key, this.#key.labels);
    }
  }

  #ofApexWildcard(zone: Zone, key: NameKey): number {
    if (zone.apexWildcardCover >= none) return zone.apexWildcardCover;
    const labels = zone.apexKey.labels;
    return this.#key.wildcardOf(key, labels) ? this.#bearerBefore(zone, this.#key, labels + 1) : none;
  }

  /** The NSEC record of the last name that does not come after `key`. */
  #before(zone: Zone, key: NameKey, labels: number): void {
    const bearer = this.#bearerBefore(zone, key, labels);
    if (bearer >= 0) this.#add(zone, bearer, 0);
  }

  /** The node that has it; {@link none} when there is none. */
  #bearerBefore(zone: Zone, key: NameKey, labels: number): number {
    const { names } = zone;
    const node = names.order.atOrBefore(names, key, labels);
    if (node < 0) return none;
    // Names below a delegation have no NSEC records; the delegation has, and all between them belongs to it.
    let bearer = node;
    for (let at = node; at !== none; at = names.parent(at)) {
      if ((names.flags(at) & (nodeFlag.cut | nodeFlag.alias)) !== 0) bearer = at;
    }
    return (names.flags(bearer) & nodeFlag.nsec) !== 0 ? bearer : none;
  }

  /** The NSEC3 record of the name itself, or the proof that the closest name with one is closest. */
  #closest(zone: Zone, nsec3: Nsec3Parameters, key: NameKey, labels: number): void {
    for (let level = labels; level >= zone.apexKey.labels; level--) {
      if (!this.#matching(zone, nsec3, key, level)) continue;
      if (level < labels) this.#covering(zone, nsec3, key, level + 1);
      return;
    }
  }

  #matching(zone: Zone, nsec3: Nsec3Parameters, key: NameKey, labels: number): boolean {
    if (!this.#hash(zone, nsec3, key, labels)) return false;
    const node = zone.hashed.find(this.#hashed, this.#hashed.labels);
    if (node === none || (zone.hashed.flags(node) & nodeFlag.data) === 0) return false;
    this.#add(zone, node, 1);
    return true;
  }

  #covering(zone: Zone, nsec3: Nsec3Parameters, key: NameKey, labels: number): void {
    if (!this.#hash(zone, nsec3, key, labels)) return;
    const { hashed } = zone;
    const before = hashed.order.atOrBefore(hashed, this.#hashed, this.#hashed.labels);
    // The last one covers what comes before the first.
    const node = before < 0 ? hashed.order.last() : before;
    if (node >= 0) this.#add(zone, node, 1);
  }

  /** Makes {@link #hashed} the owner of the NSEC3 record for a name (RFC 5155 §5). */
  #hash(zone: Zone, nsec3: Nsec3Parameters, key: NameKey, labels: number): boolean {
    if (nsec3.iterations > mostIterations || zone.apex.length + hashLabelLength + 1 > 255) return false;
    const length = i32At(key.ends, labels);
    unkey(key.bytes, 0, length, this.#name, length);
    this.#name[length] = 0;
    const sha1 = this.#sha1;
    sha1.hash(this.#name, length + 1, nsec3.salt);
    for (let round = 0; round < nsec3.iterations; round++) sha1.hash(sha1.digest, 20, nsec3.salt);
    const label = this.#label;
    label[0] = hashLabelLength;
    let at = 1;
    let bits = 0;
    let word = 0;
    for (let index = 0; index < 20; index++) {
      word = ((word << 8) | u8At(sha1.digest, index)) & 0xfff;
      for (bits += 8; bits >= 5; bits -= 5) label[at++] = u8At(base32, (word >>> (bits - 5)) & 31);
    }
    this.#hashed.take(zone.apexKey, label, 0, hashLabelLength + 1);
    return true;
  }

  #add(zone: Zone, node: number, hashed: number): void {
    const value = node * 2 + hashed;
    for (let index = 0; index < this.count; index++) {
      if (this.#nodes[index] === value && this.#zones[index] === zone) return;
    }
    if (this.count === mostProofs) return;
    this.#zones[this.count] = zone;
    this.#nodes[this.count++] = value;
  }
}
