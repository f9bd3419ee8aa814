import type { NameTree } from "../authoritative/name-tree.ts";
import { RecordSet, recordHeaderLength } from "../authoritative/rrset-block.ts";
import { u16At } from "../authoritative/octets.ts";
import type { Zone } from "../authoritative/zone.ts";
import { lowerName } from "../name-bytes.ts";
import { expirationOf, isRenewalDue, type SigningTerms } from "./set-signatures.ts";
import type { SigningTask } from "./zone-changes.ts";

/** Names looked at in one slice, and names with signatures that are due in one slice: what else waits is not kept waiting. */
const mostNames = 20_000;
const mostDue = 250;

/** Finds the signatures of a zone that are due, a slice at a time, and says when the next are. */
export class DueSignatures {
  /** Whether a look at the zone is under way. */
  isScanning = true;
  /** When the first signature ends, seconds since 1970; known after a look at all. */
  earliest: number | undefined;
  #at = 0;
  #inHashed = false;
  #seen: number | undefined;

  /** Says when a signature ends that was made since. */
  note(expiration: number): void {
    if (this.earliest !== undefined) this.earliest = Math.min(this.earliest, expiration);
    this.#see(expiration);
  }

  /** Every name that has records. */
  static everything(zone: Zone): DueNames {
    const owners = (tree: NameTree): Uint8Array[] => [...tree.order].map((node) => lowerName(zone.owner(tree, node)));
    return new DueNames(owners(zone.names), owners(zone.hashed));
  }

  /** The next slice: what is due in it. `undefined` when nothing is. */
  slice(terms: SigningTerms, zone: Zone): Pick<SigningTask, "owners" | "hashed"> | undefined {
    if (!this.isScanning) {
      this.isScanning = true;
      this.#at = 0;
      this.#inHashed = false;
      this.#seen = undefined;
    }
    const tree = this.#inHashed ? zone.hashed : zone.names;
    const nodes = tree.order.slice(this.#at, mostNames);
    const due: Uint8Array[] = [];
    const set = new RecordSet();
    let looked = 0;
    for (const node of nodes) {
      if (due.length === mostDue) break;
      looked++;
      if (this.#isDue(terms, tree, node, set)) due.push(lowerName(zone.owner(tree, node)));
    }
    this.#at += looked;
    const wasHashed = this.#inHashed;
    if (this.#at >= tree.order.length) this.#finish(terms);
    if (due.length === 0) return undefined;
    return wasHashed ? { hashed: due } : { owners: due };
  }

  #finish(terms: SigningTerms): void {
    this.#at = 0;
    if (!this.#inHashed) {
      this.#inHashed = true;
      return;
    }
    this.isScanning = false;
    this.#inHashed = false;
    this.earliest = this.#seen ?? terms.expiration();
  }

  #isDue(terms: SigningTerms, tree: NameTree, node: number, set: RecordSet): boolean {
    let found = false;
    for (const signature of signaturesIn(tree, node, set)) {
      if (isRenewalDue(terms, signature)) found = true;
      else this.#see(terms.now + ((expirationOf(signature) - terms.now) | 0));
    }
    return found;
  }

  #see(expiration: number): void {
    this.#seen = this.#seen === undefined ? expiration : Math.min(this.#seen, expiration);
  }
}

/** Names of a zone whose signatures are to be looked at. */
export class DueNames {
  readonly owners: readonly Uint8Array[];
  readonly hashed: readonly Uint8Array[];

  constructor(owners: readonly Uint8Array[], hashed: readonly Uint8Array[]) {
    this.owners = owners;
    this.hashed = hashed;
  }

  /** Whether any signature of the zone is due: one of a key that is gone is. */
  isNeeded(terms: SigningTerms, zone: Zone): boolean {
    const set = new RecordSet();
    for (const tree of [zone.names, zone.hashed]) {
      for (const node of tree.order) {
        for (const signature of signaturesIn(tree, node, set)) if (isRenewalDue(terms, signature)) return true;
      }
    }
    return false;
  }
}

function* signaturesIn(tree: NameTree, node: number, set: RecordSet): Generator<Uint8Array, undefined> {
  set.open(tree.arena, tree.block(node));
  while (set.next()) {
    let at = set.signaturesAt;
    for (let left = set.signatures; left > 0; left--) {
      const length = u16At(set.bytes, at + 8);
      yield set.bytes.subarray(at + recordHeaderLength, at + recordHeaderLength + length);
      at += recordHeaderLength + length;
    }
  }
  return undefined;
}
