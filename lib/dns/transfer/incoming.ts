import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { equalNames, nameToText } from "../name-bytes.ts";
import { type WireMessage } from "../wire-message.ts";
import type { WireRecord } from "../wire-record.ts";
import { messageFlag, recordType } from "../wire.ts";
import { changesOf, type Difference } from "./difference.ts";
import { isNewer } from "./serial.ts";
import { readSoa } from "./soa.ts";

export const typeAxfr = 252;
export const typeIxfr = 251;

/** What came of a transfer. */
export type Transferred =
  /** The primary has nothing newer. */
  | { readonly kind: "current" }
  /** A whole zone. */
  | { readonly kind: "zone"; readonly zone: Zone }
  /** The steps from the version that we have to the newest. */
  | { readonly kind: "differences"; readonly differences: readonly Difference[] }
  /** What the primary sent is no transfer, or too much. `rcode` is what it said, if it said no. */
  | { readonly kind: "failed"; readonly why: string; readonly rcode: number };

export interface TransferBounds {
  /** Bytes of records. Default 1 GiB. */
  readonly bytes?: number;
  /** Default 50,000,000. */
  readonly records?: number;
}

/**
 * Reads the answer to an AXFR (RFC 5936 §2.2) or IXFR query (RFC 1995 §4), message by message. Nothing of it counts
 * before the last record is there.
 */
export class TransferReader {
  readonly #apex: Uint8Array;
  /** Serial number that we have; `undefined` asks for a full transfer. */
  readonly #have: number | undefined;
  readonly #mostBytes: number;
  readonly #mostRecords: number;
  #id: number;
  #bytes = 0;
  #count = 0;
  #newest: WireRecord | undefined;
  #state: "first" | "second" | "full" | "removing" | "adding" | "done" = "first";
  #builder: ZoneBuilder | undefined;
  readonly #differences: Difference[] = [];
  #from: WireRecord | undefined;
  #to: WireRecord | undefined;
  #removed: WireRecord[] = [];
  #added: WireRecord[] = [];

  constructor(id: number, apex: Uint8Array, have: number | undefined, bounds: TransferBounds = {}) {
    this.#id = id;
    this.#apex = apex;
    this.#have = have;
    this.#mostBytes = bounds.bytes ?? 2 ** 30;
    this.#mostRecords = bounds.records ?? 50_000_000;
  }

  /** Takes the next message: `undefined` when more must come. */
  read(message: WireMessage): Transferred | undefined {
    if (this.#state === "done") return failed("a message after the end");
    if (message.id !== this.#id || (message.flags & messageFlag.response) === 0)
      return failed("another query's answer");
    if (message.rcode !== 0) return failed(`the primary says ${rcodeText(message.rcode)}`, message.rcode);
    if ((message.flags & messageFlag.truncated) !== 0) return failed("the answer is truncated");
    const [question] = message.questions;
    const wanted = this.#have === undefined ? typeAxfr : typeIxfr;
    if (question !== undefined && (question.type !== wanted || !equalNames(question.name, this.#apex))) {
      return failed("the answer repeats another question");
    }
    if (message.answers.length === 0) return failed("a message without records");
    for (const record of message.answers) {
      this.#bytes += record.owner.length + 10 + record.data.length;
      if (++this.#count > this.#mostRecords) return failed(`more than ${this.#mostRecords} records`);
      if (this.#bytes > this.#mostBytes) return failed(`more than ${this.#mostBytes} bytes`);
      if (this.#isDone()) return failed("records after the end");
      const fault = this.#record(record);
      if (fault !== undefined) return failed(fault);
    }
    return this.#result();
  }

  #isDone(): boolean {
    return this.#state === "done";
  }

  /** What stands when the primary ends here. An IXFR answer that has one SOA record says that it has nothing newer. */
  #result(): Transferred | undefined {
    if (this.#state === "second" && this.#have !== undefined) {
      const serial = this.#serial(this.#newest);
      if (serial === this.#have || !isNewer(serial, this.#have)) return { kind: "current" };
      return undefined;
    }
    if (this.#state !== "done") return undefined;
    if (this.#builder === undefined) return { kind: "differences", differences: this.#differences };
    const built = this.#builder.finish();
    return built.ok ? { kind: "zone", zone: built.zone } : failed(built.message);
  }

  #record(record: WireRecord): string | undefined {
    const isSoa = record.type === recordType.SOA;
    if (isSoa && !equalNames(record.owner, this.#apex)) return `an SOA record of ${nameToText(record.owner)}`;
    if (isSoa && record.data.length < 22) return "an SOA record that is too short";
    switch (this.#state) {
      case "first":
        if (!isSoa) return "the first record is no SOA record";
        this.#newest = record;
        this.#state = "second";
        return undefined;
      case "second":
        if (isSoa && this.#have !== undefined && this.#serial(record) === this.#have) {
          this.#from = record;
          this.#state = "removing";
          return undefined;
        }
        this.#builder = new ZoneBuilder(this.#apex);
        if (this.#newest !== undefined) this.#builder.add(this.#newest);
        this.#state = "full";
        return this.#fullRecord(record, isSoa);
      case "full":
        return this.#fullRecord(record, isSoa);
      case "removing":
        if (!isSoa) {
          this.#removed.push(record);
          return undefined;
        }
        this.#to = record;
        this.#state = "adding";
        return undefined;
      case "adding":
        if (!isSoa) {
          this.#added.push(record);
          return undefined;
        }
        return this.#step(record);
      case "done":
        return "records after the end";
    }
  }

  #fullRecord(record: WireRecord, isSoa: boolean): string | undefined {
    if (isSoa) {
      if (this.#serial(record) !== this.#serial(this.#newest)) return "the last SOA record is not the first";
      this.#state = "done";
      return undefined;
    }
    return this.#builder?.add(record);
  }

  /** The end of one difference, and the start of the next or of nothing. */
  #step(record: WireRecord): string | undefined {
    const from = this.#from;
    const to = this.#to;
    if (from === undefined || to === undefined) return "a difference without its SOA records";
    if (!isNewer(this.#serial(to), this.#serial(from))) return "a difference that leads backwards";
    this.#differences.push({ from, to, removed: this.#removed, added: this.#added });
    this.#removed = [];
    this.#added = [];
    if (this.#serial(to) === this.#serial(this.#newest)) {
      if (this.#serial(record) !== this.#serial(to)) return "the last SOA record is not the first";
      this.#state = "done";
      return undefined;
    }
    if (this.#serial(record) !== this.#serial(to)) return "a difference that does not begin where the last one ended";
    this.#from = record;
    this.#state = "removing";
    return undefined;
  }

  #serial(record: WireRecord | undefined): number {
    return record === undefined ? 0 : readSoa(record).serial;
  }
}

/** All changes of several differences, in order. */
export function allChanges(differences: readonly Difference[]): ZoneChange[] {
  return differences.flatMap(changesOf);
}

function failed(why: string, rcode = 0): Transferred {
  return { kind: "failed", why, rcode };
}

const rcodeTexts = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

export function rcodeText(rcode: number): string {
  return rcodeTexts[rcode] ?? (rcode === 9 ? "NOTAUTH" : `response code ${rcode}`);
}
