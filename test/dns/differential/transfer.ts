// Takes a zone from a server by AXFR, as records whose bytes are not compressed.
import { connect } from "node:net";
import type { WireRecord } from "@tesserae/dns/wire-record";
import type { RunningServer } from "../servers/running.ts";
import { wireName } from "./queries.ts";

/** Types whose data may have compressed names: how many octets stand before the names, and how many names there are. */
const compressible: Readonly<Record<number, readonly [before: number, names: number]>> = {
  ...{
    2: [0, 1],
    5: [0, 1],
    6: [0, 2],
    12: [0, 1],
    15: [2, 1],
    17: [0, 2],
    18: [2, 1],
    33: [6, 1],
    36: [2, 1],
    39: [0, 1],
  },
};

/** The zone's records; the SOA record once. @throws Error when the server does not give it */
export async function transferZone({ name, address, port }: RunningServer, apex: string): Promise<WireRecord[]> {
  const query = Buffer.concat([
    Buffer.from([0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    wireName(apex),
    Buffer.from([0, 252, 0, 1]),
  ]);
  query.writeUInt16BE(query.length - 2, 0);
  const socket = connect(port, address);
  socket.write(query);
  let buffer = Buffer.alloc(0);
  const records: WireRecord[] = [];
  try {
    // as: a socket without an encoding gives buffers
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= 2 && buffer.length >= 2 + buffer.readUInt16BE(0)) {
        const message = buffer.subarray(2, 2 + buffer.readUInt16BE(0));
        buffer = buffer.subarray(2 + message.length);
        if ((message[3]! & 15) !== 0) throw new Error(`${name} refuses to transfer ${apex}: rcode ${message[3]! & 15}`);
        for (const record of recordsOf(message)) {
          if (record.type === 6 && records.length > 0) return records;
          records.push(record);
        }
      }
    }
  } finally {
    socket.destroy();
  }
  throw new Error(`${name} ended the transfer of ${apex} early`);
}

function* recordsOf(message: Buffer): Generator<WireRecord> {
  let at = 12;
  for (let count = message.readUInt16BE(4); count > 0; count--) at = plainName(message, at).next + 4;
  for (let count = message.readUInt16BE(6); count > 0; count--) {
    const owner = plainName(message, at);
    const fixed = owner.next;
    const type = message.readUInt16BE(fixed);
    const start = fixed + 10;
    at = start + message.readUInt16BE(fixed + 8);
    yield {
      ...{ owner: owner.bytes, type, class: message.readUInt16BE(fixed + 2), ttl: message.readUInt32BE(fixed + 4) },
      data: plainData(message, type, start, at),
    };
  }
}

function plainData(message: Buffer, type: number, start: number, end: number): Uint8Array {
  const [before, names] = compressible[type] ?? [0, 0];
  const parts: Uint8Array[] = [message.subarray(start, start + before)];
  let at = start + before;
  for (let count = names; count > 0; count--) {
    const { bytes, next } = plainName(message, at);
    parts.push(bytes);
    at = next;
  }
  return new Uint8Array(Buffer.concat([...parts, message.subarray(at, end)]));
}

function plainName(message: Buffer, start: number): { bytes: Uint8Array; next: number } {
  const parts: Uint8Array[] = [];
  let next = -1;
  for (let at = start; ;) {
    const length = message[at]!;
    if (length >= 0xc0) {
      if (next < 0) next = at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
      continue;
    }
    parts.push(message.subarray(at, at + length + 1));
    at += length + 1;
    if (length === 0) return { bytes: new Uint8Array(Buffer.concat(parts)), next: next < 0 ? at : next };
  }
}
