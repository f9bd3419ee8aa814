import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { rcode } from "../wire.ts";
import { addressesOf, classify, type Classified } from "./classify.ts";
import type { Delegation, Delegations } from "./delegations.ts";
import { expiryOf, type Failure, type Kept, type Security } from "./kept.ts";
import type { RecursiveLimits } from "./limits.ts";
import { isWithin, keyText, labelsOfKey, lastLabels, parentKey, rootKey } from "./name-key.ts";
import { longestTtl, negativeTtl, type Rrset, typeCode } from "./rrset.ts";
import type { ServerState, ServerTable } from "./server-table.ts";
import type { Store } from "./store.ts";
import { isAskable, type Reply, type Upstream } from "./upstream.ts";
import { Task, type Work } from "./work.ts";
import { extendedErrorCode } from "../edns/extended-error.ts";

export interface IteratorParts {
  readonly timers: Timers;
  readonly limits: RecursiveLimits;
  readonly store: Store;
  readonly servers: ServerTable;
  readonly delegations: Delegations;
  readonly upstream: Upstream;
  /** Which addresses of servers can be reached now. */
  readonly families: () => readonly (4 | 6)[];
  /** Whether servers at loopback addresses are asked. */
  readonly askLoopback: boolean;
  /** What is found is marked with this: `unchecked` where somebody is going to look at it. */
  readonly initialSecurity: Security;
}

/** Bounds of what is believed: negative answers (RFC 2308 §5), failures (RFC 9520 §3.2), delegations; seconds. */
const longestNegativeTtl = 10_800;
const failureTtl = 5;
const leastDelegationTtl = 30;

const failureCode = {
  timeout: extendedErrorCode.noReachableAuthority,
  malformed: extendedErrorCode.noReachableAuthority,
  unreachable: extendedErrorCode.networkError,
  // The question had cost all that it may.
  exhausted: extendedErrorCode.other,
} as const;

/** What a zone's servers said, and which of them. */
interface Told {
  readonly classified: Exclude<Classified, { kind: "useless" }>;
  readonly server: IpAddress;
}

/** Finds records by asking the servers of zone after zone from the root down (RFC 1034 §5.3.3). Validates nothing. */
export class Iterator {
  readonly #parts: IteratorParts;
  /** One question is asked once, however many wait for it: many copies would be easier to forge an answer for. */
  readonly #inFlight = new Map<string, Task<Kept>>();
  readonly #busyZones = new Map<string, number>();
  #priming: Promise<void> | undefined;
  #primedUntil = 0;

  constructor(parts: IteratorParts) {
    this.#parts = parts;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** What is known, or else what the servers say. */
  lookup(name: string, type: number, work: Work, parent?: Task<Kept>): Promise<Kept> {
    const known = this.#parts.store.find(name, type);
    return known === undefined ? this.fresh(name, type, work, parent) : Promise.resolve(known);
  }

  /**
   * What the servers say now.
   *
   * @param avoid servers not to believe, as they said something bogus before
   */
  fresh(name: string, type: number, work: Work, parent?: Task<Kept>, avoid: readonly IpAddress[] = []): Promise<Kept> {
    const key = `${type} ${name} ${avoid.length}`;
    const running = this.#inFlight.get(key);
    if (running?.result !== undefined) {
      if (parent === undefined) return running.result;
      if (running.reaches(parent)) {
        return Promise.resolve(
          this.#failed(name, type, extendedErrorCode.other, "a question that waits for its own answer"),
        );
      }
      return parent.waitFor(running, running.result);
    }
    const depth = parent === undefined ? 0 : parent.depth + 1;
    if (depth > this.#parts.limits.depth) {
      return Promise.resolve(this.#failed(name, type, extendedErrorCode.other, "questions nested too deep"));
    }
    const task = new Task<Kept>(name, type, work, depth);
    // It begins when all know of it: what it asks for may come back to it.
    task.result = Promise.resolve()
      .then(() => this.#run(task, avoid))
      .finally(() => this.#inFlight.delete(key));
    this.#inFlight.set(key, task);
    return parent === undefined ? task.result : parent.waitFor(task, task.result);
  }

  async #run(task: Task<Kept>, avoid: readonly IpAddress[]): Promise<Kept> {
    const kept = await this.#iterate(task, avoid);
    // What fails because of what it was a part of (a loop, a bound), or whom it avoided, may work on its own.
    const isItsOwn = avoid.length === 0 && (task.depth === 0 || kept.failure?.code !== extendedErrorCode.other);
    if (isItsOwn || kept.kind !== "failed") this.#parts.store.put(kept);
    return kept;
  }

  async #iterate(task: Task<Kept>, avoid: readonly IpAddress[]): Promise<Kept> {
    const { limits, delegations } = this.#parts;
    const { name, type, work } = task;
    const above = type === typeCode.DS && name !== rootKey ? parentKey(name) : name;
    if (delegations.closest(above).zone === rootKey) await this.#prime(work);
    let delegation = delegations.closest(above);
    // Labels of the name up to which there is no cut below the delegation.
    let known = labelsOfKey(delegation.zone);
    const labels = labelsOfKey(name);
    let minimised = delegation.given === "forward" ? limits.minimised : 0;
    for (let steps = 0; steps < 2 * limits.minimised + labels; steps++) {
      const left = labels - known;
      // RFC 9156 §2.3: label by label at first, the rest in a few steps.
      const more = minimised < 4 ? 1 : Math.ceil(left / Math.max(1, limits.minimised - minimised));
      const isMinimised = left > more && minimised < limits.minimised;
      const asked = isMinimised ? lastLabels(name, known + more) : name;
      const askedType = isMinimised ? typeCode.A : type;
      if (isMinimised) minimised++;
      const told = await this.#askZone(delegation, asked, askedType, task, avoid);
      if ("code" in told) {
        if (!isMinimised || work.queries <= 0 || this.#parts.timers.now() >= work.deadline) {
          return this.#failed(name, type, told.code, told.text);
        }
        // Some servers know nothing but whole names.
        minimised = limits.minimised;
        continue;
      }
      const { classified, server } = told;
      if (classified.kind === "referral") {
        delegation = this.#learn(classified, delegation, server);
        known = labelsOfKey(delegation.zone);
        continue;
      }
      if (!isMinimised) return this.#keep(name, type, delegation, classified, server);
      if (classified.kind === "no-name") {
        // The root's servers are right; others may say so of names that have only others below them.
        if (delegation.zone === rootKey) {
          const none = this.#keep(asked, askedType, delegation, classified, server);
          this.#parts.store.put(none);
          return { ...none, name, type };
        }
        minimised = limits.minimised;
      } else known += more;
    }
    return this.#failed(name, type, extendedErrorCode.other, "too many steps");
  }

  /** Asks the root's servers, as the hints name them, who the root's servers are (RFC 8109). */
  #prime(work: Work): Promise<void> {
    const { timers, delegations } = this.#parts;
    const hints = delegations.closest(rootKey);
    if (hints.given !== undefined || delegations.learnt(rootKey) !== undefined || timers.now() < this.#primedUntil) {
      return Promise.resolve();
    }
    this.#priming ??= this.#askRoot(hints, work).finally(() => {
      this.#priming = undefined;
    });
    return this.#priming;
  }

  async #askRoot(hints: Delegation, work: Work): Promise<void> {
    const { timers, delegations } = this.#parts;
    const task = new Task<Kept>(rootKey, typeCode.NS, work, 0);
    const told = await this.#askZone(hints, rootKey, typeCode.NS, task, []);
    // Not again for a while when it failed: the hints serve.
    this.#primedUntil = timers.now() + 60_000;
    if ("code" in told || told.classified.kind !== "positive") return;
    const { rrset } = told.classified;
    const glue = new Map(hints.servers.map(({ name, addresses }) => [name, addresses]));
    const servers = rrset.data.map((data) => {
      const name = String.fromCharCode(...data).toLowerCase();
      return { name, addresses: glue.get(name) ?? [] };
    });
    delegations.add({ zone: rootKey, servers, expires: timers.now() + Math.max(60, rrset.ttl) * 1000 });
  }

  #learn(referral: Extract<Classified, { kind: "referral" }>, from: Delegation, server: IpAddress): Delegation {
    const { timers, limits, delegations, store, initialSecurity } = this.#parts;
    const { zone, servers, proof } = referral;
    const ttl = Math.min(longestTtl, Math.max(leastDelegationTtl, referral.ttl));
    const delegation: Delegation = {
      zone,
      servers: servers.slice(0, limits.servers),
      expires: timers.now() + ttl * 1000,
    };
    delegations.add(delegation);
    const ds = proof.find((set) => set.type === typeCode.DS);
    const rest = proof.filter((set) => set.type !== typeCode.DS);
    // What the parent said of DS records is the answer to the question for them, which validation asks next.
    if (initialSecurity === "unchecked" && proof.length > 0) {
      store.put({
        kind: ds === undefined ? "no-data" : "positive",
        name: zone,
        type: typeCode.DS,
        ...(ds === undefined ? {} : { rrset: ds }),
        more: [],
        proof: rest,
        zone: from.zone,
        server,
        received: timers.now(),
        ttl: Math.min(ds?.ttl ?? longestNegativeTtl, ...rest.map((set) => set.ttl), ttl),
        security: "unchecked",
      });
    }
    return delegation;
  }

  #keep(
    name: string,
    type: number,
    { zone }: Delegation,
    classified: Exclude<Told["classified"], { kind: "referral" }>,
    server: IpAddress,
  ): Kept {
    const { timers, initialSecurity } = this.#parts;
    const base = { name, type, zone, server, received: timers.now(), security: initialSecurity };
    if (classified.kind === "positive") {
      const { rrset, more, proof } = classified;
      return { ...base, kind: "positive", rrset, more, proof, ttl: Math.min(rrset.ttl, longestTtl) };
    }
    const { kind, proof } = classified;
    const soa = proof.find((set: Rrset) => set.type === typeCode.SOA);
    // Without an SOA record it is not kept (RFC 2308 §5), but for those who ask right now.
    return { ...base, kind, more: [], proof, ttl: Math.min(negativeTtl(soa), longestNegativeTtl) };
  }

  #failed(name: string, type: number, code: number, text: string): Kept {
    const failure: Failure = { code, text };
    const base = { name, type, more: [], proof: [], zone: rootKey, received: this.#parts.timers.now() };
    return { ...base, kind: "failed", ttl: failureTtl, security: "insecure", failure };
  }

  /** Asks servers of a zone until one says something of use. */
  async #askZone(
    delegation: Delegation,
    name: string,
    type: number,
    task: Task<Kept>,
    avoid: readonly IpAddress[],
  ): Promise<Told | Failure> {
    const { limits } = this.#parts;
    const { zone } = delegation;
    const busy = this.#busyZones.get(zone) ?? 0;
    if (busy >= limits.perZone && zone !== rootKey) {
      return { code: extendedErrorCode.other, text: `too many questions for ${keyText(zone)} at once` };
    }
    this.#busyZones.set(zone, busy + 1);
    const controller = new AbortController();
    try {
      return await new ZoneQuestion(this.#parts, this, delegation, name, type, task, avoid, controller.signal).ask();
    } finally {
      controller.abort();
      const now = (this.#busyZones.get(zone) ?? 1) - 1;
      if (now > 0) this.#busyZones.set(zone, now);
      else this.#busyZones.delete(zone);
    }
  }
}

interface Heard {
  readonly server: ServerState;
  readonly reply: Reply;
  readonly promise: Promise<Heard>;
}

/** One question to the servers of one zone, several of them if need be, and at once when the first is slow. */
class ZoneQuestion {
  readonly #parts: IteratorParts;
  readonly #iterator: Iterator;
  readonly #delegation: Delegation;
  readonly #name: string;
  readonly #type: number;
  readonly #task: Task<Kept>;
  readonly #avoid: readonly IpAddress[];
  readonly #signal: AbortSignal;
  readonly #tried = new Map<string, number>();
  readonly #pending = new Set<Promise<Heard>>();
  readonly #asked = new Set<string>();
  #attempts = 0;
  #failure: Failure;

  constructor(
    parts: IteratorParts,
    iterator: Iterator,
    delegation: Delegation,
    name: string,
    type: number,
    task: Task<Kept>,
    avoid: readonly IpAddress[],
    signal: AbortSignal,
  ) {
    this.#parts = parts;
    this.#iterator = iterator;
    this.#delegation = delegation;
    this.#name = name;
    this.#type = type;
    this.#task = task;
    this.#avoid = avoid;
    this.#signal = signal;
    const code = extendedErrorCode.noReachableAuthority;
    this.#failure = { code, text: `no server of ${keyText(delegation.zone)} can be asked` };
  }

  async ask(): Promise<Told | Failure> {
    const { timers, limits, servers } = this.#parts;
    const { work } = this.#task;
    for (;;) {
      if (timers.now() >= work.deadline) return this.#timeIsUp();
      const addresses = this.#addresses();
      const server =
        this.#attempts < limits.attempts && this.#pending.size < 3
          ? servers.choose(addresses, this.#delegation.zone, this.#tried)
          : undefined;
      if (server !== undefined && server.outstanding < limits.perServer) this.#launch(server);
      else if (this.#attempts < limits.attempts && (await this.#findAddresses())) continue;
      if (this.#pending.size === 0) {
        if (server === undefined) return this.#failure;
        // Others' questions have all of its places.
        await server.ended(timers, work.deadline - timers.now());
        continue;
      }
      const wait = this.#attempts < limits.attempts ? (server?.timeout ?? Infinity) : Infinity;
      const heard = await this.#next(Math.min(wait, work.deadline - timers.now()));
      if (heard === undefined) continue;
      this.#pending.delete(heard.promise);
      const told = this.#judge(heard);
      if (told !== undefined) return told;
      if (work.queries <= 0 && this.#pending.size === 0) return this.#failure;
    }
  }

  #timeIsUp(): Failure {
    return {
      code: extendedErrorCode.noReachableAuthority,
      text: `no server of ${keyText(this.#delegation.zone)} answered in time`,
    };
  }

  #launch(server: ServerState): void {
    const key = server.address.toString();
    this.#tried.set(key, (this.#tried.get(key) ?? 0) + 1);
    this.#attempts++;
    const question = { name: this.#name, type: this.#type, recursive: this.#delegation.given === "forward" };
    const promise: Promise<Heard> = this.#parts.upstream
      .ask(server, question, this.#task.work, this.#signal)
      .then((reply) => ({ server, reply, promise }));
    this.#pending.add(promise);
  }

  /** The first to be heard, or `undefined` after `ms` milliseconds. */
  #next(ms: number): Promise<Heard | undefined> {
    const { timers } = this.#parts;
    return new Promise((resolve) => {
      const timer = timers.timer(() => resolve(undefined));
      if (ms < Infinity) timer.set(timers.now() + ms);
      void Promise.race(this.#pending).then((heard) => {
        timer.cancel();
        resolve(heard);
      });
    });
  }

  #judge({ server, reply }: Heard): Told | undefined {
    const { zone, given } = this.#delegation;
    const who = `${server.address.toString()} for ${keyText(zone)}`;
    if (reply.kind !== "message") {
      this.#failure = { code: failureCode[reply.kind], text: `${who}: ${reply.kind}` };
      if (reply.kind === "unreachable" || reply.kind === "malformed") this.#tried.set(server.address.toString(), 3);
      return undefined;
    }
    const asked = { zone, name: this.#name, type: this.#type, recursive: given === "forward" };
    const classified = classify(reply.message, asked);
    if (classified.kind !== "useless") return { classified, server: server.address };
    this.#failure = { code: extendedErrorCode.noReachableAuthority, text: `${who}: ${classified.why}` };
    // Who fails may be well again in a moment; who refuses, or knows nothing of the zone, is not asked for a while.
    if (classified.rcode === rcode.serverFailure) this.#tried.set(server.address.toString(), 3);
    else if (given === undefined && zone !== rootKey) server.markLame(zone, this.#parts.timers.now());
    else this.#tried.set(server.address.toString(), 3);
    return undefined;
  }

  /** What is known of the servers' addresses. */
  #addresses(): IpAddress[] {
    const { store, families, askLoopback } = this.#parts;
    const usable = families();
    const addresses = new Map<string, IpAddress>();
    for (const { name, addresses: glue } of this.#delegation.servers) {
      const found = [...glue];
      for (const type of [typeCode.A, typeCode.AAAA]) {
        const kept = glue.length > 0 ? undefined : store.find(name, type);
        if (kept?.kind === "positive" && kept.rrset?.type === type) found.push(...addressesOf(kept.rrset));
      }
      for (const address of found) {
        if (!usable.includes(address.family) || !isAskable(address) || (address.isLoopback && !askLoopback)) continue;
        if (this.#avoid.some((each) => each.equals(address))) continue;
        if (addresses.size < 4 * this.#parts.limits.servers) addresses.set(address.toString(), address);
      }
    }
    return [...addresses.values()];
  }

  /** Looks for the addresses of one more server: whether there are any now. */
  async #findAddresses(): Promise<boolean> {
    const { limits, families } = this.#parts;
    const { zone, servers, given } = this.#delegation;
    const { work } = this.#task;
    if (given !== undefined || this.#asked.size >= limits.serverNamesPerDelegation || work.serverNames <= 0)
      return false;
    const next = servers.find(
      // The address of a server inside its own zone is in the referral or nowhere.
      ({ name, addresses }) =>
        addresses.length === 0 && !this.#asked.has(name) && (zone === rootKey || !isWithin(name, zone)),
    );
    if (next === undefined) return false;
    this.#asked.add(next.name);
    work.serverNames--;
    const types = families().map((family) => (family === 4 ? typeCode.A : typeCode.AAAA));
    const found = types.map((type) => this.#iterator.lookup(next.name, type, work, this.#task));
    const hasAddress = (kept: Kept): boolean => kept.kind === "positive" && kept.rrset?.type === kept.type;
    // The first family that has an address will do; the other's comes for the next question.
    await new Promise<void>((resolve) => {
      let left = found.length;
      for (const each of found) {
        void each.then((kept) => {
          if (--left === 0 || hasAddress(kept)) resolve();
        });
      }
      if (left === 0) resolve();
    });
    return true;
  }
}

/** Whether what is kept is about to expire, and asked for again (prefetching): in the last tenth of its time. */
export function isNearExpiry(kept: Kept, now: number): boolean {
  return kept.ttl >= 10 && expiryOf(kept) - now < kept.ttl * 100;
}
