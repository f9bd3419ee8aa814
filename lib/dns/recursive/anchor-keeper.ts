import { equalBytes } from "../authoritative/octets.ts";
import type { Crypto } from "@tesserae/device/crypto";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { WritableKv } from "@tesserae/device/kv";
import type { Log } from "@tesserae/device/log";
import { decodeBase64 } from "@tesserae/wire/base64";
import { signedData } from "../dnssec/canonical.ts";
import { keyDigest, keyFlag, keyTag, signatureAlgorithm } from "../dnssec/key.ts";
import { verifyRrset } from "../dnssec/signature.ts";
import { base64Text } from "../record/encoding.ts";
import { type AnchorState, isSameKey, type ManagedKey, nextLook, observe } from "./managed-anchor.ts";
import { bytesOfKey, keyOf, keyText } from "./name-key.ts";
import type { Lookups } from "./recursive.ts";
import { type Rrset, typeCode, u16, u32 } from "./rrset.ts";
import { parseTrustAnchor, type TrustAnchor, type TrustAnchors } from "./trust-anchor.ts";
import { Work } from "./work.ts";

export interface AnchorKeeperOptions {
  readonly crypto: Crypto;
  readonly timers: Timers;
  /** DS records in text: where trust begins. What was kept of a zone counts more. */
  readonly anchors: readonly string[];
  /** Keeps what was seen. Default: it is forgotten with the image, and no new key is ever 30 days old. */
  readonly kv?: WritableKv;
  readonly log?: Log;
}

const folder = "dns-trust-anchors";
const mostSignatures = 16;
const states: readonly AnchorState[] = ["pending", "valid", "missing", "revoked"];

/** Keeps trust anchors as their zones roll them over (RFC 5011). */
export interface AnchorKeeper extends TrustAnchors {
  /** What is thought of the keys of a zone, in text. */
  keys(zone: string): readonly ManagedKey[];
  /** Stops asking. Resolves when what was seen is kept. */
  close(): Promise<void>;
}

/** @throws KvError (rejects) when what was kept cannot be read; RangeError when an anchor is no DS record. */
export async function createAnchorKeeper(options: AnchorKeeperOptions): Promise<AnchorKeeper> {
  const anchors = options.anchors.map(parseTrustAnchor);
  const zones = new Map<string, ZoneKeeper>();
  for (const { zone } of anchors) {
    if (zones.has(zone)) continue;
    const kept = await options.kv?.get(entryOf(zone));
    const keys = kept === undefined ? [] : decodeKeys(kept);
    if (keys === undefined) options.log?.warn("kept trust anchors cannot be read", { zone: keyText(zone) });
    zones.set(
      zone,
      new ZoneKeeper(
        options,
        zone,
        anchors.filter((anchor) => anchor.zone === zone),
        keys ?? [],
      ),
    );
  }
  return {
    get anchors() {
      return [...zones.values()].flatMap((zone) => zone.anchors);
    },
    start(resolver, changed) {
      for (const zone of zones.values()) zone.start(resolver, changed);
    },
    keys: (zone) => [...zones.values()].find((each) => keyText(each.zone) === zone)?.keys ?? [],
    async close() {
      for (const zone of zones.values()) await zone.close();
    },
  };
}

class ZoneKeeper {
  readonly zone: string;
  keys: readonly ManagedKey[];
  readonly #options: AnchorKeeperOptions;
  readonly #given: readonly TrustAnchor[];
  readonly #timer: Timer;
  #resolver: Lookups | undefined;
  #changed: () => void = () => undefined;
  #writing: Promise<void> = Promise.resolve();
  /** Of what was seen last, seconds. */
  #ttl = 0;
  #left = 0;
  #isClosed = false;

  constructor(options: AnchorKeeperOptions, zone: string, given: readonly TrustAnchor[], keys: readonly ManagedKey[]) {
    this.#options = options;
    this.zone = zone;
    this.#given = given;
    this.keys = keys;
    this.#timer = options.timers.timer(() => void this.#look());
  }

  /** The keys that are trusted, as DS records; those given while no key was seen. None when all are revoked. */
  get anchors(): readonly TrustAnchor[] {
    if (!this.keys.some(({ state }) => state !== "pending")) return this.#given;
    return this.keys.filter(isTrusted).map(({ data }) => ({ zone: this.zone, data: this.#dsOf(data) }));
  }

  start(resolver: Lookups, changed: () => void): void {
    this.#resolver = resolver;
    this.#changed = changed;
    this.#timer.set(this.#options.timers.now());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer.cancel();
    await this.#writing;
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { timers, log } = this.#options;
    const resolver = this.#resolver;
    if (resolver === undefined) return;
    const work = new Work(resolver.limits, timers.now());
    const kept = await resolver.fresh(this.zone, typeCode.DNSKEY, work, []).catch(() => undefined);
    if (this.#isClosed) return;
    const set = kept?.kind === "positive" && kept.rrset?.type === typeCode.DNSKEY ? kept.rrset : undefined;
    const isSeen = set !== undefined && this.#see(set);
    if (!isSeen) log?.warn("no keys that the trust anchors sign", { zone: keyText(this.zone) });
    const wait = nextLook(isSeen, this.#ttl, this.#left);
    this.#timer.set(timers.now() + wait * 1000);
  }

  /** False when no trusted key has signed the set. */
  #see(set: Rrset): boolean {
    const { timers, log } = this.#options;
    const now = Math.floor(timers.wall() / 1000);
    const trusted = set.data.filter((data) => this.#isTrusted(data));
    const good = this.#signatures(set, trusted, now);
    const revoking = set.data.filter((data) => this.#revokesItself(set, data, now));
    // A trusted key may sign nothing more than its own revocation.
    const isOwn = revoking.some((data) => this.#isTrusted(withoutRevocation(data)));
    if (good.length === 0 && !isOwn) return false;
    const before = this.keys;
    // Those that the given DS records mean are trusted from the start (§5).
    const first = before.some(({ state }) => state !== "pending")
      ? before
      : trusted.map((data): ManagedKey => ({ data: data.slice(), state: "valid", since: now }));
    const keys =
      good.length === 0 ? set.data.filter((data) => first.some((key) => isSameKey(key.data, data))) : set.data;
    this.keys = observe(first, { keys, revoking, ttl: set.ttl }, now);
    this.#ttl = set.ttl;
    this.#left = Math.max(0, ...good.map((signature) => (u32(signature, 8) - now) | 0));
    const text = describe(this.keys);
    if (text === describe(before)) return true;
    log?.info("trust anchors", { zone: keyText(this.zone), keys: text });
    this.#keep();
    this.#changed();
    return true;
  }

  #isTrusted(data: Uint8Array): boolean {
    if (this.keys.some(({ state }) => state !== "pending")) {
      return this.keys.some((key) => isTrusted(key) && equalBytes(key.data, data));
    }
    return this.#given.some((anchor) => {
      const algorithm = ({ 1: "sha1", 2: "sha256", 4: "sha384" } as const)[anchor.data[3] ?? 0];
      if (algorithm === undefined || u16(anchor.data, 0) !== keyTag(data) || anchor.data[2] !== data[3]) return false;
      return equalBytes(
        anchor.data.subarray(4),
        keyDigest(this.#options.crypto, algorithm, bytesOfKey(this.zone), data),
      );
    });
  }

  /** The signatures of the set that one of the keys has made. */
  #signatures(set: Rrset, keys: readonly Uint8Array[], now: number): Uint8Array[] {
    const owner = bytesOfKey(this.zone);
    const signed = { owner, type: set.type, data: set.data };
    return set.signatures.slice(0, mostSignatures).filter((signature) => {
      if (keyOf(signature, 18) !== this.zone) return false;
      return verifyRrset(this.#options.crypto, signature, signed, owner, keys, now) === undefined;
    });
  }

  /** Whether a key says of itself that it is revoked (§2.1): with the flag, and a signature of its own. */
  #revokesItself(set: Rrset, data: Uint8Array, now: number): boolean {
    if (((data[1] ?? 0) & keyFlag.revoked) === 0) return false;
    const algorithm = signatureAlgorithm(data[3] ?? 0);
    const owner = bytesOfKey(this.zone);
    if (algorithm === undefined || !this.keys.some((key) => isSameKey(key.data, data))) return false;
    return set.signatures.slice(0, mostSignatures).some((signature) => {
      if (signature.length < 19 || keyOf(signature, 18) !== this.zone) return false;
      if (u16(signature, 16) !== keyTag(data) || signature[2] !== data[3]) return false;
      if (((now - u32(signature, 12)) | 0) < 0 || ((u32(signature, 8) - now) | 0) < 0) return false;
      const bytes = signedData(signature, owner, set.type, set.data);
      const made = signature.subarray(18 + owner.length);
      return bytes !== undefined && this.#options.crypto.verify(algorithm, data.subarray(4), bytes, made);
    });
  }

  #dsOf(data: Uint8Array): Uint8Array {
    const digest = keyDigest(this.#options.crypto, "sha256", bytesOfKey(this.zone), data);
    const tag = keyTag(data);
    return Uint8Array.of(tag >>> 8, tag & 255, data[3] ?? 0, 2, ...digest);
  }

  #keep(): void {
    const { kv, log } = this.#options;
    if (kv === undefined) return;
    const bytes = encodeKeys(this.keys);
    this.#writing = this.#writing
      .then(() => kv.set(entryOf(this.zone), bytes))
      .catch((error: unknown) => log?.error("trust anchors were not kept", { why: String(error) }));
  }
}

function isTrusted({ state }: ManagedKey): boolean {
  return state === "valid" || state === "missing";
}

function withoutRevocation(data: Uint8Array): Uint8Array {
  const copy = data.slice();
  copy[1] = (copy[1] ?? 0) & ~keyFlag.revoked;
  return copy;
}

function describe(keys: readonly ManagedKey[]): string {
  return keys.map(({ data, state, since }) => `${keyTag(data)} ${state} ${since}`).join(", ");
}

function entryOf(zone: string): string {
  const text = keyText(zone).replaceAll(
    /[^a-z0-9_.-]/g,
    (each) => `%${each.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `${folder}/=${text.slice(0, 200)}`;
}

/** A line for each key: state, since when, and the data in base 64. */
function encodeKeys(keys: readonly ManagedKey[]): Uint8Array {
  const lines = keys.map(({ data, state, since }) => `${state} ${since} ${base64Text(data)}\n`);
  return new TextEncoder().encode(lines.join(""));
}

/** Undefined when the bytes are something else. */
export function decodeKeys(bytes: Uint8Array): ManagedKey[] | undefined {
  const keys: ManagedKey[] = [];
  for (const line of new TextDecoder().decode(bytes).split("\n")) {
    if (line === "") continue;
    const [, word, since, data] = /^(\w+) (\d{1,12}) ([A-Za-z0-9+/]+=*)$/.exec(line) ?? [];
    const state = states.find((each) => each === word);
    if (state === undefined || since === undefined || data === undefined || data.length % 4 !== 0) return undefined;
    keys.push({ data: decodeBase64(data), state, since: Number(since) });
  }
  return keys;
}
