import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { readPcapng } from "./pcapng-reader.ts";
import { PcapngWriter } from "./pcapng-writer.ts";

function capture(): Uint8Array {
  const blocks: Uint8Array[] = [];
  const writer = new PcapngWriter((block) => blocks.push(block));
  const first = writer.addInterface({ name: "eth0", snapLength: 64 });
  writer.writePacket(first, 1_700_000_000_000.25, Uint8Array.of(1, 2, 3, 4, 5), 0, 5, "a comment");
  writer.writePacket(first, 1, new Uint8Array(70));
  return Uint8Array.from(blocks.flatMap((block) => [...block]));
}

export const fuzz: FuzzTarget = {
  name: "pcapng-reader",
  seeds: [capture(), capture().subarray(0, 28)],
  run(input) {
    let ended = false;
    let interfaces = 0;
    for (const item of readPcapng(input)) {
      if (ended) throw new Error("an item behind an error");
      if (item.kind === "error") {
        ended = true;
        if (!(item.error.offset >= 0 && item.error.offset <= input.length)) throw new Error("offset outside the file");
      } else if (item.kind === "interface") {
        interfaces++;
      } else {
        if (item.bytes.buffer !== input.buffer) throw new Error("the packet does not lie in the file");
        if (!(item.time >= 0)) throw new Error("a time that is not a number");
        if (interfaces === 0) throw new Error("a packet without an interface");
      }
    }
  },
};
