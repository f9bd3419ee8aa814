import { fromHex } from "@tesserae/wire/hex";
import fc from "fast-check";
import { expect, test } from "vitest";
import { nameFromText } from "../name-bytes.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import { createDnsOverHttps } from "./https.ts";

const query = fromHex("0000 0100 0001 0000 0000 0000 07 6578616d706c65 00 0001 0001");
const name = nameFromText("example.");

function answerWith(ttls: readonly number[], rcode = 0, soa?: number): Uint8Array {
  const room = new Uint8Array(1000);
  const writer = new WireMessageWriter(room);
  writer.question({ name, type: 1, class: 1 });
  const common = { owner: name, class: 1 };
  writer.records(
    "answers",
    ttls.map((ttl, index) => ({ ...common, type: 1, ttl, data: Uint8Array.of(1, 1, 1, index) })),
  );
  const data = Uint8Array.of(0, 0, ...new Uint8Array(16), 0, 0, 0, 60);
  if (soa !== undefined) writer.records("authorities", [{ ...common, type: 6, ttl: soa, data }]);
  return room.slice(0, writer.finish(0, 0x8400, rcode));
}

const asked: Uint8Array[] = [];
function handler(answer: Uint8Array) {
  asked.length = 0;
  return createDnsOverHttps({
    exchange: async (message) => {
      asked.push(message.slice());
      return answer;
    },
  });
}
const post = (body: Uint8Array<ArrayBuffer>, type = "application/dns-message") =>
  new Request("https://dns.test/dns-query", { method: "POST", body, headers: { "content-type": type } });
const get = (text: string) => new Request(`https://dns.test/dns-query?dns=${text}`);

test("RFC 8484 §4.1: POST and GET give the server the same query", async () => {
  const handle = handler(answerWith([300]));
  for (const request of [post(query), get(Buffer.from(query).toString("base64url"))]) {
    const response = await handle(request);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/dns-message");
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(answerWith([300]));
  }
  expect(asked).toEqual([query, query]);
});

test("RFC 8484 §5.1: an answer is fresh as long as its first record to expire", async () => {
  const freshness = async (answer: Uint8Array) => (await handler(answer)(post(query))).headers.get("cache-control");
  expect(await freshness(answerWith([300, 20, 40]))).toBe("max-age=20");
  expect(await freshness(answerWith([], 3, 300))).toBe("max-age=60");
  expect(await freshness(answerWith([], 0, 30))).toBe("max-age=30");
  expect(await freshness(answerWith([], 2))).toBe("no-store");
});

test("what is no query is refused in words", async () => {
  const handle = handler(new Uint8Array(0));
  const status = async (request: Request) => (await handle(request)).status;
  expect(await status(new Request("https://dns.test/other"))).toBe(404);
  expect(await status(new Request("https://dns.test/dns-query"))).toBe(400);
  expect(await status(get("!"))).toBe(400);
  expect(await status(get("A".repeat(90_000)))).toBe(414);
  expect(await status(post(query, "text/plain"))).toBe(415);
  expect(await status(post(new Uint8Array(65_536)))).toBe(413);
  expect(await status(new Request("https://dns.test/dns-query", { method: "PUT", body: "x" }))).toBe(405);
  expect(asked).toEqual([]);
  expect(await status(post(query))).toBe(400);
});

test("property: any text after ?dns= gets an answer of HTTP", async () => {
  const handle = handler(answerWith([1]));
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 200 }), async (text) => {
      expect([200, 400]).toContain((await handle(get(encodeURIComponent(text)))).status);
    }),
  );
});
