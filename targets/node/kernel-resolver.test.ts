import { expect, test } from "vitest";
import { createKernelResolver } from "./kernel-resolver.ts";
import { addressOf } from "./kernel-address.ts";
import { createRandom } from "./random.ts";

const resolver = createKernelResolver();

test.each(["10.0.0.1", "fd00::1"])("%s is its own answer", async (text) => {
  expect((await resolver.resolve(text)).map(String)).toEqual([text]);
});

test("localhost is loopback", async () => {
  const addresses = await resolver.resolve("localhost");
  expect(addresses.length).toBeGreaterThan(0);
  expect(addresses.every((address) => address.isLoopback)).toBe(true);
});

test.each(["", "a\0b", "x".repeat(300), "256.256.256.256.invalid"])("%j has no address", async (name) => {
  // Without a network the resolver may say so instead.
  const kind = expect.stringMatching(/^(not-found|timeout|refused)$/) as string;
  await expect(resolver.resolve(name)).rejects.toMatchObject({ name: "ResolveError", kind, host: name });
});

test("an abort rejects with aborted, before and during the query", async () => {
  const signal = AbortSignal.abort();
  await expect(resolver.resolve("localhost", { signal })).rejects.toMatchObject({ kind: "aborted" });
  const controller = new AbortController();
  const resolving = resolver.resolve("localhost", { signal: controller.signal });
  controller.abort();
  await expect(resolving).rejects.toMatchObject({ kind: "aborted" });
});

test.each([
  ["::ffff:10.0.0.1", "10.0.0.1"],
  ["fe80::1%eth0", "fe80::1"],
  ["::1", "::1"],
])("the kernel's %s is %s", (text, expected) => {
  expect(addressOf(text).toString()).toBe(expected);
});

test("random words cover all bits and do not repeat", () => {
  const random = createRandom();
  const words = Array.from({ length: 5000 }, () => random.uint32());
  expect(words.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32)).toBe(true);
  // 5000 of 2³²: a collision or two can happen, three cannot.
  expect(new Set(words).size).toBeGreaterThan(4997);
  for (let bit = 0; bit < 32; bit++) {
    const share = words.filter((word) => ((word >>> bit) & 1) === 1).length / words.length;
    expect(Math.abs(share - 0.5)).toBeLessThan(0.06);
  }
  const bytes = new Uint8Array(100_000);
  random.fill(bytes);
  expect(new Set(bytes).size).toBe(256);
});
