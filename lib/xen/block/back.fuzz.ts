import { createMemoryBlock } from "@tesserae/block/memory";
import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { pageSize } from "../grant.ts";
import { FrontRing, ringHeader } from "../ring.ts";
import { inWorld } from "../simulation/world.ts";
import { serveBlock } from "./back.ts";
import { entrySize, operation } from "./wire.ts";

const turn = (): Promise<void> => new Promise(setImmediate);
/** Bytes of input for one step: what to do, then a request. */
const stepSize = 2 + entrySize;

function seed(...steps: readonly (readonly [number, readonly number[]])[]): Uint8Array {
  const bytes = new Uint8Array(steps.length * stepSize);
  for (const [index, [action, request]] of steps.entries()) {
    bytes[index * stepSize] = action;
    bytes.set(request, index * stepSize + 2);
  }
  return bytes;
}

const zeros = (count: number): number[] => new Array<number>(count).fill(0);
const write = [operation.write, 1, 0, 0, ...zeros(20), 1, 0, 0, 0, 0, 7];
const indirect = [operation.indirect, operation.read, 12, 0, ...zeros(24), 2];

/** A front end that puts arbitrary requests and indices in its ring, and takes back what it has granted. */
export const fuzz: FuzzTarget = {
  name: "xen-block-back",
  seeds: [
    seed([0, write], [0, [operation.read, ...write.slice(1)]]),
    seed([0, indirect], [0, [operation.flush]], [0, [operation.barrier]]),
    seed([0, write], [1, write], [2, write]),
  ],
  run: (input) =>
    inWorld(new SeededRandom(1), turn, async (world) => {
      const front = await world.machine.createDomain();
      const back = await world.machine.createDomain();
      const before = back.holdings;
      const device = await world.tools.attach({ kind: "vbd", number: 1, front, back });
      const isPersistent = (input[1] ?? 0) % 2;
      const server = serveBlock(back, device.backPath, {
        block: createMemoryBlock({ sectors: 64 }),
        concurrency: 3,
        persistent: isPersistent * 2,
      });
      const memory = front.allocate(4);
      const references = [0, 1, 2, 3].map((page) =>
        front.grants.grant(memory, page, back.id, page === 3 ? "read-only" : "read-write"),
      );
      const ring = new FrontRing(memory.bytes.subarray(0, pageSize), entrySize);
      const indices = new Int32Array(memory.bytes.buffer, 0, 4);
      const channel = front.events.allocate(back.id, () => undefined);
      await front.xenstore.write(`${device.frontPath}/ring-ref`, String(references[0]));
      await front.xenstore.write(`${device.frontPath}/event-channel`, String(channel.port));
      await front.xenstore.write(`${device.frontPath}/feature-persistent`, String(isPersistent));
      await front.xenstore.write(`${device.frontPath}/state`, "3");
      await world.wait(20);
      if (!server.isConnected) throw new Error("the back end did not connect");
      let produced = 0;
      let isWild = false;
      for (let at = 0; at + stepSize <= input.length && at < 40 * stepSize; at += stepSize) {
        const action = (input[at] ?? 0) % 8;
        const request = input.slice(at + 2, at + stepSize);
        const view = new DataView(request.buffer);
        // References that are there, now and then.
        for (let word = 24; word + 4 <= entrySize; word += 4) {
          const reference = references[view.getUint32(word, true)];
          if (reference !== undefined) view.setUint32(word, reference, true);
        }
        if (action === 1) {
          indices[0] = view.getInt32(0, true);
          isWild = true;
        } else if (action === 2) front.grants.end(references[1 + ((request[0] ?? 0) % 3)] ?? 0);
        else {
          memory.bytes.set(request, ringHeader + (produced % ring.capacity) * entrySize);
          if (action !== 3) produced++;
          if (!isWild) indices[0] = produced;
        }
        channel.notify();
        if (action > 4) await world.wait(3);
      }
      await world.wait(20);
      const isConnected = (): boolean => server.isConnected;
      if (!isWild && produced <= ring.capacity) {
        if (!isConnected()) throw new Error("a wrong request has ended the device");
        if (indices[2] !== produced) throw new Error(`${indices[2] ?? 0} of ${produced} requests were answered`);
      }
      await world.tools.destroy(front, [device]);
      await server.over;
      await world.wait(20);
      const after = back.holdings;
      if (JSON.stringify(after) !== JSON.stringify(before)) throw new Error(`left behind: ${JSON.stringify(after)}`);
    }),
};
