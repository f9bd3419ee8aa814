import { nameLength, nameToText } from "../name-bytes.ts";
import type { WireRecord } from "../wire-record.ts";
import { NameKey } from "./name-key.ts";
import { NameTree } from "./name-tree.ts";
import { atOnce, type Steps } from "./steps.ts";
import { isHashed, recordFault, Zone } from "./zone.ts";
import { ZoneDraft } from "./zone-draft.ts";
import { recordType } from "../wire.ts";

/** A zone, or why there is none. */
export type BuiltZone = { readonly ok: true; readonly zone: Zone } | { readonly ok: false; readonly message: string };

/** Makes a zone of its records, which may come in any order. */
export class ZoneBuilder {
  readonly #apex: Uint8Array;
  readonly #apexKey = new NameKey();
  readonly #key = new NameKey();
  readonly #names: ZoneDraft;
  readonly #hashed: ZoneDraft;
  #hasSoa = false;

  /**
   * @param apex the name of the zone, as on the wire
   * @throws RangeError when it is not a name.
   */
  constructor(apex: Uint8Array) {
    if (nameLength(apex, 0) !== apex.length) throw new RangeError("the apex is not a name");
    this.#apex = apex.slice();
    this.#apexKey.read(apex, 0, apex.length);
    this.#names = new ZoneDraft(new NameTree(this.#apexKey));
    this.#hashed = new ZoneDraft(new NameTree(this.#apexKey));
  }

  /**
   * Takes one record; its bytes are copied. Of several SOA, CNAME or DNAME records at a name the last one counts, and
   * a record that is there already is not there twice.
   *
   * @returns why it cannot be in the zone, in words (then it is left out), or undefined when it is.
   */
  add(record: WireRecord): string | undefined {
    const fault = recordFault(this.#apexKey, this.#key, record);
    if (fault !== undefined) return fault;
    if (record.type === recordType.SOA) this.#hasSoa = true;
    (isHashed(record) ? this.#hashed : this.#names).add(this.#key, record);
    return undefined;
  }

  /** The zone. The builder is used up. */
  finish(): BuiltZone {
    return atOnce(this.finishing());
  }

  /** The same in steps. */
  *finishing(): Steps<BuiltZone> {
    if (!this.#hasSoa) return { ok: false, message: `${nameToText(this.#apex)}: no SOA record at the apex` };
    yield* this.#names.finishing();
    yield* this.#hashed.finishing();
    const parts = { apex: this.#apex, names: this.#names.tree, hashed: this.#hashed.tree, garbage: 0 };
    return { ok: true, zone: new Zone(parts) };
  }
}
