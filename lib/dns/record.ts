import type { KnownData } from "./record/registry.ts";

/** What a record says, by type. Names are as in `name.ts`; of types that are not known (RFC 3597) the bytes. */
export type RecordData = KnownData | { readonly type: "unknown"; readonly code: number; readonly bytes: Uint8Array };

export interface ResourceRecord {
  readonly name: string;
  /** Almost always `classIn`. */
  readonly class: number;
  /** Seconds, 0 to 2³¹−1. */
  readonly ttl: number;
  readonly data: RecordData;
}

export interface Question {
  readonly name: string;
  /** A number of `recordType`, or any other. */
  readonly type: number;
  readonly class: number;
}
