import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChunkedDecoder, chunkedEnd, maxChunkHead, writeChunkHead } from "./chunked.ts";
import { formatDate, parseDate } from "./date.ts";
import { gotData, gotEnd, needInput } from "./message-event.ts";
import { fuzz as fuzzRange } from "./range.fuzz.ts";
import { parseRange } from "./range.ts";
import { fuzz as fuzzRequest, trace as traceRequest } from "./request-parser.fuzz.ts";
import { fuzz as fuzzResponse, trace as traceResponse } from "./response-parser.fuzz.ts";
import { fuzz as fuzzServer } from "./server.fuzz.ts";

const limits = { maxStartLine: 256, maxHead: 1024, maxFields: 16 };
const encode = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

/** Seeds with a few octets changed, cut out or put in. */
function mutations(seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const edit = fc.tuple(fc.nat(), fc.nat(4), fc.uint8Array({ maxLength: 4 }));
  return fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 3 })).map(([seed, edits]) => {
    let octets = Array.from(seed);
    for (const [at, cut, put] of edits) {
      const place = at % (octets.length + 1);
      octets = [...octets.slice(0, place), ...put, ...octets.slice(place + cut)];
    }
    return new Uint8Array(octets);
  });
}

function cutsOf(input: Uint8Array, wishes: readonly number[]): number[] {
  return wishes.map((wish) => wish % (input.length + 1)).sort((a, b) => a - b);
}

describe("any division of the input gives the same events", () => {
  test.each([
    ["requests", fuzzRequest.seeds, traceRequest],
    ["responses", fuzzResponse.seeds, traceResponse],
  ] as const)("%s", (_name, seeds, trace) => {
    fc.assert(
      fc.property(mutations(seeds), fc.array(fc.nat(), { maxLength: 6 }), (input, wishes) => {
        expect(trace(input, cutsOf(input, wishes))).toBe(trace(input, []));
      }),
      { numRuns: 500 },
    );
  });

  test("bounds are met at the same octet", () => {
    for (const [length, kind] of [
      [256 - "GET / HTTP/1.1\r\n".length, undefined],
      [257 - "GET / HTTP/1.1\r\n".length, "line-too-long"],
    ] as const) {
      const input = encode(`GET /${"x".repeat(length)} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const said = traceRequest(input, []);
      expect(said.includes("!")).toBe(kind !== undefined);
      if (kind !== undefined) expect(said).toContain(kind);
      expect(traceRequest(input, Array.from(input.keys()))).toBe(said);
    }
  });
});

test.each([fuzzRequest, fuzzResponse, fuzzRange])("the fuzz target of $name holds for arbitrary octets", (target) => {
  for (const seed of target.seeds) void target.run(seed);
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 200 }), mutations(target.seeds)),
      (input) => void target.run(input),
    ),
    { numRuns: 200 },
  );
});

test("whatever a client sends to a server, it gets well-formed responses and an end", async () => {
  for (const seed of fuzzServer.seeds) await fuzzServer.run(seed);
  await fc.assert(
    fc.asyncProperty(mutations(fuzzServer.seeds), async (input) => {
      await fuzzServer.run(input);
    }),
    { numRuns: 150 },
  );
});

test("decoding what was encoded in chunks gives it back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      (pieces, wishes) => {
        const wire: number[] = [];
        const head = new Uint8Array(maxChunkHead);
        for (const [index, piece] of pieces.entries()) {
          wire.push(...head.subarray(0, writeChunkHead(head, 0, piece.length, index === 0)), ...piece);
        }
        wire.push(...encode(chunkedEnd(pieces.length === 0)), 0x58);
        const input = new Uint8Array(wire);
        const decoder = new ChunkedDecoder(limits);
        const got: number[] = [];
        let ended = false;
        let from = 0;
        for (const end of [...cutsOf(input, wishes), input.length]) {
          while (!ended) {
            const event = decoder.next(input, from, end);
            from = decoder.consumed;
            if (event === needInput) break;
            if (event === gotEnd) ended = true;
            else expect(event).toBe(gotData);
            if (event === gotData)
              got.push(...input.subarray(decoder.dataOffset, decoder.dataOffset + decoder.dataLength));
          }
        }
        expect(ended).toBe(true);
        expect(from).toBe(input.length - 1);
        expect(got).toEqual(pieces.flatMap((piece) => [...piece]));
      },
    ),
  );
});

describe("responses (RFC 9112 §6.3)", () => {
  test.each([
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", "GET", /ab\$\.0$/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD", /\$\.0$/],
    ["HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "GET", /\$\.0$/],
    ["HTTP/1.1 200 OK\r\n\r\nab", "GET", /ab\.3$/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "GET", /ab\.4$/],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "GET", /ab\.4$/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", /!framing-conflict/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab", "GET", /!content-length/],
    ["HTTP/1.1 200 \xe9t\xe9\r\nX: \xe9\r\nContent-Length: 0\r\n\r\n", "GET", /\$\.0$/],
    ["HTTP/1.1 099 x\r\n\r\n", "GET", /!status-line/],
    ["HTTP/1.1 2000 x\r\n\r\n", "GET", /!status-line/],
    ["HTTP/2 200\r\n\r\n\r\n", "GET", /!status-line/],
  ])("%j to %s", (message, method, said) => {
    expect(traceResponse(encode(message), [], method)).toMatch(said);
  });
});

describe("ranges (RFC 9110 §14)", () => {
  test.each<[string, number, unknown]>([
    ["bytes=0-4", 10, [[0, 5]]],
    ["bytes=0-", 10, [[0, 10]]],
    ["bytes=-3", 10, [[7, 10]]],
    ["bytes=-30", 10, [[0, 10]]],
    ["bytes=5-99999999999999999999", 10, [[5, 10]]],
    [
      "Bytes=1-1, 3-4,,20-30",
      10,
      [
        [1, 2],
        [3, 5],
      ],
    ],
    ["bytes=10-", 10, "unsatisfiable"],
    ["bytes=-0", 10, "unsatisfiable"],
    ["bytes=0-", 0, "unsatisfiable"],
    ["bytes=4-3", 10, "whole"],
    ["bytes=a-b", 10, "whole"],
    ["bytes=", 10, "whole"],
    ["lines=0-1", 10, "whole"],
    ["bytes=0-,0-", 10, "whole"],
    [`bytes=${"0-0,".repeat(17)}`, 1000, "whole"],
  ])("%s of %i", (text, size, expected) => {
    const outcome = parseRange(text, size);
    expect(outcome.kind === "ranges" ? outcome.ranges.map(({ start, end }) => [start, end]) : outcome.kind).toEqual(
      expected,
    );
  });
});

describe("dates (RFC 9110 §5.6.7)", () => {
  const instant = Date.UTC(1994, 10, 6, 8, 49, 37);

  test.each(["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])(
    "%s",
    (text) => {
      expect(parseDate(text, Date.UTC(2026, 0))).toBe(instant);
    },
  );

  test.each([
    "",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 31 Feb 1994 08:49:37 GMT",
    "1994-11-06",
    "Sun, 06 Nov 1994 25:49:37 GMT",
  ])("%j is none", (text) => {
    expect(parseDate(text, 0)).toBeUndefined();
  });

  test("reading what was written gives the second back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (second) => {
        expect(parseDate(formatDate(second * 1000 + 999), 0)).toBe(second * 1000);
      }),
    );
  });
});
