import type { WritableKv } from "@tesserae/device/kv";
import type { Log } from "@tesserae/device/log";
import { putU32, u32At } from "../authoritative/octets.ts";
import type { Zone } from "../authoritative/zone.ts";
import { nameToText } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import { changesOf, condense, type Difference, serialsOf } from "./difference.ts";
import { decodeRecords, encodeRecords, folderOf } from "./kept-records.ts";
import type { Journal } from "./journal.ts";
import { isNewer } from "./serial.ts";
import { WriteQueue } from "./write-queue.ts";

/** Differences kept one by one; above it they become one. */
const mostKept = 64;
const folder = "dns-journal";

export interface JournalStoreOptions {
  readonly kv: WritableKv;
  readonly journal: Journal;
  /** Which zones' changes are kept. Default: all. */
  readonly keeps?: (apex: Uint8Array) => boolean;
  readonly log?: Log;
}

/**
 * Keeps differences, so that what updates changed is there again after a restart: the zone's file as it was, and what was
 * changed since. A difference is a key of its own, `dns-journal/ZONE/FROM-TO`.
 */
export class JournalStore {
  readonly #kv: WritableKv;
  readonly #log: Log | undefined;
  readonly #unwatch: () => void;
  readonly #writes = new WriteQueue();

  constructor(options: JournalStoreOptions) {
    this.#kv = options.kv;
    this.#log = options.log;
    this.#unwatch = options.journal.onDifference((zone, difference) => {
      if (options.keeps?.(zone.apex) === false) return;
      const write = (): Promise<void> => this.#write(zone.apex, difference);
      this.#writes.add(write, (error) => {
        this.#log?.error("a change was not kept", { zone: nameToText(zone.apex), why: String(error) });
      });
    });
  }

  /**
   * The version of a zone that changes led to before. What cannot be read, or does not fit because the zone's file is
   * newer than it, is left out and deleted.
   */
  async restore(zone: Zone): Promise<Zone> {
    const kept = await this.#read(zone.apex);
    let now = zone;
    const used = new Set<string>();
    for (;;) {
      // Where differences became one before the others were deleted, the longest step is the right one.
      let best: (typeof kept)[number] | undefined;
      for (const each of kept) {
        if (serialsOf(each.difference)[0] !== now.serial) continue;
        if (best === undefined || isNewer(serialsOf(each.difference)[1], serialsOf(best.difference)[1])) best = each;
      }
      if (best === undefined) break;
      now = now.update(changesOf(best.difference));
      used.add(best.key);
    }
    for (const { key } of kept) if (!used.has(key)) await this.#kv.delete(key);
    return now;
  }

  /** Resolves when everything so far is kept. @throws what the store said (rejects), when something is not. */
  async flush(): Promise<void> {
    await this.#writes.flush();
  }

  /** Keeps nothing more. */
  async close(): Promise<void> {
    this.#unwatch();
    await this.#writes.idle();
  }

  async #write(apex: Uint8Array, difference: Difference): Promise<void> {
    await this.#kv.set(keyOf(apex, difference), encodeDifference(difference));
    const keys = await this.#kv.list(folderOf(folder, apex));
    if (keys.length <= mostKept) return;
    // One difference takes their place. It is written before they go, so that no moment has neither.
    const kept = await this.#read(apex);
    const chain = chainOf(kept.map((each) => each.difference));
    if (chain.length < 2) return;
    const whole = chain.reduce(condense);
    const wholeKey = keyOf(apex, whole);
    await this.#kv.set(wholeKey, encodeDifference(whole));
    for (const { key } of kept) if (key !== wholeKey) await this.#kv.delete(key);
  }

  async #read(apex: Uint8Array): Promise<{ readonly key: string; readonly difference: Difference }[]> {
    const found: { readonly key: string; readonly difference: Difference }[] = [];
    for (const key of await this.#kv.list(folderOf(folder, apex))) {
      const bytes = await this.#kv.get(key);
      const difference = bytes === undefined ? undefined : decodeDifference(bytes);
      if (difference !== undefined) found.push({ key, difference });
      else {
        this.#log?.warn("a kept change cannot be read", { key });
        await this.#kv.delete(key);
      }
    }
    return found;
  }
}

/** From the first to the last that fits. */
function chainOf(differences: readonly Difference[]): Difference[] {
  const ends = new Set(differences.map((each) => serialsOf(each)[1]));
  let next = differences.find((each) => !ends.has(serialsOf(each)[0]));
  const chain: Difference[] = [];
  while (next !== undefined && chain.length <= differences.length) {
    chain.push(next);
    const serial = serialsOf(next)[1];
    next = differences.find((each) => serialsOf(each)[0] === serial);
  }
  return chain;
}

function keyOf(apex: Uint8Array, difference: Difference): string {
  return `${folderOf(folder, apex)}/${serialsOf(difference).join("-")}`;
}

const magic = 0x544a4401;
const headLength = 12;

/** A difference as bytes: a magic number, the two SOA records, counts and records, each as on the wire uncompressed. */
export function encodeDifference({ from, to, removed, added }: Difference): Uint8Array {
  const records = encodeRecords([from, to, ...removed, ...added]);
  const bytes = new Uint8Array(headLength + records.length);
  putU32(bytes, 0, magic);
  putU32(bytes, 4, removed.length);
  putU32(bytes, 8, added.length);
  bytes.set(records, headLength);
  return bytes;
}

/** Undefined when the bytes are no difference. */
export function decodeDifference(bytes: Uint8Array): Difference | undefined {
  if (bytes.length < headLength || u32At(bytes, 0) !== magic) return undefined;
  const [gone, come] = [u32At(bytes, 4), u32At(bytes, 8)];
  const records = decodeRecords(bytes, headLength, bytes.length);
  if (records?.length !== gone + come + 2) return undefined;
  const [from, to] = records;
  if (from?.type !== recordType.SOA || to?.type !== recordType.SOA) return undefined;
  if (from.data.length < 22 || to.data.length < 22) return undefined;
  return { from, to, removed: records.slice(2, 2 + gone), added: records.slice(2 + gone) };
}
