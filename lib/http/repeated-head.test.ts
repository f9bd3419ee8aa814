import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gotEnd, gotHead, needInput } from "./message-event.ts";
import { OutputBuffer } from "./output-buffer.ts";
import { RequestParser, type RequestHead } from "./request-parser.ts";

const limits = { maxStartLine: 2000, maxHead: 4000, maxFields: 20, maxChunkLine: 100 };
const encoder = new TextEncoder();
const heads = [
  "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
  "GET / HTTP/1.1\r\nhost: b\r\n\r\n",
  "GET /long HTTP/1.1\r\nhost: a\r\nx: " + "y".repeat(600) + "\r\n\r\n",
  "\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
  "HEAD / HTTP/1.0\r\n\r\n",
  "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
  "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
];

/** The heads of all requests in `pieces`, one after the other. */
function parse(pieces: readonly Uint8Array[]): (RequestHead | undefined)[] {
  const parser = new RequestParser(limits);
  const found: (RequestHead | undefined)[] = [];
  let left: Uint8Array = new Uint8Array(0);
  for (const piece of pieces) {
    const bytes = new Uint8Array([...left, ...piece]);
    let at = 0;
    for (let event = parser.next(bytes, at, bytes.length); event !== needInput;) {
      if (event === gotHead) found.push(parser.head);
      expect(parser.fault).toBeUndefined();
      at = parser.consumed;
      if (event === gotEnd && at === bytes.length) break;
      event = parser.next(bytes, at, bytes.length);
    }
    left = bytes.subarray(parser.consumed);
  }
  return found;
}

describe("a head that is sent again", () => {
  test("means what it meant, however requests follow each other and are cut into pieces", () => {
    const order = fc.array(fc.nat(heads.length - 1), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(order, fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 }), (order, sizes) => {
        const all = encoder.encode(order.map((each) => heads[each]).join(""));
        const pieces: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const size = sizes[turn % sizes.length]!;
          pieces.push(all.subarray(at, at + size));
          at += size;
        }
        const alone = order.map((each) => parse([encoder.encode(heads[each])])[0]);
        expect(parse(pieces)).toEqual(alone);
        expect(parse([all])).toEqual(alone);
      }),
    );
  });

  test("is not parsed again: it is the same object", () => {
    const found = parse([encoder.encode(heads[0]!.repeat(3))]);
    expect(found[1]).toBe(found[0]);
    expect(found[2]).toBe(found[0]);
  });
});

test("a body sent several times in a row has its own length each time", () => {
  const out = new OutputBuffer();
  const bodies = ["", "a", "a", "a", "ä€", "ä€", "ä€", "b", "b", "", ""];
  for (const body of bodies) out.appendLengthAndBody(body);
  const sizes = bodies.map((body) => `content-length: ${encoder.encode(body).length}\r\n\r\n${body}`);
  expect(new TextDecoder().decode(out.view())).toBe(sizes.join(""));
});
