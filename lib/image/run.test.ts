import { describe, expect, test } from "vitest";
import { KeyError } from "./key.ts";
import type { ImageHost, ImagePlan, MadeDevice } from "./plan.ts";
import { DeviceError, parseKeys, runImage } from "./run.ts";

function host(overrides: Partial<ImageHost> = {}): ImageHost & { readonly reported: unknown[] } {
  const reported: unknown[] = [];
  return {
    base: {},
    keys: {},
    signal: new AbortController().signal,
    report: (error) => reported.push(error),
    reported,
    ...overrides,
  };
}

function plan(overrides: Partial<ImagePlan> = {}): ImagePlan {
  return {
    name: "test",
    target: "test",
    keys: [],
    constants: {},
    devices: [],
    bindings: {},
    main: () => undefined,
    ...overrides,
  };
}

function device(id: string, create: MadeDevice["create"], more: Partial<MadeDevice> = {}): MadeDevice {
  return { id, kind: id, implementation: "test", create, needs: {}, options: {}, ...more };
}

describe("runImage", () => {
  test("makes devices in order, gives them needs and options, runs main, closes in reverse order", async () => {
    const events: string[] = [];
    const closing = (name: string) => ({ name, close: async () => void events.push(`close ${name}`) });
    const timers = closing("timers");
    let got: unknown;
    await runImage(
      plan({
        keys: [{ name: "level", type: { kind: "integer" }, default: "3", doc: "" }],
        constants: { debug: true },
        devices: [
          { id: "timers", kind: "timers", base: true },
          device(
            "log",
            (args) => {
              events.push(
                `make log ${JSON.stringify(Object.keys(args))} ${String(args["level"])} ${String(args["size"])}`,
              );
              expect(args["clock"]).toBe(timers);
              return Promise.resolve(closing("log"));
            },
            { needs: { clock: "timers" }, options: { level: { key: "level" }, size: { value: 7 } } },
          ),
          device(
            "web",
            ({ log }) => {
              events.push(`make web with ${(log as { name: string }).name}`);
              return closing("web");
            },
            { needs: { log: "log" } },
          ),
        ],
        bindings: { out: "log", web: "web" },
        main: (devices) => {
          events.push("main");
          got = devices;
        },
      }),
      host({ base: { timers }, keys: { level: "5" } }),
    );
    expect(events).toEqual([
      'make log ["level","size","clock"] 5 7',
      "make web with log",
      "main",
      "close web",
      "close log",
    ]);
    expect(got).toMatchObject({ out: { name: "log" }, web: { name: "web" }, keys: { level: 5, debug: true } });
    expect((got as { signal: AbortSignal }).signal).toBeInstanceOf(AbortSignal);
  });

  test("what main throws comes out after the devices are closed; what close throws is reported", async () => {
    const target = host();
    const events: string[] = [];
    const image = plan({
      devices: [
        device("a", () => ({ close: () => void events.push("a") })),
        device("b", () => ({ close: () => Promise.reject(new Error("stuck")) })),
      ],
      main: () => Promise.reject(new Error("main failed")),
    });
    await expect(runImage(image, target)).rejects.toThrow("main failed");
    expect(events).toEqual(["a"]);
    expect(target.reported).toEqual([new Error("stuck")]);
  });

  test("a device that cannot be made is named, and those before it are closed", async () => {
    const events: string[] = [];
    const image = plan({
      devices: [
        device("a", () => ({ close: () => void events.push("closed a") })),
        device("b", () => {
          throw new Error("no such tap");
        }),
      ],
      main: () => void events.push("main"),
    });
    const failed = runImage(image, host());
    await expect(failed).rejects.toThrow('cannot make device "b" (test): no such tap');
    await expect(failed).rejects.toBeInstanceOf(DeviceError);
    expect(events).toEqual(["closed a"]);
  });

  test("a base device that the target lacks is an error", async () => {
    const image = plan({ devices: [{ id: "eth", kind: "netif", base: true }] });
    await expect(runImage(image, host())).rejects.toThrow('target test supplies no netif (device "eth")');
  });

  test("of some base kinds each device gets its own, and the one too many is named", async () => {
    const several = { block: ["first", "second"] };
    let got: unknown;
    const blocks = ["a", "b"].map((id) => ({ id, kind: "block", base: true }) as const);
    const image = plan({ devices: blocks, bindings: { a: "a", b: "b" }, main: (devices) => void (got = devices) });
    await runImage(image, host({ several }));
    expect(got).toMatchObject({ a: "first", b: "second" });
    const more = plan({ devices: [...blocks, { id: "c", kind: "block", base: true }] });
    await expect(runImage(more, host({ several }))).rejects.toThrow(
      'target test supplies only 2 of kind block (device "c")',
    );
  });

  test("the host gets each made device before the next one is made", async () => {
    const events: string[] = [];
    const image = plan({
      devices: [device("a", () => "A"), device("b", () => void events.push("make b"))],
      main: () => void events.push("main"),
    });
    const made = async ({ id }: { id: string }, value: unknown): Promise<void> => {
      await Promise.resolve();
      events.push(`made ${id} ${String(value)}`);
    };
    await runImage(image, host({ made }));
    expect(events).toEqual(["made a A", "make b", "made b undefined", "main"]);
  });

  test("aborted while a device is in the making: main does not run, and the late device is closed", async () => {
    const abort = new AbortController();
    const events: string[] = [];
    let finish: (device: unknown) => void = () => undefined;
    const image = plan({
      devices: [
        device("a", () => ({ close: () => void events.push("closed a") })),
        device("slow", () => new Promise((resolve) => (finish = resolve))),
      ],
      main: () => void events.push("main"),
    });
    const running = runImage(image, host({ signal: abort.signal }));
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await running;
    expect(events).toEqual(["closed a"]);
    finish({ close: () => void events.push("closed slow") });
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).toEqual(["closed a", "closed slow"]);
  });
});

describe("parseKeys", () => {
  test("names every unknown, missing and malformed key at once", () => {
    const keys = [
      { name: "port", type: { kind: "port" }, default: "80", doc: "" },
      { name: "serverName", type: { kind: "string" }, doc: "" },
    ] as const;
    let thrown: unknown;
    try {
      parseKeys(keys, { prot: "1", port: "many" });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(KeyError);
    expect((thrown as KeyError).problems).toEqual([
      { kind: "unknown", key: "prot", message: 'there is no key "prot" (did you mean "port"?)' },
      { kind: "malformed", key: "port", given: "many", message: '--port: "many" is not a port from 0 to 65535' },
      {
        kind: "missing",
        key: "serverName",
        message: 'key "serverName" has no value: give --server-name, text of at most 4096 characters',
      },
    ]);
  });
});
