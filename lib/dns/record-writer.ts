import { writeInt32 } from "@tesserae/wire/field";
import { labelsOf } from "./name.ts";
import type { Question, RecordData, ResourceRecord } from "./record.ts";
import { formatOf } from "./record/registry.ts";
import { recordType } from "./wire.ts";

/** Pointers reach no further. */
const pointerReach = 0x4000;

/** Writes a message from front to back, with names compressed (RFC 1035 §4.1.4). Throws RangeError where there is no room. */
export class RecordWriter {
  at: number;
  readonly #data: Uint8Array;
  /** Where each name, and each end of one, was written. Names are compared with their case, which so stays as is. */
  readonly #names = new Map<string, number>();

  constructor(data: Uint8Array, at: number) {
    this.#data = data;
    this.at = at;
  }

  u8(value: number): void {
    this.#room(1);
    this.#data[this.at++] = check(value, 0xff);
  }

  u16(value: number): void {
    this.#room(2);
    check(value, 0xffff);
    this.#data[this.at++] = value >>> 8;
    this.#data[this.at++] = value & 255;
  }

  u32(value: number): void {
    this.#room(4);
    writeInt32(this.#data, this.at, check(value, 0xffffffff) | 0);
    this.at += 4;
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#data.set(bytes, this.at);
    this.at += bytes.length;
  }

  string(bytes: Uint8Array): void {
    this.u8(bytes.length);
    this.bytes(bytes);
  }

  /** @param compress false in records newer than RFC 1035, whose names others could not follow (RFC 3597 §4) */
  name(name: string, compress = true): void {
    const labels = labelsOf(name);
    const keys = labels.map((label) => Array.from(label, (byte) => byte.toString(16).padStart(2, "0")).join(""));
    for (let index = 0; index < labels.length; index++) {
      const key = keys.slice(index).join(".");
      const before = this.#names.get(key);
      if (compress && before !== undefined) {
        this.u16(0xc000 | before);
        return;
      }
      if (before === undefined && this.at < pointerReach) this.#names.set(key, this.at);
      const label = labels[index];
      if (label !== undefined) this.string(label);
    }
    this.u8(0);
  }

  question(question: Question): void {
    this.name(question.name);
    this.u16(question.type);
    this.u16(question.class);
  }

  record(record: ResourceRecord): void {
    const { data } = record;
    this.name(record.name);
    this.u16(data.type === "unknown" ? data.code : recordType[data.type]);
    this.u16(record.class);
    this.u32(record.ttl);
    this.sized(() => this.#recordData(data));
  }

  /** Two bytes of length in front of what `write` writes. */
  sized(write: () => void): void {
    const at = this.at;
    this.u16(0);
    write();
    const length = check(this.at - at - 2, 0xffff);
    this.#data[at] = length >>> 8;
    this.#data[at + 1] = length & 255;
  }

  #recordData(data: RecordData): void {
    if (data.type === "unknown") this.bytes(data.bytes);
    else formatOf(recordType[data.type])?.write(this, data);
  }

  #room(length: number): void {
    if (this.at + length > this.#data.length)
      throw new RangeError(`the message needs more than ${this.#data.length} bytes`);
  }
}

function check(value: number, most: number): number {
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new RangeError(`${value} is not an integer from 0 to ${most}`);
  }
  return value;
}
