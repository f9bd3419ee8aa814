import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { createCrypto } from "@tesserae/node/crypto";
import { inWorld } from "@tesserae/xen/simulation/world";
import { connectVchan } from "@tesserae/xen/vchan/connect";
import { listenVchan } from "@tesserae/xen/vchan/listen";
import { expect, test } from "vitest";
import { answer, ask, mostBytes } from "../../examples/vchan/transfer.ts";

const turn = (): Promise<void> => new Promise(setImmediate);

test("bytes go both ways, and who asks for nonsense is cut off", () =>
  inWorld(new SeededRandom(1), turn, async ({ machine, timers, random }) => {
    const [server, client] = [await machine.createDomain(), await machine.createDomain()];
    const tools = { timers, random, crypto: createCrypto() };
    const said: string[] = [];
    const expected: string[] = [];
    await listenVchan(server, { peer: client.id, path: "data/vchan" }, (flow) =>
      answer(flow, tools, (text) => said.push(text)),
    );
    const options = { peer: server.id, path: `/local/domain/${server.id}/data/vchan` };
    const flow = await connectVchan(client, options);
    for (const size of [0, 5, 300_000]) {
      const sent = await ask(flow, tools, "send", size);
      expect(sent.received).toBe(sent.sent);
      const received = await ask(flow, tools, "receive", size);
      expect(received.received).toBe(received.sent);
      expected.push(`received ${size} bytes, sha256 ${sent.sent}`, `sent ${size} bytes, sha256 ${received.sent}`);
    }
    await expect(ask(flow, tools, "send", mostBytes + 1)).rejects.toThrow("are not from 0 to");
    await flow.write(new Uint8Array([1, 255, 255, 255, 255]));
    await expect(flow.read(new Uint8Array(1))).rejects.toThrow("the peer aborted");
    expect(said).toEqual(expected);
    await flow.close();
    const next = await connectVchan(client, options);
    const { sent, received } = await ask(next, tools, "send", 9);
    expect(received).toBe(sent);
  }));
