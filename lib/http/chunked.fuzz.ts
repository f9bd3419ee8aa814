import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { ChunkedDecoder } from "./chunked.ts";
import { gotData, gotEnd, needInput } from "./message-event.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const limits = { maxStartLine: 256, maxHead: 1024, maxFields: 8 };

/** What came of a body: its octets, and how and where the decoder ended. */
function decode(input: Uint8Array, piece: number): { body: number[]; end: string; at: number } {
  const decoder = new ChunkedDecoder(limits);
  const body: number[] = [];
  for (let start = 0; start < input.length; start += piece) {
    const end = Math.min(start + piece, input.length);
    let at = start;
    while (at < end) {
      const event = decoder.next(input, at, end);
      if (decoder.consumed < at || decoder.consumed > end)
        throw new Error(`consumed ${decoder.consumed} of ${at}–${end}`);
      if (event === needInput) {
        if (decoder.consumed !== end) throw new Error("asks for more with octets left");
        break;
      }
      if (event === gotData) {
        const { dataOffset, dataLength } = decoder;
        if (dataLength <= 0 || dataOffset < at || dataOffset + dataLength > end)
          throw new Error("data outside the piece");
        body.push(...input.subarray(dataOffset, dataOffset + dataLength));
      } else if (event === gotEnd) return { body, end: "end", at: decoder.consumed };
      else return { body, end: decoder.fault?.message ?? "no fault", at: 0 };
      at = decoder.consumed;
    }
  }
  return { body, end: "more", at: input.length };
}

export const fuzz: FuzzTarget = {
  name: "http chunked",
  seeds: [
    encode("5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n"),
    encode('1;q="x\\"y"\r\nz\r\n0\r\nDigest: abc\r\n\r\nGET /'),
    encode("ffffffffffff\r\n"),
  ],
  run(input) {
    // However the octets come, they mean the same.
    const whole = decode(input, input.length);
    if (whole.body.length > input.length) throw new Error("more data than octets");
    for (const piece of [1, 3]) {
      const pieces = decode(input, piece);
      if (JSON.stringify(pieces) !== JSON.stringify(whole)) {
        throw new Error(`in pieces of ${piece}: ${JSON.stringify(pieces)}, at once: ${JSON.stringify(whole)}`);
      }
    }
  },
};
