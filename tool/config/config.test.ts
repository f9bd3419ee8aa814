import type { Log } from "@tesserae/device/log";
import type { Stack } from "@tesserae/device/stack";
import type { Kv } from "@tesserae/device/kv";
import { describe, expect, expectTypeOf, test } from "vitest";
import { defineConfig, device, key, type Devices, type Main } from "./config.ts";

const config = defineConfig({
  name: "www",
  main: "./main.ts",
  keys: {
    port: key.port({ default: 8080, doc: "port to listen on" }),
    role: key.choice(["client", "server"], { default: "server", doc: "which half" }),
    debug: key.boolean({ stage: "build", doc: "say more" }),
  },
  devices: { stack: device.stack(), site: device.files("./site"), log: device.log({ level: "warn" }) },
});

describe("Devices<typeof config>", () => {
  test("main gets the devices by name, the values of the keys, and the signal", () => {
    type Got = Devices<typeof config>;
    expectTypeOf<keyof Got>().toEqualTypeOf<"stack" | "site" | "log" | "keys" | "signal">();
    expectTypeOf<Got["stack"]>().toEqualTypeOf<Stack>();
    expectTypeOf<Got["site"]>().toEqualTypeOf<Kv>();
    expectTypeOf<Got["log"]>().toEqualTypeOf<Log>();
    expectTypeOf<Got["signal"]>().toEqualTypeOf<AbortSignal>();
    expectTypeOf<Got["keys"]>().toEqualTypeOf<{
      readonly port: number;
      readonly role: "client" | "server";
      readonly debug: boolean;
    }>();
    expectTypeOf<Main<typeof config>>().parameter(0).toEqualTypeOf<Got>();
    expect(Object.keys(config.devices)).toEqual(["stack", "site", "log"]);
  });

  test("a configuration without keys gives main no key", () => {
    const bare = defineConfig({ name: "bare", main: "./main.ts", devices: { log: device.log() } });
    expectTypeOf<keyof Devices<typeof bare>["keys"]>().toEqualTypeOf<never>();
    expectTypeOf<keyof Devices<typeof bare>>().toEqualTypeOf<"log" | "keys" | "signal">();
    const none = defineConfig({ name: "none", main: "./main.ts" });
    expectTypeOf<keyof Devices<typeof none>>().toEqualTypeOf<"keys" | "signal">();
    expect([bare.keys, none.devices]).toEqual([{}, {}]);
  });
});

describe("mistakes are type errors in words", () => {
  test("a key among the devices, a device among the keys, something else, a reserved name", () => {
    const declare = (): unknown => [
      // @ts-expect-error Mistake<"devices.port is a key: declare it under keys">
      defineConfig({ name: "a", main: "./main.ts", devices: { port: key.port({ default: 1, doc: "" }) } }),
      // @ts-expect-error Mistake<"keys.log is a device: declare it under devices">
      defineConfig({ name: "a", main: "./main.ts", keys: { log: device.log() } }),
      // @ts-expect-error Mistake<"devices.stack is not a device: …">
      defineConfig({ name: "a", main: "./main.ts", devices: { stack: "tcp" } }),
      // @ts-expect-error Mistake<"main gets something else as "keys": …">
      defineConfig({ name: "a", main: "./main.ts", devices: { keys: device.log() } }),
      // @ts-expect-error the default is not one of the choices
      key.choice(["a", "b"], { default: "c", doc: "" }),
    ];
    expect(declare).toThrow('the default "c" is not "a" or "b"');
  });
});

describe("key", () => {
  test("a default that the key does not allow is refused where it is declared", () => {
    expect(() => key.port({ default: 80800, doc: "" })).toThrow('the default "80800" is not a port from 0 to 65535');
    expect(() => key.integer({ default: 7, max: 3, doc: "" })).toThrow("is not an integer, at most 3");
    expect(() => key.duration({ default: "soon", doc: "" })).toThrow('"soon" is not a duration');
  });

  test("defaults are kept as the text that gives the value again", () => {
    expect(key.duration({ default: 1500, doc: "" }).default).toBe("1.5s");
    expect(key.bytes({ default: "64KiB", doc: "" }).default).toBe("64KiB");
    expect(key.boolean({ doc: "" }).default).toBe("false");
    expect(key.string({ doc: "" }).default).toBeUndefined();
  });
});
