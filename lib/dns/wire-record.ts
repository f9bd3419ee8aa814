/** A resource record as bytes, nothing compressed. Owner and names in data keep their case. */
export interface WireRecord {
  /** Labels with their lengths, ending in the root's 0; 1–255 bytes. */
  readonly owner: Uint8Array;
  /** 0 to 65,535. */
  readonly type: number;
  /** 0 to 65,535. */
  readonly class: number;
  /** Seconds, 0 to 2³¹−1. */
  readonly ttl: number;
  /** RDATA, at most 65,535 bytes. */
  readonly data: Uint8Array;
}
