import type { Crypto } from "@tesserae/device/crypto";
import type { WritableKv } from "@tesserae/device/kv";
import type { Log } from "@tesserae/device/log";
import type { Zone } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { nameToText } from "../name-bytes.ts";
import type { WireRecord } from "../wire-record.ts";
import { changesOf, type Difference, differenceSize, serialsOf } from "./difference.ts";
import { decodeRecords, encodedLength, encodeRecords, folderOf } from "./kept-records.ts";
import { decodeDifference, encodeDifference } from "./journal-store.ts";
import { isNewer } from "./serial.ts";
import { WriteQueue } from "./write-queue.ts";

const folder = "dns-zone";
/** Bytes in one entry: a store, and what reads it, need not hold a whole zone in one piece. */
const pieceLength = 2 ** 20;
/** Pieces that are read of one zone: 4 GiB. */
const mostPieces = 4096;
const hashLength = 32;
const magic = [0x54, 0x5a, 0x4e, 0x01] as const;

export interface ZoneStoreOptions {
  readonly kv: WritableKv;
  readonly crypto: Pick<Crypto, "hash">;
  readonly log?: Log;
}

/** A zone as it was kept, and when its primary was last heard. */
export interface KeptZone {
  readonly zone: Zone;
  /** Wall-clock milliseconds. */
  readonly confirmed: number;
}

/** What is known of a zone's entries. */
interface Kept {
  /** The serial number of the newest version. */
  newest: number;
  /** Bytes of the differences, and of the whole version. */
  differences: number;
  whole: number;
}

/**
 * Keeps whole zones: those of others, so that they are served at once after a restart, and those that are signed here.
 * A version is kept in pieces, what changed since as differences; when these are longer than half of it, or than 16 MiB,
 * the newest version is written and they go. Every entry has a hash: what was damaged is left out, with all of its zone
 * that follows from it.
 *
 * Entries of a zone: `dns-zone/ZONE/SERIAL/PIECE`, `dns-zone/ZONE/SERIAL/head` which says how many pieces there are,
 * `dns-zone/ZONE/difference/FROM-TO`, and `dns-zone/ZONE/confirmed`.
 */
export class ZoneStore {
  readonly #kv: WritableKv;
  readonly #crypto: Pick<Crypto, "hash">;
  readonly #log: Log | undefined;
  readonly #kept = new Map<string, Kept>();
  readonly #writes = new WriteQueue();

  constructor(options: ZoneStoreOptions) {
    this.#kv = options.kv;
    this.#crypto = options.crypto;
    this.#log = options.log;
  }

  /**
   * The newest version that is kept whole and undamaged; `undefined` without one. What is damaged is deleted.
   *
   * @throws KvError (rejects).
   */
  async read(apex: Uint8Array): Promise<KeptZone | undefined> {
    const place = folderOf(folder, apex);
    const confirmed = numberIn(await this.#get(`${place}/confirmed`));
    let found: { zone: Zone; whole: number } | undefined;
    for (const serial of await this.#versions(place)) {
      const whole = found === undefined ? await this.#readWhole(apex, place, serial) : undefined;
      if (whole === undefined) await this.#deleteBelow(`${place}/${serial}`);
      else found = whole;
    }
    if (found === undefined || confirmed === undefined) {
      await this.#deleteBelow(place);
      return undefined;
    }
    const kept: Kept = { newest: found.zone.serial, differences: 0, whole: found.whole };
    let { zone } = found;
    const differences = new Map<number, Difference>();
    for (const key of await this.#kv.list(`${place}/difference/`)) {
      const bytes = await this.#get(key);
      const difference = bytes === undefined ? undefined : decodeDifference(bytes);
      if (difference !== undefined) differences.set(serialsOf(difference)[0], difference);
      else await this.#kv.delete(key);
    }
    for (let next = differences.get(zone.serial); next !== undefined; next = differences.get(zone.serial)) {
      differences.delete(zone.serial);
      zone = zone.update(changesOf(next));
      kept.differences += differenceSize(next);
    }
    for (const rest of differences.values()) await this.#kv.delete(differenceKey(place, rest));
    kept.newest = zone.serial;
    this.#kept.set(place, kept);
    return { zone, confirmed };
  }

  /**
   * Keeps a version, in the order of the calls.
   *
   * @param difference leads to it from the version kept last; without one, or when that is another, all of it is written
   * @param confirmed wall-clock milliseconds
   */
  keep(zone: Zone, difference: Difference | undefined, confirmed: number): void {
    this.#enqueue(zone.apex, async () => {
      const place = folderOf(folder, zone.apex);
      const kept = this.#kept.get(place);
      const isNext = kept !== undefined && difference !== undefined && serialsOf(difference)[0] === kept.newest;
      const size = difference === undefined ? 0 : differenceSize(difference);
      const most = Math.min(2 ** 24, Math.max(65_536, (kept?.whole ?? 0) / 2));
      if (isNext && kept.differences + size <= most) {
        await this.#set(differenceKey(place, difference), encodeDifference(difference));
        kept.newest = zone.serial;
        kept.differences += size;
      } else await this.#writeWhole(place, zone);
      await this.#set(`${place}/confirmed`, numberBytes(confirmed));
    });
  }

  /** Keeps that the primary said that there is nothing newer. */
  confirm(apex: Uint8Array, confirmed: number): void {
    this.#enqueue(apex, () => this.#set(`${folderOf(folder, apex)}/confirmed`, numberBytes(confirmed)));
  }

  /** Keeps a zone no more. */
  forget(apex: Uint8Array): void {
    this.#enqueue(apex, async () => {
      const place = folderOf(folder, apex);
      this.#kept.delete(place);
      await this.#deleteBelow(place);
    });
  }

  /** Resolves when everything so far is kept. @throws what the store said (rejects), when something is not. */
  async flush(): Promise<void> {
    await this.#writes.flush();
  }

  /** Resolves when nothing is being written any more. */
  async close(): Promise<void> {
    await this.#writes.idle();
  }

  #enqueue(apex: Uint8Array, write: () => Promise<void>): void {
    this.#writes.add(write, (error) => {
      // The next version is written as a whole.
      this.#kept.delete(folderOf(folder, apex));
      this.#log?.error("a zone was not kept", { zone: nameToText(apex), why: String(error) });
    });
  }

  async #readWhole(
    apex: Uint8Array,
    place: string,
    serial: number,
  ): Promise<{ zone: Zone; whole: number } | undefined> {
    const pieces = numberIn(await this.#get(`${place}/${serial}/head`));
    if (pieces === undefined || pieces > mostPieces) return undefined;
    const builder = new ZoneBuilder(apex);
    let whole = 0;
    for (let piece = 0; piece < pieces; piece++) {
      const bytes = await this.#get(`${place}/${serial}/${piece}`);
      const records = bytes === undefined ? undefined : decodeRecords(bytes, 0, bytes.length);
      if (bytes === undefined || records === undefined) return undefined;
      for (const record of records) if (builder.add(record) !== undefined) return undefined;
      whole += bytes.length;
    }
    const built = builder.finish();
    return built.ok && built.zone.serial === serial ? { zone: built.zone, whole } : undefined;
  }

  async #writeWhole(place: string, zone: Zone): Promise<void> {
    const before = await this.#kv.list(`${place}/`);
    const version = `${place}/${zone.serial}`;
    let pieces = 0;
    let whole = 0;
    let records: WireRecord[] = [];
    let length = 0;
    const write = async (): Promise<void> => {
      await this.#set(`${version}/${pieces++}`, encodeRecords(records));
      whole += length;
      records = [];
      length = 0;
    };
    // A version that was begun under this number does not count any more.
    await this.#kv.delete(`${version}/head`);
    for (const record of zone.records()) {
      const more = encodedLength(record);
      if (length + more > pieceLength && records.length > 0) await write();
      records.push(record);
      length += more;
    }
    await write();
    // Only now it counts, and only then what was before goes: no moment has neither.
    await this.#set(`${version}/head`, numberBytes(pieces));
    for (const key of before) {
      if (key !== `${place}/confirmed` && !key.startsWith(`${version}/`)) await this.#kv.delete(key);
    }
    this.#kept.set(place, { newest: zone.serial, differences: 0, whole });
  }

  /** Serial numbers that there are pieces of, the newest first. */
  async #versions(place: string): Promise<number[]> {
    const serials = new Set<number>();
    for (const key of await this.#kv.list(`${place}/`)) {
      const [, serial] = /^\/(\d{1,10})\//.exec(key.slice(place.length)) ?? [];
      if (serial !== undefined) serials.add(Number(serial));
    }
    return [...serials].sort((a, b) => (isNewer(a, b) ? -1 : 1));
  }

  async #deleteBelow(place: string): Promise<void> {
    for (const key of await this.#kv.list(`${place}/`)) await this.#kv.delete(key);
  }

  /** An entry without its hash; `undefined` when it is not there, or damaged. */
  async #get(key: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#kv.get(key);
    if (bytes === undefined) return undefined;
    const body = bytes.subarray(magic.length + hashLength);
    const isRight =
      bytes.length >= magic.length + hashLength &&
      magic.every((byte, at) => bytes[at] === byte) &&
      this.#hash(key, body).every((byte, at) => bytes[magic.length + at] === byte);
    if (isRight) return body;
    this.#log?.warn("what was kept is damaged", { key });
    return undefined;
  }

  async #set(key: string, body: Uint8Array): Promise<void> {
    const bytes = new Uint8Array(magic.length + hashLength + body.length);
    bytes.set(magic);
    bytes.set(this.#hash(key, body), magic.length);
    bytes.set(body, magic.length + hashLength);
    await this.#kv.set(key, bytes);
  }

  /** Of the entry and its key, so that an entry that came to another's place is not taken for it. */
  #hash(key: string, body: Uint8Array): Uint8Array {
    const name = Uint8Array.from(key, (character) => character.charCodeAt(0));
    const all = new Uint8Array(name.length + 1 + body.length);
    all.set(name);
    all.set(body, name.length + 1);
    return this.#crypto.hash("sha256", all);
  }
}

function differenceKey(place: string, difference: Difference): string {
  return `${place}/difference/${serialsOf(difference).join("-")}`;
}

function numberBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

function numberIn(bytes: Uint8Array | undefined): number | undefined {
  if (bytes?.length !== 8) return undefined;
  const value = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
  return Number.isFinite(value) && value >= 0 ? value : undefined;
}
