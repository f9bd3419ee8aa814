import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { nameFromText } from "./name-bytes.ts";
import { parseWireMessage, type WireMessage } from "./wire-message.ts";
import { WireMessageWriter } from "./wire-message-writer.ts";

function written({ id, flags, rcode, questions, answers, authorities, additionals, edns }: WireMessage): Uint8Array {
  const data = new Uint8Array(3_000_000);
  const writer = new WireMessageWriter(data);
  for (const question of questions) writer.question(question);
  for (const [section, records] of Object.entries({ answers, authorities, additionals })) {
    for (const record of records) {
      if (section !== "answers" && section !== "authorities" && section !== "additionals") continue;
      if (!writer.records(section, [record])) throw new Error("it does not fit");
    }
  }
  if (edns !== undefined) writer.edns(edns, rcode);
  return data.slice(0, writer.finish(id, flags, rcode));
}

const record = { owner: nameFromText("www.example.org"), class: 1, ttl: 60 };
const soa = [...nameFromText("ns.example.org"), ...nameFromText("a.example.org"), ...new Uint8Array(20)];

/** Lower case, as compression may change the case of a name. */
function shape(message: WireMessage): string {
  return JSON.stringify(message, (_, value: unknown) => {
    if (!(value instanceof Uint8Array)) return value;
    return Array.from(value, (byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte));
  });
}

/** Any bytes: parsed or refused; what is parsed can be written, and says the same when it is read again. */
export const fuzz: FuzzTarget = {
  name: "dns-wire-message",
  seeds: [
    written({
      ...{ id: 1, flags: 0x8400, opcode: 0, rcode: 0, additionals: [] },
      questions: [{ name: record.owner, type: 6, class: 1 }],
      answers: [
        { ...record, type: 1, data: Uint8Array.of(192, 0, 2, 1) },
        { ...record, type: 6, data: Uint8Array.from(soa) },
        { ...record, type: 15, data: Uint8Array.from([0, 10, ...record.owner]) },
        { ...record, type: 35, data: Uint8Array.from([0, 1, 0, 1, 1, 97, 0, 1, 98, ...record.owner]) },
      ],
      authorities: [{ ...record, type: 46, data: Uint8Array.from([...new Uint8Array(18), ...record.owner, 1, 2, 3]) }],
      edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [{ code: 10, bytes: new Uint8Array(8) }] },
    }),
  ],
  run(input) {
    const parsed = parseWireMessage(input);
    if (!parsed.ok) {
      const { offset } = parsed.error;
      if (!(offset >= 0 && offset <= input.length)) throw new Error(`an error at ${offset} of ${input.length} bytes`);
      return;
    }
    const first = parsed.value;
    // Names written without the sender's compression may make data longer than a length can say.
    if ([...first.answers, ...first.authorities, ...first.additionals].some(({ data }) => data.length > 65_535)) return;
    const again = parseWireMessage(written(first));
    if (!again.ok) throw new Error(`written, but not read again: ${again.error.message}`);
    if (shape(again.value) !== shape(first)) throw new Error("read differently the second time");
  },
};
