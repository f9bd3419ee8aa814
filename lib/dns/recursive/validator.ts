import { equalBytes } from "../authoritative/octets.ts";
import type { Crypto } from "@tesserae/device/crypto";
import { digestAlgorithm, keyDigest, keyTag, signatureAlgorithm } from "../dnssec/key.ts";
import { isZoneKey, type SignatureFault, verifyRrset } from "../dnssec/signature.ts";
import { type Denial, denyCloser, denyName, denyType, type Proof } from "./denial.ts";
import { type Failure, type Kept, type Security } from "./kept.ts";
import { bytesOfKey, isWithin, keyFromText, keyOf, keyText, labelsOfKey, lastLabels, parentKey } from "./name-key.ts";
import type { Lookups, Validator } from "./recursive.ts";
import { type Rrset, typeCode, u16, u32 } from "./rrset.ts";
import { parseTrustAnchor, type TrustAnchor, type TrustAnchors } from "./trust-anchor.ts";
import type { Work } from "./work.ts";
import { extendedErrorCode } from "../edns/extended-error.ts";

export interface ValidatorOptions {
  readonly crypto: Crypto;
  /** DS records in text, `rootAnchors` for the internet; or a keeper of anchors that follow their zones' keys. */
  readonly anchors: readonly string[] | TrustAnchors;
  /** Zones, in text, below which nothing is validated (negative trust anchors, RFC 7646). */
  readonly insecure?: readonly string[];
}

/** What is known of a zone's keys. `none`: there is no zone of that name. */
type ZoneStatus =
  | { readonly kind: "secure"; readonly keys: readonly Uint8Array[]; readonly expires: number }
  | { readonly kind: "insecure" | "none"; readonly expires: number; readonly failure?: Failure }
  | { readonly kind: "bogus"; readonly expires: number; readonly failure: Failure };

interface Verdict {
  readonly security: Security;
  readonly failure?: Failure;
  /** Seconds: the signature's original TTL and its end. */
  readonly ttl?: number;
  /** The zone that signed. */
  readonly signer?: string;
  /** Labels of the wildcard's parent, when the set comes from a wildcard. */
  readonly wildcard?: number;
}

const mostZones = 10_000;
/** Seconds: what is bogus may be repaired soon (RFC 4035 §4.7). */
const bogusTtl = 60;
const mostSignatures = 8;

/** What is said of signatures that do not hold. */
const faultCodes: Partial<Record<SignatureFault, number>> = {
  expired: extendedErrorCode.signatureExpired,
  "not yet valid": extendedErrorCode.signatureNotYetValid,
  "no such key": extendedErrorCode.keyMissing,
  "unknown algorithm": extendedErrorCode.unsupportedKeyAlgorithm,
};

/** Validates by chains of keys from the anchors down (RFC 4035 §5), within the bounds of each question's {@link Work}. */
export function createValidator(options: ValidatorOptions): (resolver: Lookups) => Validator {
  return (resolver) => new ChainValidator(options, resolver);
}

class ChainValidator implements Validator {
  readonly #crypto: Crypto;
  #anchors: readonly TrustAnchor[];
  readonly #insecure: readonly string[];
  readonly #resolver: Lookups;
  readonly #zones = new Map<string, ZoneStatus>();
  readonly #inWork = new Map<string, Promise<ZoneStatus>>();

  constructor({ crypto, anchors, insecure = [] }: ValidatorOptions, resolver: Lookups) {
    this.#crypto = crypto;
    this.#anchors = "start" in anchors ? anchors.anchors : anchors.map(parseTrustAnchor);
    this.#insecure = insecure.map(keyFromText);
    this.#resolver = resolver;
    if ("start" in anchors) {
      anchors.start(resolver, () => {
        this.#anchors = anchors.anchors;
        // What followed from a key that is trusted no more is found out anew.
        this.#zones.clear();
      });
    }
  }

  async validate(kept: Kept, work: Work): Promise<void> {
    if (kept.security !== "unchecked") return;
    const insecure: Verdict = { security: "insecure" };
    const { security, failure, ttl, signer } = kept.kind === "failed" ? insecure : await this.#verdict(kept, work);
    kept.security = security;
    if (failure !== undefined) kept.failure = failure;
    if (ttl !== undefined) kept.ttl = Math.min(kept.ttl, Math.max(0, ttl));
    if (security === "bogus") kept.ttl = Math.min(kept.ttl, bogusTtl);
    const isDenial = kept.kind === "no-name" || kept.kind === "no-data";
    if (isDenial && security === "secure" && signer !== undefined) this.#resolver.denied.learn(kept, signer);
  }

  async #verdict(kept: Kept, work: Work): Promise<Verdict> {
    const { name, type, rrset, more, proof, zone } = kept;
    if (kept.kind !== "positive" || rrset === undefined) return this.#negative(kept, work);
    const top = topOf(kept);
    let worst: Verdict = { security: "secure" };
    for (const set of [rrset, ...more]) {
      const verdict = await this.#set(set, top, zone, work);
      if (verdict.security !== "secure") return verdict;
      worst = { ...worst, ttl: Math.min(worst.ttl ?? Infinity, verdict.ttl ?? Infinity) };
      if (verdict.wildcard === undefined || verdict.signer === undefined) continue;
      // RFC 4035 §5.3.4: a wildcard answers only where there is nothing closer.
      const checked = await this.#proof(proof, verdict.signer, zone, work);
      if (checked === undefined || set.type === typeCode.DNAME)
        return bogus(extendedErrorCode.denialMissing, name, type);
      const denial = denyCloser(checked, set.name, verdict.wildcard);
      if (denial === "missing") return bogus(extendedErrorCode.denialMissing, name, type);
      if (denial !== "proven") worst = { ...worst, security: "insecure" };
    }
    return worst;
  }

  async #negative(kept: Kept, work: Work): Promise<Verdict> {
    const { name, type, proof, zone, kind } = kept;
    const signer = signerOf(proof);
    const top = topOf(kept);
    if (signer === undefined || !isWithin(top, signer)) return this.#unsigned(name, type, top, zone, work);
    const status = await this.#status(signer, work);
    if (status.kind === "insecure") return { security: "insecure" };
    if (status.kind === "bogus") return fromStatus(status);
    if (status.kind === "none") return this.#unsigned(name, type, top, zone, work);
    const checked = await this.#proof(proof, signer, zone, work);
    if (checked === undefined) return bogus(extendedErrorCode.bogus, name, type);
    const denial = kind === "no-name" ? denyName(checked, name) : denyType(checked, name, type);
    if (denial === "missing") return bogus(extendedErrorCode.denialMissing, name, type);
    const ttl = Math.min(...checked.sets.map((set) => set.ttl));
    if (denial === "unsigned") return { security: "insecure", ttl };
    return { security: "secure", ttl, signer };
  }

  /** The sets of a proof that the zone signed; `undefined` when one of them is bogus, or there is none. */
  async #proof(sets: readonly Rrset[], signer: string, zone: string, work: Work): Promise<Proof | undefined> {
    const checked: Rrset[] = [];
    for (const set of sets) {
      if (!isWithin(set.name, signer) || !signersOf(set).has(signer)) continue;
      const verdict = await this.#set(set, signer, zone, work);
      if (verdict.security === "bogus" && set.type !== typeCode.SOA) return undefined;
      // A proof that comes from a wildcard proves nothing.
      if (verdict.security !== "secure" || verdict.signer !== signer || verdict.wildcard !== undefined) continue;
      checked.push({ ...set, ttl: Math.min(set.ttl, verdict.ttl ?? set.ttl) });
    }
    const { limits } = this.#resolver;
    return checked.length === 0 ? undefined : { zone: signer, sets: checked, crypto: this.#crypto, limits, work };
  }

  /** @param top the name below which no zone may have signed it: see {@link topOf} */
  async #set(set: Rrset, top: string, zone: string, work: Work): Promise<Verdict> {
    const { name, type } = set;
    let verdict: Verdict | undefined;
    for (const signer of signersOf(set)) {
      if (!isWithin(top, signer) || !isWithin(name, signer)) continue;
      const status = await this.#status(signer, work);
      if (status.kind === "secure") {
        verdict = this.#check(set, signer, status.keys, work);
        if (verdict.security === "secure") return verdict;
      } else if (status.kind !== "none") verdict ??= fromStatus(status);
    }
    return verdict ?? this.#unsigned(name, type, top, zone, work);
  }

  /** Data without a signature: right only where nothing is signed (RFC 4035 §5.2). */
  async #unsigned(name: string, type: number, top: string, zone: string, work: Work): Promise<Verdict> {
    const anchor = this.#anchorAbove(top);
    if (anchor === undefined) return { security: "insecure" };
    const start = isWithin(zone, anchor) && isWithin(top, zone) ? zone : anchor;
    for (let labels = labelsOfKey(start); labels <= labelsOfKey(top); labels++) {
      const status = await this.#status(lastLabels(top, labels), work);
      if (status.kind === "insecure" || status.kind === "bogus") return fromStatus(status);
    }
    return bogus(extendedErrorCode.signaturesMissing, name, type);
  }

  /** Whether one of the signatures is good. */
  #check(set: Rrset, signer: string, keys: readonly Uint8Array[], work: Work): Verdict {
    const { name, type, data, signatures } = set;
    const owned = { owner: bytesOfKey(name), type, data };
    const zone = bytesOfKey(signer);
    const now = Math.floor(this.#resolver.timers.wall() / 1000);
    let code: number = signatures.length === 0 ? extendedErrorCode.signaturesMissing : extendedErrorCode.bogus;
    let left = this.#resolver.limits.verificationsPerSet;
    const bounded: Pick<Crypto, "verify"> = {
      verify: (...signed) => left-- > 0 && work.verifications-- > 0 && this.#crypto.verify(...signed),
    };
    for (const signature of signatures.slice(0, mostSignatures)) {
      if (keyOf(signature, 18) !== signer) continue;
      const fault = verifyRrset(bounded, signature, owned, zone, keys, now);
      if (left < 0 || work.verifications < 0) {
        return { security: "bogus", failure: { code: extendedErrorCode.other, text: "too many signatures to check" } };
      }
      if (fault !== undefined) {
        code = faultCodes[fault] ?? extendedErrorCode.bogus;
        continue;
      }
      const labels = signature[3] ?? 0;
      const own = labelsOfKey(name) - (name.startsWith("\x01*") ? 1 : 0);
      // RFC 4035 §5.3.3: no longer than the signature says, and than it lasts.
      const ttl = Math.min(set.ttl, u32(signature, 4), (u32(signature, 8) - now) | 0);
      return { security: "secure", signer, ttl, ...(labels < own ? { wildcard: labels } : {}) };
    }
    return bogus(code, name, type);
  }

  #status(zone: string, work: Work): Promise<ZoneStatus> {
    const known = this.#zones.get(zone);
    if (known !== undefined && this.#resolver.timers.now() < known.expires) return Promise.resolve(known);
    let running = this.#inWork.get(zone);
    if (running === undefined) {
      // Whoever waits for a zone's keys waits only for those of zones above it: never in a circle.
      running = this.#findStatus(zone, work)
        .then((status) => {
          this.#zones.delete(zone);
          if (this.#zones.size >= mostZones) {
            for (const oldest of this.#zones.keys()) {
              this.#zones.delete(oldest);
              break;
            }
          }
          this.#zones.set(zone, status);
          return status;
        })
        .finally(() => this.#inWork.delete(zone));
      this.#inWork.set(zone, running);
    }
    return running;
  }

  async #findStatus(zone: string, work: Work): Promise<ZoneStatus> {
    const own = this.#anchors.filter((anchor) => anchor.zone === zone).map(({ data }) => data);
    if (own.length > 0) return this.#keys(zone, own, Infinity, work);
    if (this.#anchorAbove(zone) === undefined) return { kind: "insecure", expires: Infinity };
    const kept = await this.#resolver.lookup(zone, typeCode.DS, work);
    await this.validate(kept, work);
    const expires = kept.received + kept.ttl * 1000;
    const { failure = { code: extendedErrorCode.bogus, text: `the keys of ${keyText(zone)} cannot be found` } } = kept;
    if (kept.kind === "failed" || kept.security === "bogus") return { kind: "bogus", expires, failure };
    if (kept.security === "insecure") return { kind: "insecure", expires };
    if (kept.kind === "no-name") return { kind: "none", expires };
    if (kept.kind === "no-data") {
      return { kind: (await this.#isDelegation(kept, work)) ? "insecure" : "none", expires };
    }
    return kept.rrset?.type === typeCode.DS
      ? this.#keys(zone, kept.rrset.data, expires, work)
      : { kind: "none", expires };
  }

  /** Of a name that has, provenly, no DS records: whether it is a delegation all the same. */
  async #isDelegation({ name, proof, zone }: Kept, work: Work): Promise<boolean> {
    const signer = signerOf(proof);
    if (signer === undefined) return false;
    const checked = await this.#proof(proof, signer, zone, work);
    const denial: Denial = checked === undefined ? "missing" : denyType(checked, name, typeCode.DS);
    return denial === "delegation" || denial === "unsigned";
  }

  /** The zone's keys, when one that its parent knows has signed them (RFC 4035 §5.2). */
  async #keys(zone: string, ds: readonly Uint8Array[], until: number, work: Work): Promise<ZoneStatus> {
    const { timers } = this.#resolver;
    const usable = ds.filter(
      (data) => signatureAlgorithm(data[2] ?? 0) !== undefined && digestAlgorithm(data[3] ?? 0) !== undefined,
    );
    if (usable.length === 0) {
      const isDigest = ds.some((data) => signatureAlgorithm(data[2] ?? 0) !== undefined);
      const code = isDigest ? extendedErrorCode.unsupportedDigestType : extendedErrorCode.unsupportedKeyAlgorithm;
      const failure = { code, text: `no key of ${keyText(zone)} can be used here` };
      return { kind: "insecure", expires: Math.min(until, timers.now() + 3_600_000), failure };
    }
    // RFC 4509 §3: SHA-1 is not believed where there is better.
    const better = usable.filter((data) => data[3] !== 1);
    const wanted = better.length > 0 ? better : usable;
    let kept = await this.#resolver.lookup(zone, typeCode.DNSKEY, work);
    for (let tries = 0; ; tries++) {
      const status = this.#keysFrom(zone, wanted, kept, until, work);
      if (status.kind === "secure" || tries >= 2 || kept.server === undefined || work.queries < 10) return status;
      const other = await this.#resolver.fresh(zone, typeCode.DNSKEY, work, [kept.server]);
      if (other.kind === "failed") return status;
      kept = other;
    }
  }

  #keysFrom(zone: string, wanted: readonly Uint8Array[], kept: Kept, until: number, work: Work): ZoneStatus {
    const { timers } = this.#resolver;
    const set = kept.rrset;
    const soon = timers.now() + (kept.kind === "failed" ? 5 : bogusTtl) * 1000;
    const failed = (code: number, text: string): ZoneStatus => ({
      kind: "bogus",
      expires: soon,
      failure: { code, text },
    });
    if (kept.kind !== "positive" || set?.type !== typeCode.DNSKEY) {
      return failed(
        extendedErrorCode.keyMissing,
        `${keyText(zone)} has no DNSKEY records${kept.failure ? `: ${kept.failure.text}` : ""}`,
      );
    }
    // More keys than any zone has are there to cost time.
    const keys = set.data.slice(0, 64).filter(isZoneKey);
    const entries = keys.filter((key) => wanted.some((ds) => this.#isKeyOf(zone, ds, key, work)));
    if (entries.length === 0)
      return failed(extendedErrorCode.keyMissing, `no key of ${keyText(zone)} is one that its parent knows`);
    const verdict = this.#check(set, zone, entries, work);
    if (verdict.security !== "secure") {
      kept.security = "bogus";
      const { failure } = verdict;
      return failed(failure?.code ?? extendedErrorCode.bogus, failure?.text ?? "");
    }
    kept.security = "secure";
    kept.ttl = Math.min(kept.ttl, verdict.ttl ?? kept.ttl);
    return { kind: "secure", keys, expires: Math.min(until, kept.received + kept.ttl * 1000) };
  }

  #isKeyOf(zone: string, ds: Uint8Array, key: Uint8Array, work: Work): boolean {
    const algorithm = digestAlgorithm(ds[3] ?? 0);
    if (algorithm === undefined || key[3] !== ds[2] || keyTag(key) !== u16(ds, 0)) return false;
    if (work.verifications-- <= 0) return false;
    return equalBytes(keyDigest(this.#crypto, algorithm, bytesOfKey(zone), key), ds.subarray(4));
  }

  #anchorAbove(name: string): string | undefined {
    let best: string | undefined;
    for (const { zone } of this.#anchors) {
      if (isWithin(name, zone) && (best === undefined || zone.length > best.length)) best = zone;
    }
    if (best === undefined) return undefined;
    const anchor = best;
    const isOff = this.#insecure.some((zone) => isWithin(name, zone) && zone.length >= anchor.length);
    return isOff ? undefined : best;
  }
}

/**
 * The lowest zone that may say something of what was asked: of DS records the one above the name (RFC 4035 §3.1.4.1).
 * So whoever waits for a zone's keys waits for those of zones above it alone.
 */
function topOf({ name, type }: Kept): string {
  return type === typeCode.DS ? parentKey(name) : name;
}

function signersOf(set: Rrset): Set<string> {
  return new Set(set.signatures.slice(0, mostSignatures).map((signature) => keyOf(signature, 18)));
}

/** Who signed the proof: the zone of its NSEC and NSEC3 records, or of the SOA record. */
function signerOf(proof: readonly Rrset[]): string | undefined {
  const signed = proof.filter((set) => set.signatures.length > 0);
  const set = signed.find(({ type }) => type !== typeCode.SOA) ?? signed[0];
  const signature = set?.signatures[0];
  return signature === undefined ? undefined : keyOf(signature, 18);
}

function fromStatus(status: Exclude<ZoneStatus, { kind: "secure" }>): Verdict {
  const { kind, failure } = status;
  return { security: kind === "bogus" ? "bogus" : "insecure", ...(failure === undefined ? {} : { failure }) };
}

function bogus(code: number, name: string, type: number): Verdict {
  return {
    security: "bogus",
    failure: { code, text: `${keyText(name)} type ${type}: ${reasons.get(code) ?? "bogus"}` },
  };
}

const reasons: ReadonlyMap<number, string> = new Map([
  [extendedErrorCode.bogus, "no signature is good"],
  [extendedErrorCode.signatureExpired, "the signature has expired"],
  [extendedErrorCode.signatureNotYetValid, "the signature is not valid yet"],
  [extendedErrorCode.keyMissing, "no key of the zone has signed it"],
  [extendedErrorCode.signaturesMissing, "there is no signature, and the zone is signed"],
  [extendedErrorCode.denialMissing, "that it is not there is not proven"],
]);
