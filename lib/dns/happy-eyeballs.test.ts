import { IpAddress } from "@tesserae/device/address";
import { type Flow, FlowError } from "@tesserae/device/flow";
import type { Tcp, TcpConnectOptions } from "@tesserae/device/tcp";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { connectAny, interleave } from "./happy-eyeballs.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** What becomes of an attempt: after so many milliseconds it succeeds, or fails. */
type Fate = { readonly after: number; readonly fails?: "refused" | "unreachable" };

/** Hosts with the fates given; all others never answer. */
function world(fates: Readonly<Record<string, Fate>>) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const log: string[] = [];
  const note = (text: string): void => void log.push(`${String(clock.now())} ${text}`);
  const tcp: Tcp = {
    listen: () => Promise.reject(new Error("nobody listens")),
    connect: ({ address, signal }: TcpConnectOptions) =>
      new Promise<Flow>((resolve, reject) => {
        const text = address.toString();
        note(`try ${text}`);
        signal?.addEventListener("abort", () => {
          note(`give up ${text}`);
          reject(new FlowError("aborted", "aborted"));
        });
        const fate = fates[text];
        if (fate === undefined) return;
        const flow = { remote: { address, port: 80 }, abort: () => note(`abort ${text}`) };
        timers
          .timer(() => {
            if (fate.fails !== undefined) reject(new FlowError(fate.fails, `${text}: ${fate.fails}`));
            // as: of a flow nothing else is looked at here
            else resolve(flow as unknown as Flow);
          })
          .set(clock.now() + fate.after);
      }),
  };
  const connect = (addresses: string[], more: { signal?: AbortSignal; attemptDelay?: number } = {}) => {
    const list = addresses.map((each) => IpAddress.parse(each));
    return runVirtual(
      { clock, schedulers: [timers], turn },
      connectAny({ tcp, timers, addresses: list, port: 80, ...more }).then((flow) => flow.remote.address.toString()),
    );
  };
  return { clock, timers, log, connect };
}

describe("RFC 8305", () => {
  test("§4: families take turns, the first one's first", () => {
    const sorted = (...list: string[]) => interleave(list.map((each) => IpAddress.parse(each))).map(String);
    expect(sorted("::1", "::2", "::3", "10.0.0.1", "10.0.0.2")).toEqual(["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]);
    expect(sorted("10.0.0.1", "::1", "::2", "::3")).toEqual(["10.0.0.1", "::1", "::2", "::3"]);
    expect(sorted("10.0.0.1", "10.0.0.2")).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(sorted()).toEqual([]);
  });

  test("§5: a path that swallows everything costs 250 ms, and the attempt on it is given up", async () => {
    const { connect, log, timers } = world({ "10.0.0.1": { after: 30 } });
    expect(await connect(["2001:db8::1", "10.0.0.1"])).toBe("10.0.0.1");
    expect(log).toEqual(["0 try 2001:db8::1", "250 try 10.0.0.1", "280 give up 2001:db8::1"]);
    expect(timers.pending).toBe(0);
  });

  test("§5: the next address is tried at once when one fails", async () => {
    const { connect, log } = world({ "2001:db8::1": { after: 5, fails: "unreachable" }, "10.0.0.1": { after: 30 } });
    expect(await connect(["2001:db8::1", "10.0.0.1"])).toBe("10.0.0.1");
    expect(log).toEqual(["0 try 2001:db8::1", "5 try 10.0.0.1"]);
  });

  test("§5: a slow answer still wins when the later attempt is slower", async () => {
    const { connect, log } = world({ "2001:db8::1": { after: 300 }, "10.0.0.1": { after: 100 } });
    expect(await connect(["2001:db8::1", "10.0.0.1"])).toBe("2001:db8::1");
    expect(log.at(-1)).toBe("300 give up 10.0.0.1");
  });

  test("of two that answer at once one is used, and the other aborted", async () => {
    const { connect, log } = world({ "2001:db8::1": { after: 300 }, "10.0.0.1": { after: 50 } });
    await connect(["2001:db8::1", "10.0.0.1"]);
    await turn();
    expect(log).toContain("300 abort 10.0.0.1");
    expect(log).not.toContain("300 abort 2001:db8::1");
  });

  test("all fail: with what the last one failed of", async () => {
    const { connect } = world({
      "::1": { after: 5, fails: "refused" },
      "10.0.0.1": { after: 9, fails: "unreachable" },
    });
    await expect(connect(["::1", "10.0.0.1"])).rejects.toMatchObject({ kind: "unreachable" });
    await expect(connect([])).rejects.toMatchObject({ kind: "unreachable" });
  });

  test("at most eight addresses are tried", async () => {
    const { connect, log } = world({});
    const controller = new AbortController();
    const many = Array.from({ length: 20 }, (_, index) => `10.0.0.${String(index + 1)}`);
    const connecting = connect(many, { signal: controller.signal, attemptDelay: 10 });
    await turn();
    await turn();
    controller.abort();
    await expect(connecting).rejects.toMatchObject({ kind: "aborted" });
    expect(log.filter((line) => line.includes("try")).length).toBeLessThanOrEqual(8);
    expect(log.filter((line) => line.includes("give up"))).toHaveLength(
      log.filter((line) => line.includes("try")).length,
    );
  });

  test("a signal aborted before, and a delay out of range", async () => {
    const { connect, log } = world({ "::1": { after: 1 } });
    await expect(connect(["::1"], { signal: AbortSignal.abort() })).rejects.toMatchObject({ kind: "aborted" });
    expect(log).toEqual([]);
    expect(() => connect(["::1"], { attemptDelay: 1 })).toThrow("attemptDelay 1 is not from 10 to 2000");
  });
});
