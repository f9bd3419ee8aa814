import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { XenstoreServer } from "./server.ts";
import { encodeMessage, encodeStrings, headerSize, messageType } from "./wire.ts";

function conversation(...messages: readonly (readonly [type: number, transaction: number, ...strings: string[]])[]) {
  const parts = messages.map(([type, transaction, ...strings], index) =>
    encodeMessage(type, index, transaction, encodeStrings(...strings)),
  );
  return Uint8Array.from(parts.flatMap((each) => [...each]));
}

const seeds = [
  conversation([messageType.write, 0, "/a/b", "x"], [messageType.read, 0, "/a/b"], [messageType.directory, 0, "/"]),
  conversation(
    [messageType.transactionStart, 0, ""],
    [messageType.write, 1, "/t", ""],
    [messageType.read, 1, "/t"],
    [messageType.transactionEnd, 1, "T"],
  ),
  conversation(
    [messageType.watch, 0, "/a", "token"],
    [messageType.watch, 0, "@releaseDomain", "token"],
    [messageType.introduce, 0, "3", "4", "5"],
    [messageType.setPermissions, 0, "/a", "n0", "r3"],
    [messageType.setTarget, 0, "3", "3"],
    [messageType.release, 0, "3"],
    [messageType.unwatch, 0, "/a", "token"],
    [messageType.resetWatches, 0],
  ),
  conversation([messageType.directoryPart, 0, "/", "0"], [messageType.control, 0, "memreport"], [99, 0, ""]),
];

/** Any bytes to a server, by a domain and by a local program: every message that is whole is answered once. */
export const fuzz: FuzzTarget = {
  name: "xenstore-server",
  seeds,
  run(input) {
    const server = new XenstoreServer({ timers: new Scheduler(new VirtualClock()) });
    const carrier = { wake: () => undefined, closed: () => undefined };
    const output = new Uint8Array(8192);
    for (const connection of [
      server.connect({ kind: "local" }, carrier),
      server.connect({ kind: "domain", domain: 3 }, carrier),
    ]) {
      let answers = 0;
      const count = (): void => {
        for (let length = connection.take(output, 0, output.length); length > 0;) {
          answers += length;
          length = connection.take(output, 0, output.length);
        }
      };
      for (let offset = 0; offset < input.length;) {
        const taken = connection.receive(input, offset, input.length - offset);
        offset += taken;
        const before = answers;
        count();
        if (taken === 0 && answers === before) throw new Error("it neither hears nor says anything");
      }
      if (!connection.isOver && answers < whole(input) * headerSize) throw new Error("a request has no answer");
      connection.close("the input is over");
    }
  },
};

/** Messages of the input that are whole. */
function whole(input: Uint8Array): number {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  let count = 0;
  for (let at = 0; at + headerSize <= input.length; count++) {
    at += headerSize + view.getUint32(at + 12, true);
    if (at > input.length) break;
  }
  return count;
}
