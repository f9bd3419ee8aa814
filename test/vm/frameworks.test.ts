import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildForVm, patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// Applications written for Node.js with other people's frameworks, as they are.

const reason = vmUnavailable();

describe.skipIf(reason !== undefined)(`frameworks in a machine${reason === undefined ? "" : ` (${reason})`}`, () => {
  let machine: TestMachine;

  beforeAll(async () => {
    const app = await buildForVm("test/fixtures/apps/frameworks");
    machine = await TestMachine.start(app, { forward: [3001, 3002, 3003] });
    await machine.waitFor("all three listen");
  }, patience);

  afterAll(async () => {
    expect(await machine.powerOff(), machine.output).toBe(0);
  }, patience);

  test.each([
    ["Express", 3001],
    ["Fastify", 3002],
    ["Hono", 3003],
  ])(
    "%s answers",
    async (_, port) => {
      const base = `http://127.0.0.1:${String(machine.port(port))}`;
      const hello = await fetch(`${base}/hello/you`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ from: "outside" }),
      });
      expect([hello.status, await hello.json()]).toEqual([200, { from: "outside", hello: "you" }]);
      expect(await (await fetch(`${base}/long`)).text()).toBe("a line of text\n".repeat(20_000));
      expect((await fetch(`${base}/nowhere`)).status).toBe(404);
      expect((await fetch(`${base}/broken`)).status).toBe(500);
      const many = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(`${base}/long`)).text()));
      expect(new Set(many.map((text) => text.length))).toEqual(new Set([300_000]));
    },
    patience,
  );
});
