import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import { nameFromText } from "../name-bytes.ts";
import { dnsPort, rcode } from "../wire.ts";
import { type Delegation, Delegations } from "./delegations.ts";
import { DeniedRanges } from "./denied-ranges.ts";
import { isNearExpiry, Iterator } from "./iterator.ts";
import { expiryOf, type Failure, type Kept, type Security } from "./kept.ts";
import { limitsWith, type RecursiveLimits } from "./limits.ts";
import { LocalZones } from "./local-zones.ts";
import { bytesOfKey, isWithin, keyFromText, keyOf, keyText, rootKey } from "./name-key.ts";
import { type Rrset, typeCode } from "./rrset.ts";
import { rootHints } from "./root-hints.ts";
import { ServerTable } from "./server-table.ts";
import { Store } from "./store.ts";
import { type Exchange, Upstream, type UpstreamStatistics } from "./upstream.ts";
import { Work } from "./work.ts";
import { extendedErrorCode } from "../edns/extended-error.ts";

/** A zone whose servers are given. */
export interface GivenZone {
  /** In text; `.` sends everything there. */
  readonly zone: string;
  /** At most 13. */
  readonly servers: readonly IpAddress[];
}

/** Looks at what servers said, and marks it. */
export interface Validator {
  /** Sets `security`, and `failure` and `ttl` as they follow from it. Never rejects. */
  validate(kept: Kept, work: Work): Promise<void>;
}

export interface RecursiveOptions {
  readonly exchange: Exchange;
  readonly timers: Timers;
  readonly random: Random;
  /** Names and addresses of the root's servers. Default: those of the internet. */
  readonly roots?: readonly { readonly name: string; readonly addresses: readonly IpAddress[] }[];
  /** Asked to resolve what is below the zone. At most 64. */
  readonly forward?: readonly GivenZone[];
  /** Asked for what is in the zone, as if its parent had delegated it to them. At most 64. */
  readonly stub?: readonly GivenZone[];
  /** Zones that are asked for though they are special (RFC 6303, RFC 6761): `10.in-addr.arpa`, where it is served. */
  readonly served?: readonly string[];
  readonly limits?: Partial<RecursiveLimits>;
  /** Addresses of which family can be reached. Default both. */
  readonly families?: () => readonly (4 | 6)[];
  /** Whether servers at loopback addresses are asked: for tests on one host. Default false. */
  readonly askLoopback?: boolean;
  /** The port of all servers. Default 53. */
  readonly port?: number;
  /** Without one nothing is validated. */
  readonly validator?: (resolver: Lookups) => Validator;
  /** Answers that have expired serve when there are no others (RFC 8767). Default true. */
  readonly serveStale?: boolean;
}

/** What a validator asks for: records as servers said them, from the store or anew. */
export interface Lookups {
  lookup(name: string, type: number, work: Work): Promise<Kept>;
  fresh(name: string, type: number, work: Work, avoid: readonly IpAddress[]): Promise<Kept>;
  /** Gets the NSEC records that were validated. */
  readonly denied: DeniedRanges;
  readonly timers: Timers;
  readonly limits: RecursiveLimits;
}

/** A set of records in an answer, and the seconds that it lasts from now on. */
export interface Aged {
  readonly set: Rrset;
  readonly ttl: number;
}

/** What a question came to. */
export interface Resolution {
  /** A number of `rcode`. When it is bogus this is what it was before: the caller says SERVFAIL, but with CD. */
  readonly rcode: number;
  /** CNAME and DNAME records first, in order. */
  readonly answers: readonly Aged[];
  /** SOA, NSEC and NSEC3 records. */
  readonly authorities: readonly Aged[];
  readonly security: Security;
  /** Why it failed, or is bogus, or stale. */
  readonly failure?: Failure;
}

export interface RecursiveStatistics extends UpstreamStatistics {
  questions: number;
  /** Answered from what was known. */
  hits: number;
  prefetches: number;
  /** Made from NSEC records (RFC 8198). */
  synthesised: number;
  stale: number;
  bogus: number;
  /** Turned away because of too many others. */
  turnedAway: number;
}

/** A recursive resolver (RFC 1034 §5.3.3). */
export interface Recursive {
  /**
   * @param name on the wire, or in text
   * @param type any number but those of questions about messages and transfers
   * @returns never rejects: failures are SERVFAIL with the reason.
   * @throws RangeError (rejects) when the text is no name.
   */
  resolve(name: Uint8Array | string, type: number): Promise<Resolution>;
  /** What is known without asking anybody; `undefined` when somebody has to be asked. */
  known(name: Uint8Array, type: number): Resolution | undefined;
  /** Forgets what was learnt of a name, in text, and everything below it. */
  flush(name: string): void;
  /** How often {@link flush} was called: what was known before may be otherwise. */
  readonly flushes: number;
  readonly statistics: Readonly<RecursiveStatistics>;
  /** Entries and bytes kept. */
  readonly kept: { readonly entries: number; readonly bytes: number; readonly delegations: number };
}

/** RFC 8767 §5: when clients get what is stale though somebody is still being asked, milliseconds; and its TTL. */
const staleAfter = 1800;
const staleTtl = 30;
/** Other servers that are asked when what one said is bogus. */
const mostBogus = 2;

/** @throws RangeError when an option is out of range, or a zone is no name. */
export function createRecursive(options: RecursiveOptions): Recursive {
  return new RecursiveResolver(options);
}

class RecursiveResolver implements Recursive, Lookups {
  readonly timers: Timers;
  readonly limits: RecursiveLimits;
  readonly store: Store;
  readonly denied: DeniedRanges;
  flushes = 0;
  readonly #iterator: Iterator;
  readonly #delegations: Delegations;
  readonly #local: LocalZones;
  readonly #validator: Validator | undefined;
  readonly #serveStale: boolean;
  readonly #inWork = new Map<string, Promise<Resolution>>();
  readonly #upstream: Upstream;
  readonly #counts = { questions: 0, hits: 0, prefetches: 0, synthesised: 0, stale: 0, bogus: 0, turnedAway: 0 };

  constructor(options: RecursiveOptions) {
    const { exchange, timers, random, roots, forward = [], stub = [], port = dnsPort } = options;
    this.timers = timers;
    this.limits = limitsWith(options.limits ?? {});
    this.store = new Store(timers, this.limits.cacheBytes, (name) => this.#delegations.givenAbove(name));
    this.denied = new DeniedRanges(timers);
    const root = roots?.map(({ name, addresses }) => ({ name: keyFromText(name), addresses })) ?? rootHints;
    const given: Delegation[] = [{ zone: rootKey, servers: root, expires: Infinity }];
    for (const [kind, zones] of [["forward", forward] as const, ["stub", stub] as const]) {
      if (zones.length > 64) throw new RangeError(`${kind}: ${zones.length} zones are more than 64`);
      for (const { zone, servers } of zones) {
        if (servers.length < 1 || servers.length > 13) {
          throw new RangeError(`${kind} "${zone}": ${servers.length} servers are not from 1 to 13`);
        }
        const key = keyFromText(zone);
        given.push({ zone: key, servers: [{ name: key, addresses: servers }], expires: Infinity, given: kind });
      }
    }
    this.#delegations = new Delegations(timers, this.limits.delegations, given);
    this.#local = new LocalZones(
      [...(options.served ?? []), ...[...forward, ...stub].map(({ zone }) => zone)].filter((zone) => zone !== "."),
    );
    this.#upstream = new Upstream(exchange, timers, random, port);
    this.#iterator = new Iterator({
      timers,
      limits: this.limits,
      store: this.store,
      servers: new ServerTable(timers, random, this.limits.knownServers),
      delegations: this.#delegations,
      upstream: this.#upstream,
      families: options.families ?? (() => [4, 6]),
      askLoopback: options.askLoopback ?? false,
      initialSecurity: options.validator === undefined ? "insecure" : "unchecked",
    });
    this.#validator = options.validator?.(this);
    this.#serveStale = options.serveStale ?? true;
  }

  get statistics(): RecursiveStatistics {
    return { ...this.#counts, ...this.#upstream.statistics };
  }

  get kept(): Recursive["kept"] {
    return { entries: this.store.size, bytes: this.store.bytes, delegations: this.#delegations.size };
  }

  async resolve(name: Uint8Array | string, type: number): Promise<Resolution> {
    const key = keyOf(typeof name === "string" ? nameFromText(name) : name);
    this.#counts.questions++;
    const known = this.#known(key, type);
    if (known !== undefined) {
      this.#counts.hits++;
      return known;
    }
    const joined = `${type} ${key}`;
    let running = this.#inWork.get(joined);
    if (running === undefined) {
      if (this.#inWork.size >= this.limits.inFlight) {
        this.#counts.turnedAway++;
        return failed({ code: extendedErrorCode.other, text: "too many questions at once" });
      }
      running = this.#start(key, type).finally(() => this.#inWork.delete(joined));
      this.#inWork.set(joined, running);
    }
    return this.#orStale(key, type, running);
  }

  known(name: Uint8Array, type: number): Resolution | undefined {
    const known = this.#known(keyOf(name), type);
    if (known === undefined) return undefined;
    this.#counts.questions++;
    this.#counts.hits++;
    return known;
  }

  flush(name: string): void {
    this.flushes++;
    this.store.flush(keyFromText(name));
    this.denied.flush(keyFromText(name));
  }

  lookup(name: string, type: number, work: Work): Promise<Kept> {
    return this.#iterator.lookup(name, type, work);
  }

  fresh(name: string, type: number, work: Work, avoid: readonly IpAddress[]): Promise<Kept> {
    return this.#iterator.fresh(name, type, work, undefined, avoid);
  }

  async #start(name: string, type: number): Promise<Resolution> {
    const work = new Work(this.limits, this.timers.now());
    const chain = new Chain(name, type, this.limits.chain);
    for (;;) {
      const kept = this.#local.answer(chain.next, type) ?? (await this.#step(chain.next, type, work));
      if (!chain.add(kept)) break;
    }
    const resolution = chain.resolution(this.timers.now());
    if (resolution.security === "bogus") this.#counts.bogus++;
    return resolution;
  }

  /** The same without asking. */
  #known(name: string, type: number): Resolution | undefined {
    const chain = new Chain(name, type, this.limits.chain);
    const now = this.timers.now();
    for (;;) {
      const found = this.#local.answer(chain.next, type) ?? this.store.find(chain.next, type);
      const kept = found ?? this.#denied(chain.next, type);
      if (kept === undefined || ("security" in kept && (kept.security === "unchecked" || isBare(kept))))
        return undefined;
      if ("received" in kept && isNearExpiry(kept, now) && kept.kind === "positive") this.#prefetch(kept);
      if (!chain.add(kept)) return chain.resolution(now);
    }
  }

  #denied(name: string, type: number): Kept | undefined {
    const denied = this.denied.find(name, type);
    if (denied !== undefined && !isWithin(denied.zone, this.#delegations.givenAbove(name))) return undefined;
    if (denied !== undefined) this.#counts.synthesised++;
    return denied;
  }

  /** Asks again for what is about to expire, before somebody has to wait for it. */
  #prefetch({ name, type, rrset }: Kept): void {
    if (this.#inWork.size >= this.limits.inFlight / 2) return;
    const wanted = rrset?.type === typeCode.DNAME ? typeCode.DNAME : type;
    const owner = rrset?.type === typeCode.DNAME ? rrset.name : name;
    const key = `prefetch ${wanted} ${owner}`;
    if (this.#inWork.has(key)) return;
    this.#counts.prefetches++;
    const work = new Work(this.limits, this.timers.now());
    const running = this.#iterator
      .fresh(owner, wanted, work)
      .then(async (kept) => {
        if (kept.security === "unchecked") await this.#validator?.validate(kept, work);
        return failed({ code: extendedErrorCode.other, text: "nobody asked" });
      })
      .finally(() => this.#inWork.delete(key));
    this.#inWork.set(key, running);
  }

  async #step(name: string, type: number, work: Work): Promise<Kept> {
    const denied = this.store.find(name, type) === undefined ? this.#denied(name, type) : undefined;
    if (denied !== undefined) return denied;
    let kept = await this.#iterator.lookup(name, type, work);
    if (isBare(kept)) kept = await this.#iterator.fresh(name, type, work);
    if (this.#validator === undefined) return kept;
    const avoid: IpAddress[] = [];
    for (;;) {
      if (kept.security === "unchecked") await this.#validator.validate(kept, work);
      if (kept.security !== "bogus" || kept.server === undefined || avoid.length >= mostBogus || work.queries < 10) {
        return kept;
      }
      // One server may be wrong, or somebody in between: RFC 4035 §4.7 lets us ask others, now and then.
      avoid.push(kept.server);
      const other = await this.#iterator.fresh(name, type, work, undefined, avoid);
      if (other.kind === "failed") return kept;
      kept = other;
    }
  }

  /** What is stale, when nothing else comes in time, or nothing good. */
  async #orStale(name: string, type: number, running: Promise<Resolution>): Promise<Resolution> {
    if (!this.#serveStale || this.store.findStale(name, type) === undefined) return running;
    const inTime = await new Promise<Resolution | undefined>((resolve) => {
      const timer = this.timers.timer(() => resolve(undefined));
      timer.set(this.timers.now() + staleAfter);
      void running.then((resolution) => {
        timer.cancel();
        resolve(resolution);
      });
    });
    if (inTime !== undefined && inTime.rcode !== rcode.serverFailure) return inTime;
    const chain = new Chain(name, type, this.limits.chain);
    for (;;) {
      const kept = this.#local.answer(chain.next, type) ?? this.store.findStale(chain.next, type);
      if (kept === undefined) return inTime ?? running;
      if (!chain.add(kept)) break;
    }
    this.#counts.stale++;
    const resolution = chain.resolution(this.timers.now());
    const code =
      resolution.rcode === rcode.nameError ? extendedErrorCode.staleNameError : extendedErrorCode.staleAnswer;
    return { ...resolution, failure: { code, text: "its servers do not answer" } };
  }
}

/** Whether it was learnt from a referral, without the SOA record that those who ask for it want. */
function isBare({ kind, type, proof }: Kept): boolean {
  return kind === "no-data" && type === typeCode.DS && !proof.some((set) => set.type === typeCode.SOA);
}

type Link = Kept | ReturnType<LocalZones["answer"]>;

/** CNAME and DNAME records on the way from a name to what was asked for. */
class Chain {
  next: string;
  readonly #type: number;
  readonly #most: number;
  readonly #links: NonNullable<Link>[] = [];
  readonly #seen = new Set<string>();
  readonly #made: Rrset[] = [];
  #failure: Failure | undefined;

  constructor(name: string, type: number, most: number) {
    this.next = name;
    this.#type = type;
    this.#most = most;
  }

  /** @returns whether the chain goes on, at `next`. */
  add(link: NonNullable<Link>): boolean {
    this.#links.push(link);
    const { rrset } = link;
    const target = rrset?.data[0];
    if (link.kind !== "positive" || rrset === undefined || target === undefined) return false;
    if (this.#type === rrset.type || this.#type === typeCode.ANY) return false;
    let next: string;
    if (rrset.type === typeCode.CNAME) next = keyOf(target);
    else if (rrset.type === typeCode.DNAME) {
      next = this.next.slice(0, this.next.length - rrset.name.length) + keyOf(target);
      if (next.length > 255) {
        this.#failure = { code: extendedErrorCode.other, text: "a name became longer than 255 bytes" };
        return false;
      }
      // RFC 6672 §3.1: for those who do not know DNAME records.
      const data = [bytesOfKey(next)];
      this.#made[this.#links.length] = { name: this.next, type: typeCode.CNAME, ttl: rrset.ttl, data, signatures: [] };
    } else return false;
    if (this.#seen.has(next) || this.#links.length >= this.#most) {
      this.#failure = { code: extendedErrorCode.other, text: `aliases without end at ${keyText(next)}` };
      return false;
    }
    this.#seen.add(next);
    this.next = next;
    return true;
  }

  resolution(now: number): Resolution {
    const answers: Aged[] = [];
    const authorities: Aged[] = [];
    let code: number = rcode.noError;
    let security: Security = "secure";
    let failure = this.#failure;
    for (const [index, link] of this.#links.entries()) {
      const isKept = "received" in link;
      const left = isKept ? expiryOf(link) - now : 86_400_000;
      const ttl = left > 0 ? Math.ceil(left / 1000) : staleTtl;
      if (link.rrset !== undefined && link.kind === "positive") answers.push({ set: link.rrset, ttl });
      if (isKept) for (const set of link.more) answers.push({ set, ttl });
      const made = this.#made[index + 1];
      if (made !== undefined) answers.push({ set: made, ttl });
      if (isKept) for (const set of link.proof) authorities.push({ set, ttl });
      else if (link.kind !== "positive") authorities.push({ set: link.soa, ttl });
      security = worse(security, isKept ? link.security : "insecure");
      if (link.kind === "no-name") code = rcode.nameError;
      if (link.kind === "failed") code = rcode.serverFailure;
      if (isKept) failure ??= link.failure;
    }
    if (this.#failure !== undefined) code = rcode.serverFailure;
    const seen = new Set<Rrset>();
    const once = authorities.filter(({ set }) => !seen.has(set) && seen.add(set));
    return { rcode: code, answers, authorities: once, security, ...(failure === undefined ? {} : { failure }) };
  }
}

const badness: Readonly<Record<Security, number>> = { secure: 0, insecure: 1, unchecked: 2, bogus: 3 };

function worse(one: Security, other: Security): Security {
  return badness[one] >= badness[other] ? one : other;
}

function failed(failure: Failure): Resolution {
  return { rcode: rcode.serverFailure, answers: [], authorities: [], security: "insecure", failure };
}
