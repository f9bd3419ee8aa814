import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { nameFromText } from "../name-bytes.ts";
import { parseWireMessage } from "../wire-message.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import type { Resolution } from "./recursive.ts";
import { readClientQuery, udpLimit, writeRefusal, writeReply } from "./reply.ts";

function query(): Uint8Array {
  const data = new Uint8Array(512);
  const writer = new WireMessageWriter(data);
  writer.question({ name: nameFromText("www.Example.org"), type: 1, class: 1 });
  const options = [{ code: 10, bytes: new Uint8Array(8) }];
  writer.edns({ udpSize: 1232, version: 0, dnssecOk: true, options }, 0);
  return data.slice(0, writer.finish(77, 0x0120, 0));
}

const set = { name: "\x03www\x07example\x03org\0", type: 1, ttl: 300, data: [], signatures: [new Uint8Array(90)] };
const data = Array.from({ length: 200 }, (_, at) => Uint8Array.of(192, 0, 2, at));
const few: Resolution = { rcode: 0, security: "secure", answers: [{ set, ttl: 5 }], authorities: [] };
const many: Resolution = { ...few, answers: [{ set: { ...set, data }, ttl: 5 }], failure: { code: 3, text: "x" } };

/** Any bytes from a client: no answer, or one within the limit that can be read and repeats the number. */
export const fuzz: FuzzTarget = {
  name: "dns-resolver-reply",
  seeds: [query()],
  run(input) {
    const read = readClientQuery(input, 0, input.length);
    if (read.kind === "ignored") return;
    const limit = udpLimit(read.query);
    const cookie = new Uint8Array(24);
    const answers =
      read.kind === "refusal"
        ? [writeRefusal(read.query, read.rcode, read.failure, { limit, cookie }).slice()]
        : [few, many].map((resolution) => writeReply(read.query, resolution, { limit, cookie, padded: true }).slice());
    for (const answer of answers) {
      if (answer.length > limit) throw new Error(`${answer.length} bytes are more than ${limit}`);
      const parsed = parseWireMessage(answer);
      if (!parsed.ok) throw new Error(parsed.error.message);
      if (parsed.value.id !== read.query.id) throw new Error("another number");
    }
  },
};
