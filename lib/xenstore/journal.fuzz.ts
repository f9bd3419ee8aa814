import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { EffectWriter, readRecord } from "./journal.ts";
import { frameRecord, readJournal } from "./journal-file.ts";
import { StateError } from "./state-bytes.ts";
import { bytesOf } from "./wire.ts";

function seed(): Uint8Array {
  const writer = new EffectWriter();
  writer.node({ path: "/a", value: bytesOf("1"), permissions: ["n0", "r3"] });
  writer.gone("/b");
  writer.introduced(3, 7, -1);
  writer.quota(-1, "nodes", 5);
  writer.connected(-4);
  writer.asked(-4, 4, 0, false, bytesOf("data\0t\0"));
  writer.released(3);
  return writer.take() ?? new Uint8Array(0);
}

/** Any bytes as a journal: what is whole of it is read again the same, and a record is refused in words or written again. */
export const fuzz: FuzzTarget = {
  name: "xenstore-journal",
  seeds: [seed(), frameRecord("record", seed()), frameRecord("state", bytesOf("xenstore"))],
  run(input) {
    const { end, records } = readJournal(input);
    if (readJournal(input.subarray(0, end)).records.length !== records.length)
      throw new Error("its end is not its end");
    const writer = new EffectWriter();
    const again = new EffectWriter();
    try {
      readRecord(input, writer);
    } catch (error) {
      if (error instanceof StateError) return;
      throw error;
    }
    const record = writer.take() ?? new Uint8Array(0);
    readRecord(record, again);
    if ((again.take() ?? "").toString() !== record.toString())
      throw new Error("a record is not what it was, read again");
  },
};
