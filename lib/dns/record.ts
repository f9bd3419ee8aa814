import type { IpAddress } from "@tesserae/device/address";

/** What a record says, by type. Names are as in `name.ts`. */
export type RecordData =
  | { readonly type: "A" | "AAAA"; readonly address: IpAddress }
  | { readonly type: "CNAME" | "NS" | "PTR"; readonly name: string }
  | { readonly type: "MX"; readonly preference: number; readonly exchange: string }
  /** Each string has at most 255 bytes. */
  | { readonly type: "TXT"; readonly strings: readonly Uint8Array[] }
  | {
      readonly type: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | {
      readonly type: "SOA";
      readonly primary: string;
      readonly mailbox: string;
      readonly serial: number;
      /** Seconds, like the following. */
      readonly refresh: number;
      readonly retry: number;
      readonly expire: number;
      /** How long a negative answer may be kept (RFC 2308 §4). */
      readonly minimum: number;
    }
  /** RFC 8659. */
  | { readonly type: "CAA"; readonly flags: number; readonly tag: string; readonly value: Uint8Array }
  /** RFC 3403 §4.1. */
  | {
      readonly type: "NAPTR";
      readonly order: number;
      readonly preference: number;
      readonly flags: string;
      readonly services: string;
      readonly regexp: string;
      readonly replacement: string;
    }
  /** RFC 6698 §2.1. */
  | {
      readonly type: "TLSA";
      readonly usage: number;
      readonly selector: number;
      readonly matching: number;
      readonly data: Uint8Array;
    }
  /** RFC 3597: any other type, as bytes. */
  | { readonly type: "unknown"; readonly code: number; readonly bytes: Uint8Array };

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
