import { IpAddress } from "@tesserae/device/address";
import type { WireMessage } from "../wire-message.ts";
import { messageFlag, rcode } from "../wire.ts";
import { isWithin, keyOf, labelsOfKey } from "./name-key.ts";
import { type Rrset, rrsetsOf, typeCode } from "./rrset.ts";

/** A server of a zone, and the addresses that the referral gave for it. */
export interface NameServer {
  readonly name: string;
  readonly addresses: readonly IpAddress[];
}

/** What a response comes to, for the zone that was asked. Nothing outside of that zone is in it. */
export type Classified =
  /** Records of the type asked for, or the CNAME or DNAME record in their place. */
  | {
      readonly kind: "positive";
      readonly rrset: Rrset;
      readonly more: readonly Rrset[];
      readonly proof: readonly Rrset[];
    }
  /** RFC 2308 §2.2 and §2.1; `proof` has the SOA record, NSEC and NSEC3 records. */
  | { readonly kind: "no-data" | "no-name"; readonly proof: readonly Rrset[] }
  /** A delegation below the zone, towards the name. */
  | {
      readonly kind: "referral";
      readonly zone: string;
      readonly ttl: number;
      readonly servers: readonly NameServer[];
      /** DS, or NSEC and NSEC3 that say there is none. */
      readonly proof: readonly Rrset[];
    }
  /** The server does not know, or does not want to. */
  | { readonly kind: "useless"; readonly why: string; readonly rcode: number };

export interface Asked {
  /** The zone whose servers were asked. */
  readonly zone: string;
  readonly name: string;
  readonly type: number;
  /** Whether the server is asked to resolve (a forwarder): it answers without authority, and refers to nobody. */
  readonly recursive: boolean;
}

const proofTypes: ReadonlySet<number> = new Set([typeCode.SOA, typeCode.NSEC, typeCode.NSEC3]);

/**
 * Reads a response, and believes only what the server can know (RFC 5452 §6, RFC 2181 §5.4.1): in the answer section
 * the records of the name asked for, in the authority section the proof that there are none or a delegation between
 * the zone and the name, in the additional section addresses of servers of that delegation inside the zone.
 */
export function classify(message: WireMessage, asked: Asked): Classified {
  const code = message.rcode;
  if (code !== rcode.noError && code !== rcode.nameError) return useless(`response code ${code}`, code);
  const { zone, name, type, recursive } = asked;
  const answers = rrsetsOf(message.answers).filter((set) => isWithin(set.name, zone));
  const authorities = rrsetsOf(message.authorities).filter((set) => isWithin(set.name, zone));
  const proof = authorities.filter((set) => proofTypes.has(set.type));
  const isAuthoritative = (message.flags & messageFlag.authoritative) !== 0;
  if (recursive && (message.flags & messageFlag.recursionAvailable) === 0) return useless("no recursion there", code);

  const found = positive(answers, name, type);
  if (found !== undefined) {
    if (!recursive && !isAuthoritative) return useless("an answer without authority", code);
    const more = type === typeCode.ANY ? answers.filter((set) => set.name === name && set !== found) : [];
    return { kind: "positive", rrset: found, more, proof };
  }
  const referred = recursive ? undefined : referral(message, authorities, asked);
  if (referred !== undefined && code === rcode.noError) return referred;
  const soa = proof.find((set) => set.type === typeCode.SOA);
  if (!recursive && !isAuthoritative) return useless("no authority, and no referral", code);
  if (soa !== undefined && !isWithin(name, soa.name)) return useless("the SOA record of another zone", code);
  // RFC 4035 §3.1.4.1: DS records belong to the parent. What the child says of them means nothing.
  if (type === typeCode.DS && soa?.name === name && code === rcode.noError && !recursive) {
    return useless("the child's answer to a question for the parent", code);
  }
  return { kind: code === rcode.nameError ? "no-name" : "no-data", proof };
}

function useless(why: string, code: number): Classified {
  return { kind: "useless", why, rcode: code };
}

/** The set that answers; for ANY the first there is. */
function positive(answers: readonly Rrset[], name: string, type: number): Rrset | undefined {
  const own = answers.filter((set) => set.name === name);
  const exact = own.find((set) => set.type === type || (type === typeCode.ANY && set.type !== typeCode.CNAME));
  if (exact !== undefined) return exact;
  // RFC 6672 §3.2: a CNAME record that a DNAME record brings about is made again here, and not believed.
  const dname = answers.find((set) => set.type === typeCode.DNAME && set.name !== name && isWithin(name, set.name));
  if (dname !== undefined) return dname;
  return own.find((set) => set.type === typeCode.CNAME);
}

function referral(message: WireMessage, authorities: readonly Rrset[], asked: Asked): Classified | undefined {
  const { zone, name, type } = asked;
  const delegations = authorities.filter(
    (set) =>
      set.type === typeCode.NS &&
      set.name !== zone &&
      isWithin(name, set.name) &&
      // What is asked of the parent is not answered by going to the child.
      !(type === typeCode.DS && set.name === name),
  );
  const [first] = delegations;
  if (first === undefined || message.answers.length > 0) return undefined;
  const cut = delegations.reduce((low, set) => (labelsOfKey(set.name) > labelsOfKey(low.name) ? set : low), first);
  const glue = rrsetsOf(message.additionals).filter(
    (set) => (set.type === typeCode.A || set.type === typeCode.AAAA) && isWithin(set.name, zone),
  );
  const servers = cut.data.map((data) => {
    const server = keyOf(data);
    const addresses = glue.filter((set) => set.name === server).flatMap(addressesOf);
    return { name: server, addresses: addresses.slice(0, 8) };
  });
  const proof = authorities.filter(
    (set) =>
      (set.type === typeCode.DS && set.name === cut.name) || set.type === typeCode.NSEC || set.type === typeCode.NSEC3,
  );
  return { kind: "referral", zone: cut.name, ttl: cut.ttl, servers, proof };
}

/** The addresses in A or AAAA records. */
export function addressesOf(set: Rrset): IpAddress[] {
  const word = (data: Uint8Array, at: number): number =>
    ((data[at] ?? 0) << 24) | ((data[at + 1] ?? 0) << 16) | ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0);
  return set.data.map((data) =>
    set.type === typeCode.A
      ? IpAddress.v4(word(data, 0))
      : new IpAddress(6, word(data, 0), word(data, 4), word(data, 8), word(data, 12)),
  );
}
