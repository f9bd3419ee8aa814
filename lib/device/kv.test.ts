import { expect, test } from "vitest";
import { checkKey } from "./kv.ts";

test.each(["index.html", "img/logo.svg", "a/b/c", ".hidden", "näme"])("%j is a key", (key) => {
  expect(checkKey(key)).toBeUndefined();
});

test.each([
  ["", "is empty"],
  ["/index.html", "has an empty segment"],
  ["a//b", "has an empty segment"],
  ["a/", "has an empty segment"],
  ["../secret", 'has the segment ".."'],
  ["a/./b", 'has the segment "."'],
  ["a\0b", "has a NUL"],
  ["a".repeat(256), "has a segment longer than 255 bytes"],
  ["a/".repeat(600) + "a", "is longer than 1024 bytes"],
  // 200 characters, 400 bytes.
  ["ä".repeat(200), "has a segment longer than 255 bytes"],
])("%j %s", (key, problem) => {
  expect(checkKey(key)).toBe(problem);
});
