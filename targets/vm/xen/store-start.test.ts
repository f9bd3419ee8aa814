import { expect, test } from "vitest";
import { parseCommandLine } from "../command-line.ts";
import { parseStoreStart, withoutStoreStart } from "./store-start.ts";

test("what init-xenstore-domain writes is found, and is no key", () => {
  expect(parseStoreStart("--event 5")).toEqual({ master: 0, port: 5 });
  expect(parseStoreStart("log=debug --event 17 --master-domid 3 more")).toEqual({ master: 3, port: 17 });
  expect(parseStoreStart("event=5 --eventual 6")).toBeUndefined();
  expect(withoutStoreStart("a --event 17 b --master-domid 3").split(/\s+/)).toEqual(["a", "b", ""]);
  expect(parseCommandLine("--event 5 --master-domid 0", [])).toMatchObject({ ok: true });
  expect(parseCommandLine("--event", [])).toMatchObject({ ok: false });
});
