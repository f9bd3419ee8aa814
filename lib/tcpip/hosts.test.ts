import { expect, test } from "vitest";
import { createHosts } from "./hosts.ts";

test("names are found without regard to case and final dot, in the order given", async () => {
  const hosts = createHosts({ names: { "www.example": ["10.0.0.2", "fd00::2"], db: "10.0.0.3" } });
  expect((await hosts.resolve("WWW.Example.")).map(String)).toEqual(["10.0.0.2", "fd00::2"]);
  expect((await hosts.resolve("db")).map(String)).toEqual(["10.0.0.3"]);
});

test("RFC 6761 §6.3: localhost and what is below it, and addresses in text", async () => {
  const hosts = createHosts();
  expect((await hosts.resolve("localhost")).map(String)).toEqual(["127.0.0.1", "::1"]);
  expect((await hosts.resolve("a.b.localhost.")).map(String)).toEqual(["127.0.0.1", "::1"]);
  expect((await hosts.resolve("192.0.2.7")).map(String)).toEqual(["192.0.2.7"]);
  expect((await hosts.resolve("::1")).map(String)).toEqual(["::1"]);
});

test("unknown names and aborts reject", async () => {
  const hosts = createHosts({ names: {} });
  await expect(hosts.resolve("__proto__")).rejects.toMatchObject({ kind: "not-found", host: "__proto__" });
  await expect(hosts.resolve("localhost", { signal: AbortSignal.abort() })).rejects.toMatchObject({ kind: "aborted" });
});

test("a bad table names the entry", () => {
  expect(() => createHosts({ names: { db: "10.0.0.300" } })).toThrow('"db" has "10.0.0.300"');
  expect(() => createHosts({ names: { db: [] } })).toThrow('"db" has no address');
});
