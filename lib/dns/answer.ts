import type { DnsMessage } from "./message.ts";
import { canonicalName } from "./name.ts";
import type { ResourceRecord } from "./record.ts";
import { rcode, recordType } from "./wire.ts";

/** What a question came to. `ttl`: for how long this holds, whole seconds. */
export type Answer =
  | {
      readonly kind: "answer";
      /** Where the chain of CNAME records ended; the name asked for when there is none. */
      readonly name: string;
      /** Those of the type asked for. */
      readonly records: readonly ResourceRecord[];
      /** The CNAME records on the way, in order. */
      readonly chain: readonly ResourceRecord[];
      readonly ttl: number;
    }
  /** The name has no record of this type (RFC 2308 §2.2). */
  | { readonly kind: "no-data"; readonly ttl: number }
  /** There is no such name (RFC 2308 §2.1). */
  | { readonly kind: "no-name"; readonly ttl: number }
  /** Every server failed or refused; the last one's response code. */
  | { readonly kind: "failed"; readonly rcode: number };

/** A response that stops in the middle of a chain: the rest is to be asked for. */
export interface Incomplete {
  readonly kind: "incomplete";
  readonly name: string;
  readonly chain: readonly ResourceRecord[];
}

/** CNAME records that may be followed for one question. */
export const longestChain = 16;

/** Bounds of what is believed, seconds: a day for what is there, three hours for what is not (RFC 2308 §5). */
const longestTtl = 86_400;
const longestNegativeTtl = 10_800;

/** Reads the answer to a question out of a response to it; `type` as in the question. */
export function answerOf(message: DnsMessage, name: string, type: number): Answer | Incomplete {
  const code = message.rcode;
  if (code !== rcode.noError && code !== rcode.nameError) return { kind: "failed", rcode: code };
  const chain: ResourceRecord[] = [];
  let end = name;
  let ttl = longestTtl;
  while (type !== recordType.CNAME && type !== recordType.ANY && chain.length < longestChain) {
    const owner = canonicalName(end);
    const alias = message.answers.find((each) => each.data.type === "CNAME" && canonicalName(each.name) === owner);
    if (alias?.data.type !== "CNAME" || chain.includes(alias)) break;
    chain.push(alias);
    ttl = Math.min(ttl, alias.ttl);
    end = alias.data.name;
  }
  const owner = canonicalName(end);
  const records = message.answers.filter(
    (each) => canonicalName(each.name) === owner && (type === recordType.ANY || codeOf(each) === type),
  );
  if (records.length > 0) {
    for (const record of records) ttl = Math.min(ttl, record.ttl);
    return { kind: "answer", name: end, records, chain, ttl };
  }
  // The code of a response with a chain is that of its last name (RFC 6604 §3).
  const soa = message.authorities.find((each) => each.data.type === "SOA");
  if (code !== rcode.nameError && soa === undefined && chain.length > 0)
    return { kind: "incomplete", name: end, chain };
  // RFC 2308 §5: without an SOA record a negative answer is not kept.
  const negative = soa?.data.type === "SOA" ? Math.min(soa.ttl, soa.data.minimum, longestNegativeTtl, ttl) : 0;
  return { kind: code === rcode.nameError ? "no-name" : "no-data", ttl: negative };
}

/** The number of a record's type. */
export function codeOf({ data }: ResourceRecord): number {
  return data.type === "unknown" ? data.code : recordType[data.type];
}
