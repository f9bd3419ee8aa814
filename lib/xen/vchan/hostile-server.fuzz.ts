import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import type { Flow } from "@tesserae/device/flow";
import { ByteRing } from "../byte-ring.ts";
import { pageSize } from "../grant.ts";
import { inWorld } from "../simulation/world.ts";
import { XenError } from "../xen-error.ts";
import { connectVchan } from "./connect.ts";
import { conversation, converse, linger, steps, turn } from "./hostile-client.fuzz.ts";
import {
  areOrders,
  clientLive,
  firstReference,
  leftConsumer,
  leftOrder,
  leftProducer,
  live,
  notifyWritten,
  clientNotify,
  pageOrder,
  rightConsumer,
  rightOrder,
  rightProducer,
  serverLive,
  serverNotify,
} from "./layout.ts";

/** Pages that the rings may have. */
const ringPages = 4;
/** Orders of both rings, states of both ends, which references are right (bits), where the port is. */
const headBytes = 6;

/** What a server offers, as bytes, then a script for both. */
export const fuzz: FuzzTarget = {
  name: "vchan-hostile-server",
  seeds: [
    Uint8Array.of(10, 11, 2, 1, 255, 0, ...steps(["give", 20, 0], ["read", 99, 0], ["write", 30, 0], ["take", 40, 0])),
    Uint8Array.of(
      12,
      13,
      2,
      1,
      255,
      0,
      ...steps(["write", 255, 0], ["take", 255, 0], ["jump", 3, 129], ["read", 9, 0]),
    ),
    Uint8Array.of(11, 12, 2, 1, 255, 0, ...steps(["read", 9, 0], ["leave", 0, 0], ["write", 9, 0], ["wait", 1, 0])),
    Uint8Array.of(11, 10, 2, 1, 255, 0, ...conversation, ...conversation),
    Uint8Array.of(12, 20, 2, 1, 7, 0),
    Uint8Array.of(10, 11, 1, 1, 255, 3),
  ],
  run: (input) =>
    inWorld(new SeededRandom(1), turn, async (world) => {
      const server = await world.machine.createDomain();
      const client = await world.machine.createDomain();
      const before = client.holdings;
      const [left = 0, right = 0, clientState = 0, serverState = 0, rightOnes = 0, wrongPort = 0] = input;
      const memory = server.allocate(1 + ringPages);
      const page = memory.bytes.subarray(0, pageSize);
      const references = Array.from({ length: 1 + ringPages }, (_, index) =>
        server.grants.grant(memory, index, client.id, "read-write"),
      );
      const orders = new Uint16Array(page.buffer, page.byteOffset);
      orders[leftOrder] = left;
      orders[rightOrder] = right;
      page[clientLive] = clientState;
      page[serverLive] = serverState;
      page[clientNotify] = notifyWritten;
      const words = new Uint32Array(page.buffer, page.byteOffset, pageSize / 4);
      for (let index = 0; index < ringPages; index++) {
        words[firstReference + index] = (rightOnes & (1 << index)) === 0 ? index * 99 : (references[1 + index] ?? 0);
      }
      const channel = server.events.allocate(client.id, () => undefined);
      for (const [name, value] of [
        ["ring-ref", references[0] ?? 0],
        ["event-channel", channel.port + wrongPort],
      ] as const) {
        await server.xenstore.write(`data/x/${name}`, String(value));
        await server.xenstore.setPermissions(`data/x/${name}`, [`n${server.id}`, `r${client.id}`]);
      }
      let flow: Flow | undefined;
      try {
        const path = `/local/domain/${server.id}/data/x`;
        flow = await connectVchan(client, { peer: server.id, path, linger, timeout: 100 });
      } catch (error) {
        if (!(error instanceof XenError)) throw error;
      }
      const pagesOf = (order: number): number => (order < pageOrder ? 0 : 2 ** (order - pageOrder));
      const needed = pagesOf(left) + pagesOf(right);
      const isOffer = areOrders(left, right) && needed <= ringPages && serverState !== live.gone;
      const areThere = (rightOnes & (2 ** needed - 1)) === 2 ** needed - 1;
      if (isOffer && areThere && clientState === live.awaited && wrongPort === 0 && flow === undefined) {
        throw new Error("a good offer was refused");
      }
      if (flow !== undefined) {
        if (!areOrders(left, right)) throw new Error(`rings of order ${left} and ${right} were taken`);
        const first = pagesOf(left);
        const ring = (order: number, from: number): Uint8Array =>
          order < pageOrder
            ? page.subarray(2 ** order, 2 * 2 ** order)
            : memory.bytes.subarray((1 + from) * pageSize, (1 + from + pagesOf(order)) * pageSize);
        const indices = new Int32Array(page.buffer, page.byteOffset);
        await converse(
          world,
          flow,
          {
            ...{ page, ownLive: serverLive, asked: serverNotify, channel },
            output: new ByteRing(indices, rightConsumer, rightProducer, ring(right, first)),
            input: new ByteRing(indices, leftConsumer, leftProducer, ring(left, 0)),
          },
          input.subarray(headBytes),
        );
      }
      channel.close();
      await world.wait(10_000);
      const after = client.holdings;
      if (JSON.stringify(after) !== JSON.stringify(before)) throw new Error(`left behind: ${JSON.stringify(after)}`);
      // What is mapped by nobody any more can be taken back.
      for (const reference of references) if (!server.grants.end(reference)) throw new Error("a page stays mapped");
    }),
};
