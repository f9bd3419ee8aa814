import type { Zone } from "../authoritative/zone.ts";
import { type WireQuestion } from "../wire-message.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import type { WireRecord } from "../wire-record.ts";
import { type Difference, differenceSize, soaOf } from "./difference.ts";
import { messageFlag } from "../wire.ts";

/** A transfer as it was asked for. */
export interface TransferRequest {
  readonly id: number;
  readonly question: WireQuestion;
  /** The longest message, bytes. */
  readonly limit: number;
  /** How long messages become that hold more than one record: what compression reaches. Default: the limit. */
  readonly usual?: number;
}

/** The records of a full transfer (RFC 5936 §2.2). */
export function* fullTransfer(zone: Zone): Generator<WireRecord, undefined> {
  yield* zone.records();
  yield soaOf(zone);
  return undefined;
}

/** The records of an incremental transfer (RFC 1995 §4). */
export function* incrementalTransfer(zone: Zone, differences: readonly Difference[]): Generator<WireRecord, undefined> {
  const newest = soaOf(zone);
  yield newest;
  for (const { from, to, removed, added } of differences) {
    yield from;
    yield* removed;
    yield to;
    yield* added;
  }
  yield newest;
  return undefined;
}

/** Whether the differences are shorter than the zone, so that it is worth to send them. */
export function isWorthwhile(zone: Zone, differences: readonly Difference[]): boolean {
  const zoneSize = zone.names.arena.size + zone.hashed.arena.size;
  let size = 0;
  for (const difference of differences) size += differenceSize(difference);
  return size <= zoneSize;
}

/** Packs records into messages, each as long as it may be. The first one repeats the question (RFC 5936 §2.2.1). */
export function* transferMessages(
  { id, question, limit, usual = limit }: TransferRequest,
  records: Iterable<WireRecord>,
): Generator<Uint8Array, undefined> {
  const room = new Uint8Array(limit + 1000);
  const short = Math.min(usual, limit);
  let writer = new WireMessageWriter(room, short);
  writer.question(question);
  let count = 0;
  const said = { question: false };
  const finish = (): Uint8Array => {
    said.question = true;
    const length = writer.finish(id, messageFlag.response | messageFlag.authoritative, 0);
    writer = new WireMessageWriter(room, short);
    count = 0;
    return room.slice(0, length);
  };
  for (const record of records) {
    if (!writer.records("answers", [record])) {
      if (count > 0) yield finish();
      if (!writer.records("answers", [record])) {
        writer = new WireMessageWriter(room, limit);
        if (!said.question) writer.question(question);
        // A record of nearly 65,535 bytes, which fits into no message, cannot be transferred at all.
        if (!writer.records("answers", [record])) throw new RangeError("a record is too long for a message");
      }
    }
    count++;
  }
  if (count > 0) yield finish();
  return undefined;
}
