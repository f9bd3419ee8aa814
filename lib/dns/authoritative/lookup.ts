import { longestChain } from "../answer.ts";
import { lowerName } from "../name-bytes.ts";
import { rcode, recordType } from "../wire.ts";
import { Denial } from "./denial.ts";
import { NameKey, unkey } from "./name-key.ts";
import { type NameTree, nodeFlag, none } from "./name-tree.ts";
import { i32At, u16At, u8At } from "./octets.ts";
import type { Query } from "./query.ts";
import { bytesBeforeName, hasTarget } from "./record-layout.ts";
import { pointerReach, questionName, type Response } from "./response.ts";
import { recordHeaderLength, RecordSet } from "./rrset-block.ts";
import type { SetSigner } from "./set-signer.ts";
import type { Zone } from "./zone.ts";
import type { Zones } from "./zones.ts";

/** RFC 2136 §2.2: a name exists when it should not; here that a DNAME makes too long a name (RFC 6672 §2.2). */
const nameTooLong = 6;
/** Names whose addresses are sent along with one answer. */
const mostTargets = 24;

/** What comes next for a name. */
const done = 0;
const follow = 1;

/** The types of a name that is not there (RFC 9824 §3.1): NXNAME. */
const noSuchName: readonly number[] = [128];
const delegationTypes: readonly number[] = [recordType.NS];

/** What stands for having followed the node's DNAME, in the list of nodes visited. */
function renamedBy(node: number): number {
  return -2 - node;
}

/**
 * Finds what the zones say about a question and writes it into a response: RFC 1034 §4.3.2, with wildcards as in
 * RFC 4592, DNAME as in RFC 6672 and proofs as in RFC 4035 §3.1 and RFC 5155 §7.2. One object is used for ever.
 */
export class Lookup {
  rcode = 0;
  authoritative = false;
  truncated = false;
  /** Whether no zone is at or above the name; or one that has no data now. */
  notOurs = false;
  notReady = false;

  readonly #set = new RecordSet();
  readonly #other = new RecordSet();
  /** Addresses to be found for the targets of this set. */
  readonly #targets = new RecordSet();
  #targetsOf: Zone | undefined = undefined;
  /** The labels of the delegation that they are for; −1 when they are for an answer. */
  #delegation = -1;
  readonly #denial = new Denial();
  /** The name where an alias leads. */
  readonly #chained = new NameKey();
  readonly #targetKey = new NameKey();
  readonly #name = new Uint8Array(256);
  readonly #visited = new Int32Array(longestChain + 1);
  /** The zones of those nodes, forgotten after each query. */
  readonly #visitedIn: (Zone | undefined)[] = new Array<Zone | undefined>(longestChain + 1).fill(undefined);
  readonly #sent = new Int32Array(mostTargets);
  /** The owner of what answers: where it is in the message, or −1 … */
  #owner = questionName;
  /** … and where it is else. */
  #ownerBytes: Uint8Array = this.#name;
  #ownerFrom = 0;
  /** The zone that the question's name is in. */
  #asked: Zone | undefined = undefined;
  /** The zone whose SOA record goes into the authority section. */
  #negative: Zone | undefined = undefined;
  #referral: Zone | undefined = undefined;
  #referralNode = none;
  #referralLabels = 0;
  /** What proves what is not there in a zone that is signed while it is served, and whose it is. */
  readonly #proof = new RecordSet();
  #proofOwner: Uint8Array | undefined = undefined;

  /**
   * @param response begun
   * @param stream whether all of a name may be sent to who asks for ANY (RFC 8482 §4.4)
   */
  run(zones: Zones, query: Query, response: Response, stream: boolean): void {
    this.#reset();
    let key = query.name;
    this.#owner = questionName;
    let hop = 0;
    for (; ; hop++) {
      const zone = this.#zone(zones, key, query.type, hop === 0);
      if (hop === 0) this.#asked = zone;
      if (zone === undefined || this.#step(zone, key, query, response, hop, stream) === done) break;
      key = this.#chained;
    }
    for (; hop >= 0; hop--) this.#visitedIn[hop] = undefined;
    if (!this.truncated) this.#authority(query, response);
    if (!this.truncated) this.#addresses(query, response);
    this.#asked = undefined;
  }

  #reset(): void {
    this.rcode = rcode.noError;
    this.authoritative = false;
    this.truncated = false;
    this.notOurs = false;
    this.notReady = false;
    this.#targetsOf = undefined;
    this.#negative = undefined;
    this.#referral = undefined;
    this.#proofOwner = undefined;
    this.#denial.clear();
  }

  #zone(zones: Zones, key: NameKey, code: number, isFirst: boolean): Zone | undefined {
    let served = zones.find(key, key.labels);
    // What delegates a zone is known above it (RFC 4035 §3.1.4.1).
    if (code === recordType.DS && served?.key.labels === key.labels && key.labels > 0) {
      served = zones.find(key, key.labels - 1) ?? served;
    }
    if (isFirst && served?.zone === undefined) {
      this.notOurs = served === undefined;
      this.notReady = !this.notOurs;
      this.rcode = this.notOurs ? rcode.refused : rcode.serverFailure;
    }
    return served?.zone;
  }

  #step(zone: Zone, key: NameKey, query: Query, response: Response, hop: number, stream: boolean): number {
    const { names } = zone;
    let labels = key.labels < names.depth ? key.labels : names.depth;
    let node = names.find(key, labels);
    const apexLabels = names.apexLabels;
    while (node === none || !names.exists(node)) node = --labels === apexLabels ? 0 : names.find(key, labels);
    const isExact = labels === key.labels;
    // The highest delegation or DNAME on the way from the apex decides.
    let top = none;
    let topLabels = 0;
    for (let at = node, level = labels; at !== none; at = names.parent(at), level--) {
      const flags = names.flags(at);
      if ((flags & nodeFlag.cut) !== 0 || ((flags & nodeFlag.alias) !== 0 && level < key.labels)) {
        top = at;
        topLabels = level;
      }
    }
    if (top !== none && (names.flags(top) & nodeFlag.cut) !== 0) {
      if (top !== node || !isExact || query.type !== recordType.DS) {
        this.#referral = zone;
        this.#referralNode = top;
        this.#referralLabels = topLabels;
        return done;
      }
    }
    if (hop === 0) this.authoritative = true;
    if (top !== none && (names.flags(top) & nodeFlag.alias) !== 0) {
      return this.#rename(zone, top, topLabels, key, query, response, hop);
    }
    if (isExact) {
      // The chain bites its tail.
      if (this.#passed(zone, node, hop)) return done;
      this.#pass(zone, node, hop);
      return this.#answer(zone, node, key, labels, none, query, response, hop, stream);
    }
    const wildcard = names.wildcard(node);
    if (wildcard !== none && names.exists(wildcard)) {
      this.#pass(zone, none, hop);
      return this.#answer(zone, wildcard, key, labels, node, query, response, hop, stream);
    }
    this.rcode = rcode.nameError;
    this.#negative = zone;
    if (!query.dnssecOk) return done;
    if (zone.signer === undefined) this.#denial.noName(zone, key, labels);
    else this.#deny(zone, zone.signer, ownerOf(key), noSuchName, query, response);
    return done;
  }

  /** Proves by one record, made here, what is not there (RFC 9824 §3): a name that has nothing but `types`. */
  #deny(
    zone: Zone,
    signer: SetSigner,
    owner: Uint8Array,
    types: readonly number[],
    query: Query,
    response: Response,
  ): void {
    signer.deny(this.#proof, owner, types, zone.negativeTtl);
    // Where the record says that there is a name, the code does (§3.1), but for who knows (§5.1).
    if (types === noSuchName && !query.compactOk) this.rcode = rcode.noError;
    if (query.type === recordType.NSEC) {
      // The record says that there is one, so it is the answer.
      this.rcode = rcode.noError;
      this.#negative = undefined;
      this.#own(response);
      this.#put(response, this.#proof, true);
    } else this.#proofOwner = owner;
  }

  /**
   * Answers with the records of `node`, as those of `key`.
   *
   * @param encloser the closest encloser when `node` is its wildcard, else {@link none}
   * @param labels of the closest encloser, or of the name
   */
  #answer(
    zone: Zone,
    node: number,
    key: NameKey,
    labels: number,
    encloser: number,
    query: Query,
    response: Response,
    hop: number,
    stream: boolean,
  ): number {
    const { names } = zone;
    const set = this.#set;
    const block = names.block(node);
    if (query.type === recordType.ANY || query.type === recordType.RRSIG) {
      if (this.#some(zone, block, key, encloser === none, query, response, stream)) {
        if (encloser !== none && query.dnssecOk) this.#denial.noCloser(zone, key, labels);
        return done;
      }
    } else if (set.find(names.arena, block, query.type) && set.count > 0) {
      if (query.dnssecOk && zone.signer !== undefined) zone.signer.sign(set, ownerOf(key), encloser === none);
      this.#own(response);
      this.#put(response, set, query.dnssecOk);
      if (encloser !== none && query.dnssecOk) this.#denial.noCloser(zone, key, labels);
      if (hasTarget(query.type)) {
        this.#targets.find(names.arena, block, query.type);
        this.#targetsOf = zone;
        this.#delegation = -1;
      }
      return done;
    } else if (query.type !== recordType.NSEC && set.find(names.arena, block, recordType.CNAME) && set.count > 0) {
      // NSEC may stand beside CNAME (RFC 4035 §2.5): whoever asks for it means this name.
      if (query.dnssecOk && zone.signer !== undefined) zone.signer.sign(set, ownerOf(key), encloser === none);
      this.#own(response);
      this.#put(response, set, query.dnssecOk);
      if (encloser !== none && query.dnssecOk) this.#denial.noCloser(zone, key, labels);
      if (this.truncated || hop + 1 >= longestChain) return done;
      this.#owner = -1;
      this.#ownerBytes = set.bytes;
      this.#ownerFrom = set.at + recordHeaderLength;
      this.#chained.read(set.bytes, this.#ownerFrom, set.at + set.length);
      return follow;
    }
    this.#negative = zone;
    if (!query.dnssecOk) return done;
    if (zone.signer !== undefined) {
      this.#deny(zone, zone.signer, ownerOf(key), this.#typesOf(names, node), query, response);
    } else if (encloser === none) this.#denial.noData(zone, node, key);
    else this.#denial.noWildcardData(zone, node, key, labels);
    return done;
  }

  /** Answers for ANY (RFC 8482 §4.1: one set, when it is not a stream) and RRSIG; false when there is nothing. */
  #some(
    zone: Zone,
    block: number,
    key: NameKey,
    isLasting: boolean,
    query: Query,
    response: Response,
    stream: boolean,
  ): boolean {
    const set = this.#set;
    let any = false;
    set.open(zone.names.arena, block);
    while (set.next()) {
      if (query.dnssecOk && zone.signer !== undefined) zone.signer.sign(set, ownerOf(key), isLasting);
      if (query.type === recordType.RRSIG ? set.signatures === 0 : set.count === 0) continue;
      this.#own(response);
      if (query.type === recordType.ANY) this.#put(response, set, query.dnssecOk);
      else this.#count(response, response.set(set, true, -1));
      any = true;
      if (!stream || this.truncated) break;
    }
    return any;
  }

  /** A DNAME record above the name. */
  #rename(
    zone: Zone,
    node: number,
    labels: number,
    key: NameKey,
    query: Query,
    response: Response,
    hop: number,
  ): number {
    const { names } = zone;
    const set = this.#set;
    if (!set.find(names.arena, names.block(node), recordType.DNAME) || set.count === 0) return done;
    // A chain may pass the same DNAME again; its record is in the response once (RFC 2181 §5).
    if (!this.#passed(zone, renamedBy(node), hop)) {
      if (query.dnssecOk) this.#sign(zone, set, node);
      this.#ownedBy(zone, names, node, labels, query, response, hop);
      this.#put(response, set, query.dnssecOk);
      if (this.truncated) return done;
    }
    // What is below the DNAME's owner goes in front of its target.
    const name = this.#name;
    const from = i32At(key.ends, labels);
    const front = key.length - from;
    const target = set.at + recordHeaderLength;
    const targetLength = set.length - recordHeaderLength;
    if (front + targetLength > 255) {
      this.rcode = nameTooLong;
      return done;
    }
    unkey(key.bytes, from, front, name, front);
    for (let index = 0; index < targetLength; index++) name[front + index] = u8At(set.bytes, target + index);
    this.#own(response);
    const written = response.alias(set.ttl, name, 0);
    this.#count(response, written < 0 ? -1 : 1);
    if (written < 0 || written >= pointerReach || hop + 1 >= longestChain) return done;
    // The record made is what was asked for (RFC 6672 §3.2, step 3a of RFC 1034's algorithm).
    if (query.type === recordType.CNAME || query.type === recordType.ANY) return done;
    this.#pass(zone, renamedBy(node), hop);
    this.#chained.read(name, 0, front + targetLength);
    this.#owner = written;
    return follow;
  }

  /** Signs a set of a node, in a zone whose sets are signed while it is served. */
  #sign(zone: Zone, set: RecordSet, node: number): void {
    if (zone.signer !== undefined) zone.signer.sign(set, lowerName(zone.owner(zone.names, node)), true);
  }

  /** The types that a node has on this side of a delegation. */
  #typesOf(names: NameTree, node: number): number[] {
    const types: number[] = [];
    const isCut = (names.flags(node) & nodeFlag.cut) !== 0;
    const set = this.#other;
    set.open(names.arena, names.block(node));
    while (set.next()) {
      if (set.count === 0 || (isCut && set.type !== recordType.NS && set.type !== recordType.DS)) continue;
      types.push(set.type);
    }
    return types;
  }

  #pass(zone: Zone, node: number, hop: number): void {
    this.#visited[hop] = node;
    this.#visitedIn[hop] = zone;
  }

  #passed(zone: Zone, node: number, hop: number): boolean {
    for (let index = 0; index < hop; index++) {
      if (this.#visited[index] === node && this.#visitedIn[index] === zone) return true;
    }
    return false;
  }

  #own(response: Response): void {
    if (this.#owner >= 0) response.ownerAt(this.#owner);
    else response.owner(this.#ownerBytes, this.#ownerFrom);
  }

  /** Puts a set and its RRSIGs into the answer section. */
  #put(response: Response, set: RecordSet, dnssecOk: boolean): void {
    this.#count(response, response.set(set, false, -1));
    if (!this.truncated && dnssecOk && set.signatures > 0) this.#count(response, response.set(set, true, -1));
  }

  #count(response: Response, count: number): void {
    if (count < 0) this.truncated = true;
    else response.answers += count;
  }

  /** Says whose records come: those of a node that is at the first `labels` labels of the name asked for, or anywhere. */
  #ownedBy(
    zone: Zone,
    tree: NameTree,
    node: number,
    labels: number,
    query: Query,
    response: Response,
    hop: number,
  ): void {
    if (hop === 0 && labels > 0) response.ownerAt(query.suffixAt(labels));
    else response.owner(this.#nameOf(zone, tree, node), 0);
  }

  /** The name of a node, in a buffer that is used for all. */
  #nameOf(zone: Zone, tree: NameTree, node: number): Uint8Array {
    const address = tree.name(node);
    const chunk = tree.arena.chunk(address);
    const at = tree.arena.position(address);
    const length = u8At(chunk, at);
    unkey(chunk, at + 1, length, this.#name, length);
    const { apex } = zone;
    for (let index = 0; index < apex.length; index++) this.#name[length + index] = u8At(apex, index);
    return this.#name;
  }

  #authority(query: Query, response: Response): void {
    if (this.#negative !== undefined) {
      this.#negate(this.#negative, query, response);
    } else if (this.#referral !== undefined) {
      this.#delegate(this.#referral, query, response);
    }
    if (this.#proofOwner !== undefined && !this.truncated) {
      response.owner(this.#proofOwner, 0);
      this.#authorize(response, this.#proof, true, -1);
    }
    const denial = this.#denial;
    for (let index = 0; index < denial.count && !this.truncated; index++) {
      const zone = denial.zoneAt(index);
      const node = denial.nodeAt(index);
      const tree = denial.isHashed(index) ? zone.hashed : zone.names;
      const code = denial.isHashed(index) ? recordType.NSEC3 : recordType.NSEC;
      if (!this.#other.find(tree.arena, tree.block(node), code)) continue;
      if (zone === this.#asked) this.#ownNear(tree, node, query, response);
      else response.owner(this.#nameOf(zone, tree, node), 0);
      this.#authorize(response, this.#other, true, -1);
    }
  }

  /** Puts the SOA record into the authority section. */
  #negate(zone: Zone, query: Query, response: Response): void {
    const labels = zone.apexKey.labels;
    if (zone === this.#asked && zone.signer === undefined && labels > 0) {
      if (!response.negative(zone.negative(query.dnssecOk), query.suffixAt(labels))) this.truncated = true;
      return;
    }
    const { names } = zone;
    this.#other.find(names.arena, names.block(0), recordType.SOA);
    if (query.dnssecOk) this.#sign(zone, this.#other, 0);
    response.owner(zone.apex, 0);
    // RFC 2308 §3: the lesser of its TTL and its last field.
    this.#authorize(response, this.#other, query.dnssecOk, zone.negativeTtl);
  }

  /** Says that the records to come are those of a node of the zone that the question's name is in. */
  #ownNear(tree: NameTree, node: number, query: Query, response: Response): void {
    const { name } = query;
    const address = tree.name(node);
    const chunk = tree.arena.chunk(address);
    const at = tree.arena.position(address) + 1;
    const length = u8At(chunk, at - 1);
    // The labels that both have, from the apex on.
    let labels = tree.apexLabels;
    let same = 0;
    for (let label = labels + 1; label <= name.labels; label++) {
      const end = i32At(name.ends, label) - tree.apexLength;
      let index = same;
      while (index < end && index < length && u8At(chunk, at + index) === u8At(name.bytes, tree.apexLength + index)) {
        index++;
      }
      if (index < end) break;
      same = end;
      labels = label;
    }
    const suffix = labels === 0 ? -1 : query.suffixAt(labels);
    if (same === length && suffix >= 0) response.ownerAt(suffix);
    else {
      const front = length - same;
      unkey(chunk, at + same, front, this.#name, front);
      this.#name[front] = 0;
      if (suffix >= 0) response.ownerUnder(this.#name, front, suffix);
      else response.owner(this.#name, 0);
    }
  }

  #delegate(zone: Zone, query: Query, response: Response): void {
    const { names } = zone;
    const node = this.#referralNode;
    const block = names.block(node);
    if (!this.#targets.find(names.arena, block, recordType.NS)) return;
    this.#targetsOf = zone;
    this.#delegation = this.#referralLabels;
    response.owner(this.#nameOf(zone, names, node), 0);
    // A delegation is not ours to sign: there are no RRSIGs.
    this.#authorize(response, this.#targets, false, -1);
    if (!query.dnssecOk || this.truncated) return;
    if (this.#other.find(names.arena, block, recordType.DS) && this.#other.count > 0) {
      this.#sign(zone, this.#other, node);
      this.#authorize(response, this.#other, true, -1);
    } else if (zone.signer !== undefined) {
      const owner = lowerName(zone.owner(names, node));
      this.#proofOwner = owner;
      zone.signer.deny(this.#proof, owner, delegationTypes, zone.negativeTtl);
    } else {
      this.#denial.noSigner(zone, node);
    }
  }

  #authorize(response: Response, set: RecordSet, dnssecOk: boolean, ttl: number): void {
    const count = response.set(set, false, ttl);
    if (count < 0) {
      this.truncated = true;
      return;
    }
    response.authorities += count;
    if (!dnssecOk || set.signatures === 0) return;
    const signatures = response.set(set, true, ttl);
    if (signatures < 0) this.truncated = true;
    else response.authorities += signatures;
  }

  /** Addresses of the names in the records sent: first those without which a delegation is of no use (RFC 9471). */
  #addresses(query: Query, response: Response): void {
    const zone = this.#targetsOf;
    if (zone === undefined) return;
    let sent = 0;
    for (let round = this.#delegation >= 0 ? 0 : 1; round < 2; round++) {
      let at = this.#targets.at;
      for (let index = 0; index < this.#targets.count && sent < mostTargets; index++) {
        const { bytes } = this.#targets;
        const name = at + recordHeaderLength + bytesBeforeName(this.#targets.type);
        at += recordHeaderLength + u16At(bytes, at + 8);
        const key = this.#targetKey;
        if (key.read(bytes, name, at) < 0 || !zone.contains(key)) continue;
        const isInside = this.#delegation >= 0 && this.#isInsideDelegation(zone, key);
        if (this.#delegation >= 0 && isInside !== (round === 0)) continue;
        const node = zone.names.find(key, key.labels);
        if (node === none) continue;
        if (this.#wasSent(node, sent)) continue;
        if (this.#targets.type !== recordType.NS && this.#isBelowCut(zone.names, node)) continue;
        this.#sent[sent++] = node;
        response.owner(bytes, name);
        const fits = this.#address(zone, node, recordType.A, query, response);
        if ((fits && this.#address(zone, node, recordType.AAAA, query, response)) || !isInside) continue;
        this.truncated = true;
        return;
      }
    }
  }

  #wasSent(node: number, sent: number): boolean {
    for (let index = 0; index < sent; index++) if (this.#sent[index] === node) return true;
    return false;
  }

  #isInsideDelegation(zone: Zone, key: NameKey): boolean {
    const { names } = zone;
    const labels = this.#delegation;
    return key.labels >= labels && names.find(key, labels) === this.#referralNode;
  }

  #isBelowCut(names: NameTree, node: number): boolean {
    for (let at = node; at !== none; at = names.parent(at)) {
      if ((names.flags(at) & nodeFlag.cut) !== 0) return true;
    }
    return false;
  }

  /** False when there are addresses that do not fit. */
  #address(zone: Zone, node: number, code: number, query: Query, response: Response): boolean {
    const set = this.#other;
    const { names } = zone;
    if (!set.find(names.arena, names.block(node), code) || set.count === 0) return true;
    if (query.dnssecOk && zone.signer !== undefined && !this.#isBelowCut(names, node)) this.#sign(zone, set, node);
    const count = response.set(set, false, -1);
    if (count < 0) return false;
    response.additionals += count;
    if (query.dnssecOk && set.signatures > 0) {
      const signatures = response.set(set, true, -1);
      if (signatures > 0) response.additionals += signatures;
    }
    return true;
  }
}

/** The name of a key as on the wire. */
function ownerOf(key: NameKey): Uint8Array {
  const { length } = key;
  const owner = new Uint8Array(length + 1);
  unkey(key.bytes, 0, length, owner, length);
  return owner;
}
