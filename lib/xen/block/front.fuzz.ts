import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { ringHeader } from "../ring.ts";
import { inWorld } from "../simulation/world.ts";
import { connectBlock } from "./front.ts";
import { entrySize, operation, writeResponse } from "./wire.ts";

const turn = (): Promise<void> => new Promise(setImmediate);
/** What to do; id; operation; status. */
const stepSize = 5;

/** A back end that answers what it was not asked, twice, or with indices that make no sense. */
export const fuzz: FuzzTarget = {
  name: "xen-block-front",
  seeds: [
    new Uint8Array([0, 0, operation.write, 0, 0, 0, 1, operation.read, 0, 0]),
    new Uint8Array([0, 0, operation.write, 0, 0, 0, 0, operation.write, 0, 0]),
    new Uint8Array([0, 1, operation.read, 255, 255, 0, 0, operation.write, 254, 255, 0, 2, operation.flush, 254, 255]),
    new Uint8Array([1, 200, 0, 0, 0]),
  ],
  run: (input) =>
    inWorld(new SeededRandom(1), turn, async (world) => {
      const front = await world.machine.createDomain();
      const back = await world.machine.createDomain();
      const before = front.holdings;
      const device = await world.tools.attach({ kind: "vbd", number: 1, front, back });
      const nodes = { sectors: "64", "feature-flush-cache": "1", "feature-max-indirect-segments": "32" };
      for (const [name, value] of Object.entries(nodes)) await back.xenstore.write(`${device.backPath}/${name}`, value);
      const connecting = connectBlock(front, "device/vbd/1", { patience: 1000, segments: 16, pages: 16 });
      await back.xenstore.write(`${device.backPath}/state`, "2");
      await world.wait(20);
      const read = async (name: string): Promise<number> =>
        Number(await back.xenstore.readText(`${device.frontPath}/${name}`));
      const { bytes } = back.foreign.map(front.id, [await read("ring-ref")], "read-write");
      const channel = back.events.bind(front.id, await read("event-channel"), () => undefined);
      await back.xenstore.write(`${device.backPath}/state`, "4");
      const block = await connecting;
      const settled: string[] = [];
      const settle = (): number => settled.push("done");
      const all = [
        block.write(0, new Uint8Array(512)).then(settle, settle),
        block.read(1, new Uint8Array(1024)).then(settle, settle),
        block.flush().then(settle, settle),
        block.write(3, new Uint8Array(16 * 512)).then(settle, settle),
        block.read(0, new Uint8Array(64 * 512)).then(settle, settle),
      ];
      const indices = new Int32Array(bytes.buffer, bytes.byteOffset, 4);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      let produced = 0;
      for (let at = 0; at + stepSize <= input.length && at < 60 * stepSize; at += stepSize) {
        const [action = 0, id = 0, kind = 0, low = 0, high = 0] = input.subarray(at, at + stepSize);
        const status = (((high << 8) | low) << 16) >> 16;
        const place = ringHeader + (produced % 32) * entrySize;
        writeResponse(view, place, id % 64, action === 7 ? 1 : 0, kind % 8, status);
        if (action % 8 === 1) indices[2] = id * 0x0101_0101;
        else indices[2] = ++produced;
        channel.notify();
        if (action % 8 > 3) await world.wait(3);
      }
      await world.wait(20);
      await world.tools.destroy(back, []);
      await Promise.all(all);
      if (settled.length !== all.length) throw new Error("something is still under way");
      await block.close();
      await world.wait(200);
      const after = front.holdings;
      if (JSON.stringify(after) !== JSON.stringify(before)) throw new Error(`left behind: ${JSON.stringify(after)}`);
      if (world.machine.audit.mistakes > 0) throw new Error("a grant was ended twice");
    }),
};
