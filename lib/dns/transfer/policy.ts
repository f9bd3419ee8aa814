import type { IpAddress } from "@tesserae/device/address";
import { equalNames, isAtOrBelow, lowerName, nameToText } from "../name-bytes.ts";
import type { TsigKey } from "../tsig/key.ts";
import { dnsPort, recordType } from "../wire.ts";
import { type AccessRule, holds } from "./access.ts";

/** Another name server. */
export interface Peer {
  readonly address: IpAddress;
  /** Default 53, or 853 with {@link tls}. */
  readonly port?: number;
  /** Signs what is sent to it; its answers must be signed with it, too. */
  readonly key?: TsigKey;
  /** Transfers go over TLS (RFC 9103), and its certificate is for this name. */
  readonly tls?: string;
}

/** Who may change what (RFC 2136 §3.3). All of it must hold; what is absent does. */
export interface UpdateRule extends AccessRule {
  /** Only this name, or with `below` it and those below. */
  readonly name?: Uint8Array;
  readonly below?: boolean;
  /** Only these types. Default: all but those that signers make (RRSIG, NSEC, NSEC3, NSEC3PARAM). */
  readonly types?: readonly number[];
}

/** What may happen to a zone besides being asked for. Nothing is allowed that is not named. */
export interface ZonePolicy {
  /** Who may transfer it. */
  readonly transfer?: readonly AccessRule[];
  /** Who is told of changes (RFC 1996). */
  readonly notify?: readonly Peer[];
  readonly update?: readonly UpdateRule[];
  /** Where it comes from: we are a secondary. In the order in which they are asked. */
  readonly primaries?: readonly Peer[];
  /** Who may tell us of changes besides the primaries. */
  readonly notifyFrom?: readonly AccessRule[];
}

/** Policies by zone. */
export class ZonePolicies {
  readonly #policies = new Map<string, ZonePolicy>();
  /** For zones that have none of their own. */
  readonly #usual: ZonePolicy;

  constructor(usual: ZonePolicy = {}) {
    this.#usual = usual;
  }

  get(apex: Uint8Array): ZonePolicy {
    return this.#policies.get(nameToText(lowerName(apex))) ?? this.#usual;
  }

  set(apex: Uint8Array, policy: ZonePolicy): void {
    this.#policies.set(nameToText(lowerName(apex)), policy);
  }

  delete(apex: Uint8Array): void {
    this.#policies.delete(nameToText(lowerName(apex)));
  }
}

/** The port of a peer. */
export function portOf({ port, tls }: Peer): number {
  return port ?? (tls === undefined ? dnsPort : 853);
}

const madeBySigners: readonly number[] = [recordType.RRSIG, recordType.NSEC, recordType.NSEC3, recordType.NSEC3PARAM];
const typeAny = 255;

/** Whether one of the rules lets this client change records of a name and type; type 255 is all types. */
export function mayUpdate(
  rules: readonly UpdateRule[],
  client: IpAddress,
  key: TsigKey | undefined,
  owner: Uint8Array,
  type: number,
): boolean {
  return rules.some((rule) => {
    if (!holds(rule, client, key)) return false;
    if (rule.name !== undefined) {
      const isNamed = rule.below === true ? isAtOrBelow(owner, rule.name) : equalNames(owner, rule.name);
      if (!isNamed) return false;
    }
    if (rule.types === undefined) return !madeBySigners.includes(type);
    return type === typeAny ? false : rule.types.includes(type);
  });
}
