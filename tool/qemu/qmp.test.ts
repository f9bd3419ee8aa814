import { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { QmpClient, type QmpEvent } from "./qmp.ts";

/** The far end of a control connection: what was sent to it, and what it says. */
class FakeQemu extends Duplex {
  readonly sent: { execute: string; arguments?: unknown; id: number }[] = [];
  onCommand: (command: FakeQemu["sent"][number]) => void = () => undefined;

  override _read(): void {
    // What is said is pushed as it comes.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    for (const line of chunk.toString().trim().split("\n")) {
      // as: the client's own words, checked by the tests.
      const command = JSON.parse(line) as FakeQemu["sent"][number];
      this.sent.push(command);
      this.onCommand(command);
    }
    done();
  }

  say(...values: unknown[]): void {
    for (const value of values) this.push(`${JSON.stringify(value)}\r\n`);
  }

  /** Greets, and answers every command with an empty object. */
  static obliging(): FakeQemu {
    const qemu = new FakeQemu();
    qemu.say({ QMP: { version: {}, capabilities: [] } });
    qemu.onCommand = ({ id }) => qemu.say({ return: {}, id });
    return qemu;
  }
}

describe("QMP", () => {
  test("negotiates first, then gives each command its own answer, whatever their order", async () => {
    const qemu = FakeQemu.obliging();
    const client = new QmpClient(qemu);
    const held: number[] = [];
    qemu.onCommand = ({ execute, id }) => {
      if (execute === "qmp_capabilities") qemu.say({ return: {}, id });
      else if (held.push(id) === 2) for (const each of held.reverse()) qemu.say({ return: each, id: each });
    };
    const [status, name] = await Promise.all([
      client.execute("query-status"),
      client.execute("query-name", { full: true }),
    ]);
    expect([status, name]).toEqual([2, 3]);
    expect(qemu.sent).toEqual([
      { execute: "qmp_capabilities", id: 1 },
      { execute: "query-status", id: 2 },
      { execute: "query-name", arguments: { full: true }, id: 3 },
    ]);
    client.close();
  });

  test("a refusal has QEMU's class and words; events are passed on", async () => {
    const qemu = FakeQemu.obliging();
    const events: QmpEvent[] = [];
    const client = new QmpClient(qemu, (event) => events.push(event));
    await client.execute("query-status");
    qemu.onCommand = ({ id }) => {
      qemu.say({ event: "SHUTDOWN", data: { reason: "guest-reset" }, timestamp: {} }, { event: "RESUME" });
      qemu.say({ error: { class: "CommandNotFound", desc: "no such command" }, id });
    };
    await expect(client.execute("nonsense")).rejects.toMatchObject({
      name: "QmpError",
      kind: "CommandNotFound",
      message: "no such command",
    });
    expect(events).toEqual([
      { name: "SHUTDOWN", data: { reason: "guest-reset" } },
      { name: "RESUME", data: {} },
    ]);
    client.close();
  });

  test.each([
    ["no JSON", "oops\n", "does not speak its protocol"],
    ["no object", "[1]\n", "a message is no object"],
  ])("%s ends the connection, and all that waits for an answer", async (_what, line, words) => {
    const qemu = FakeQemu.obliging();
    const client = new QmpClient(qemu);
    await client.execute("query-status");
    qemu.onCommand = () => qemu.push(line);
    const waiting = [client.execute("stop"), client.execute("cont")];
    for (const each of waiting) await expect(each).rejects.toThrow(words);
    await expect(client.execute("stop")).rejects.toMatchObject({ kind: "closed" });
    expect(qemu.destroyed).toBe(true);
  });

  test("answers to nothing that was asked, and to no number, are passed over", async () => {
    const qemu = FakeQemu.obliging();
    const client = new QmpClient(qemu);
    qemu.onCommand = ({ id }) =>
      qemu.say({ return: 1, id: 99 }, { return: 2 }, { return: 3, id: "x" }, { return: 4, id });
    expect(await client.execute("query-status")).toBe(4);
    client.close();
  });

  test("a connection that ends rejects what waits; no more than 64 wait", async () => {
    const qemu = FakeQemu.obliging();
    const client = new QmpClient(qemu);
    await client.execute("query-status");
    qemu.onCommand = () => undefined;
    const waiting = Array.from({ length: 64 }, () => client.execute("stop"));
    const settled = Promise.allSettled(waiting);
    // One more turn, for the commands to be under way.
    await Promise.resolve();
    await expect(client.execute("one too many")).rejects.toMatchObject({ kind: "busy" });
    qemu.destroy();
    for (const each of await settled) expect(each).toMatchObject({ status: "rejected", reason: { kind: "closed" } });
  });
});
