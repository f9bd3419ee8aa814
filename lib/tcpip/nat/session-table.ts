/**
 * The state of a NAT: mappings of inside endpoints to outside ports, and under each the sessions with remote endpoints.
 * Columns of typed arrays, so that a packet allocates nothing, and a bound that is real.
 */

import type { Random } from "@tesserae/device/random";

/** What a session is worth: each class has a timeout of its own, and the lower ones make room first. */
export const sessionClass = { icmp: 0, udpOneWay: 1, tcpTransitory: 2, udpTwoWay: 3, tcpEstablished: 4 } as const;
export type SessionClass = (typeof sessionClass)[keyof typeof sessionClass];
const classes = 5;

const none = -1;

/** Entries in doubly linked lists, one list a class, each in the order of last use. */
class Aging {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #heads = new Int32Array(classes).fill(none);
  readonly #tails = new Int32Array(classes).fill(none);

  constructor(capacity: number) {
    this.#next = new Int32Array(capacity).fill(none);
    this.#previous = new Int32Array(capacity).fill(none);
  }

  oldest(kind: number): number {
    return this.#heads[kind] ?? none;
  }

  after(entry: number): number {
    return this.#next[entry] ?? none;
  }

  append(entry: number, kind: number): void {
    const tail = this.#tails[kind] ?? none;
    this.#previous[entry] = tail;
    this.#next[entry] = none;
    if (tail === none) this.#heads[kind] = entry;
    else this.#next[tail] = entry;
    this.#tails[kind] = entry;
  }

  remove(entry: number, kind: number): void {
    const before = this.#previous[entry] ?? none;
    const behind = this.#next[entry] ?? none;
    if (before === none) this.#heads[kind] = behind;
    else this.#next[before] = behind;
    if (behind === none) this.#tails[kind] = before;
    else this.#previous[behind] = before;
  }
}

/** A hash table of entry numbers, with chains. */
class Index {
  readonly #buckets: Int32Array;
  readonly #next: Int32Array;

  constructor(capacity: number) {
    let size = 16;
    while (size < capacity * 2) size *= 2;
    this.#buckets = new Int32Array(size).fill(none);
    this.#next = new Int32Array(capacity).fill(none);
  }

  first(hash: number): number {
    return this.#buckets[hash & (this.#buckets.length - 1)] ?? none;
  }

  after(entry: number): number {
    return this.#next[entry] ?? none;
  }

  add(hash: number, entry: number): void {
    const bucket = hash & (this.#buckets.length - 1);
    this.#next[entry] = this.#buckets[bucket] ?? none;
    this.#buckets[bucket] = entry;
  }

  remove(hash: number, entry: number): void {
    const bucket = hash & (this.#buckets.length - 1);
    let at = this.#buckets[bucket] ?? none;
    if (at === entry) {
      this.#buckets[bucket] = this.#next[entry] ?? none;
      return;
    }
    while (at !== none) {
      const behind = this.#next[at] ?? none;
      if (behind === entry) {
        this.#next[at] = this.#next[entry] ?? none;
        return;
      }
      at = behind;
    }
  }
}

/** All addresses are `IpAddress.w3`, all entries numbers from 0; −1 is none. */
export class SessionTable {
  readonly capacity: number;
  readonly mostOfHost: number;
  /** Of a mapping. */
  readonly inside: Int32Array;
  readonly insidePort: Uint16Array;
  readonly outsidePort: Uint16Array;
  readonly protocol: Uint8Array;
  /** Of a session. */
  readonly mapping: Int32Array;
  readonly remote: Int32Array;
  readonly remotePort: Uint16Array;
  readonly flags: Uint8Array;
  readonly kind: Uint8Array;
  readonly used: Float64Array;
  /** How many there are. */
  sessions = 0;
  mappings = 0;
  evicted = 0;
  readonly #timeouts: Float64Array;
  readonly #byAddress: boolean;
  readonly #users: Int32Array;
  readonly #freeMappings: Int32Array;
  readonly #freeSessions: Int32Array;
  #freeMappingCount: number;
  readonly #byInside: Index;
  readonly #byOutside: Index;
  readonly #bySession: Index;
  readonly #aging: Aging;
  /** Inside host → its sessions. */
  readonly #hosts = new Map<number, number>();
  readonly #secret0: number;
  readonly #secret1: number;

  /**
   * @param capacity sessions, and mappings, at once
   * @param mostOfHost sessions of one inside host
   * @param timeouts milliseconds for each {@link sessionClass}
   * @param byAddress whether sessions are searched by the remote address alone (`address` filtering)
   */
  constructor(capacity: number, mostOfHost: number, timeouts: readonly number[], byAddress: boolean, random: Random) {
    this.capacity = capacity;
    this.mostOfHost = mostOfHost;
    this.#timeouts = Float64Array.from(timeouts);
    this.#byAddress = byAddress;
    this.inside = new Int32Array(capacity);
    this.insidePort = new Uint16Array(capacity);
    this.outsidePort = new Uint16Array(capacity);
    this.protocol = new Uint8Array(capacity);
    this.mapping = new Int32Array(capacity).fill(none);
    this.remote = new Int32Array(capacity);
    this.remotePort = new Uint16Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.kind = new Uint8Array(capacity);
    this.used = new Float64Array(capacity);
    this.#users = new Int32Array(capacity);
    this.#freeMappings = Int32Array.from({ length: capacity }, (_, place) => capacity - 1 - place);
    this.#freeSessions = Int32Array.from({ length: capacity }, (_, place) => capacity - 1 - place);
    this.#freeMappingCount = capacity;
    this.#byInside = new Index(capacity);
    this.#byOutside = new Index(capacity);
    this.#bySession = new Index(capacity);
    this.#aging = new Aging(capacity);
    this.#secret0 = random.uint32() | 0;
    this.#secret1 = random.uint32() | 0;
  }

  /** Sessions of one inside host. */
  ofHost(inside: number): number {
    return this.#hosts.get(inside) ?? 0;
  }

  findInside(protocol: number, inside: number, port: number): number {
    const index = this.#byInside;
    for (let at = index.first(this.#hash(inside, port, protocol)); at !== none; at = index.after(at)) {
      if (this.inside[at] === inside && this.insidePort[at] === port && this.protocol[at] === protocol) return at;
    }
    return none;
  }

  findOutside(protocol: number, port: number): number {
    const index = this.#byOutside;
    for (let at = index.first(this.#hash(0, port, protocol)); at !== none; at = index.after(at)) {
      if (this.outsidePort[at] === port && this.protocol[at] === protocol) return at;
    }
    return none;
  }

  findSession(mapping: number, remote: number, port: number): number {
    const index = this.#bySession;
    for (let at = index.first(this.#sessionHash(mapping, remote, port)); at !== none; at = index.after(at)) {
      if (this.mapping[at] === mapping && this.remote[at] === remote && this.remotePort[at] === port) return at;
    }
    return none;
  }

  /** Whether a mapping has a session with that address, whatever the port. Only with `byAddress`. */
  knowsAddress(mapping: number, remote: number): boolean {
    const index = this.#bySession;
    for (let at = index.first(this.#sessionHash(mapping, remote, 0)); at !== none; at = index.after(at)) {
      if (this.mapping[at] === mapping && this.remote[at] === remote) return true;
    }
    return false;
  }

  /**
   * A new mapping, which goes with its last session.
   *
   * @returns none when there is no room: each session has one at most, so there is room where a session has.
   */
  addMapping(protocol: number, inside: number, insidePort: number, outsidePort: number): number {
    if (this.#freeMappingCount === 0) return none;
    const made = this.#freeMappings[--this.#freeMappingCount] ?? none;
    this.mappings++;
    this.protocol[made] = protocol;
    this.inside[made] = inside;
    this.insidePort[made] = insidePort;
    this.outsidePort[made] = outsidePort;
    this.#users[made] = 0;
    this.#byInside.add(this.#hash(inside, insidePort, protocol), made);
    this.#byOutside.add(this.#hash(0, outsidePort, protocol), made);
    return made;
  }

  /** Keeps a mapping for ever. */
  hold(mapping: number): void {
    this.#users[mapping] = (this.#users[mapping] ?? 0) + 1;
  }

  /** Takes a {@link hold} back; the mapping stays, even without a session. */
  release(mapping: number): void {
    this.#users[mapping] = (this.#users[mapping] ?? 0) - 1;
  }

  /** Removes a mapping that has no session yet. */
  dropUnused(mapping: number): void {
    if (this.#users[mapping] === 0) this.#removeMapping(mapping);
  }

  /**
   * Makes room for one more session of `inside`: the oldest of that host when it has its share, else the oldest of the
   * host that has most. So a host that opens too many closes its own.
   *
   * @returns false when it has its share, all of them established: those are not given up for new ones.
   */
  makeRoom(inside: number): boolean {
    if (this.ofHost(inside) >= this.mostOfHost) return this.#evict(inside, sessionClass.udpTwoWay);
    if (this.sessions < this.capacity) return true;
    let victim = 0;
    let most = 0;
    for (const [host, count] of this.#hosts) {
      if (count <= most) continue;
      victim = host;
      most = count;
    }
    return this.#evict(victim, sessionClass.tcpEstablished);
  }

  /** A new session; there has to be room. */
  addSession(mapping: number, remote: number, port: number, kind: SessionClass, now: number): number {
    const made = this.#freeSessions[this.capacity - 1 - this.sessions] ?? none;
    if (made === none) return none;
    this.sessions++;
    this.mapping[made] = mapping;
    this.remote[made] = remote;
    this.remotePort[made] = port;
    this.flags[made] = 0;
    this.kind[made] = kind;
    this.used[made] = now;
    this.hold(mapping);
    this.#bySession.add(this.#sessionHash(mapping, remote, port), made);
    this.#aging.append(made, kind);
    const host = this.inside[mapping] ?? 0;
    this.#hosts.set(host, this.ofHost(host) + 1);
    return made;
  }

  /** Notes a use of a session, which makes it the youngest of its class. */
  touch(session: number, kind: SessionClass, now: number): void {
    this.#aging.remove(session, this.kind[session] ?? 0);
    this.kind[session] = kind;
    this.used[session] = now;
    this.#aging.append(session, kind);
  }

  /** When the next session is due to go, or `Infinity`. */
  nextDeadline(): number {
    let next = Infinity;
    for (let kind = 0; kind < classes; kind++) {
      const oldest = this.#aging.oldest(kind);
      if (oldest !== none) next = Math.min(next, (this.used[oldest] ?? 0) + (this.#timeouts[kind] ?? 0));
    }
    return next;
  }

  /** Removes what is due. @returns how many went. */
  expire(now: number): number {
    let gone = 0;
    for (let kind = 0; kind < classes; kind++) {
      const timeout = this.#timeouts[kind] ?? 0;
      for (let at = this.#aging.oldest(kind); at !== none; at = this.#aging.oldest(kind)) {
        if ((this.used[at] ?? 0) + timeout > now) break;
        this.remove(at);
        gone++;
      }
    }
    return gone;
  }

  /** Removes all sessions, and the mappings that are not held. */
  clear(): void {
    for (let kind = 0; kind < classes; kind++) {
      for (let at = this.#aging.oldest(kind); at !== none; at = this.#aging.oldest(kind)) this.remove(at);
    }
  }

  remove(session: number): void {
    const mapping = this.mapping[session] ?? 0;
    const hash = this.#sessionHash(mapping, this.remote[session] ?? 0, this.remotePort[session] ?? 0);
    this.#bySession.remove(hash, session);
    this.#aging.remove(session, this.kind[session] ?? 0);
    this.mapping[session] = none;
    this.sessions--;
    this.#freeSessions[this.capacity - 1 - this.sessions] = session;
    const host = this.inside[mapping] ?? 0;
    const rest = this.ofHost(host) - 1;
    if (rest > 0) this.#hosts.set(host, rest);
    else this.#hosts.delete(host);
    const users = (this.#users[mapping] ?? 0) - 1;
    this.#users[mapping] = users;
    if (users === 0) this.#removeMapping(mapping);
  }

  #removeMapping(mapping: number): void {
    const protocol = this.protocol[mapping] ?? 0;
    this.#byInside.remove(this.#hash(this.inside[mapping] ?? 0, this.insidePort[mapping] ?? 0, protocol), mapping);
    this.#byOutside.remove(this.#hash(0, this.outsidePort[mapping] ?? 0, protocol), mapping);
    this.#freeMappings[this.#freeMappingCount++] = mapping;
    this.mappings--;
  }

  /** Removes the session of `host` that is worth least, of the classes up to `worth`. */
  #evict(host: number, worth: SessionClass): boolean {
    for (let kind = 0; kind <= worth; kind++) {
      for (let at = this.#aging.oldest(kind); at !== none; at = this.#aging.after(at)) {
        if (this.inside[this.mapping[at] ?? 0] !== host) continue;
        this.remove(at);
        this.evicted++;
        return true;
      }
    }
    return false;
  }

  #sessionHash(mapping: number, remote: number, port: number): number {
    return this.#hash(remote, this.#byAddress ? 0 : port, mapping);
  }

  /** Keyed, so that nobody outside can fill one chain. */
  #hash(address: number, port: number, other: number): number {
    let hash = address ^ this.#secret0;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash ^= Math.imul(port + 1, 0x9e3779b1) ^ this.#secret1;
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= Math.imul(other + 1, 0x27d4eb2f);
    hash = Math.imul(hash ^ (hash >>> 16) ^ this.#secret0, 0x165667b1);
    return hash ^ (hash >>> 15);
  }
}
