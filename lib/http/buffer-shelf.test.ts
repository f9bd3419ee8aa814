import { expect, test } from "vitest";
import { BufferShelf, shelfBuffer } from "./buffer-shelf.ts";

test("a buffer that was given back is the next that is taken, and no buffer is taken twice", () => {
  const shelf = new BufferShelf();
  const first = shelf.take();
  shelf.give(first);
  expect(shelf.take()).toBe(first);
  expect(shelf.take()).not.toBe(first);
});

test("buffers that have grown are not kept, nor more than 256", () => {
  const shelf = new BufferShelf();
  const grown = new Uint8Array(shelfBuffer * 4);
  shelf.give(grown);
  expect(shelf.take()).toHaveLength(shelfBuffer);
  const given = new Set<Uint8Array>(Array.from({ length: 300 }, () => new Uint8Array(shelfBuffer)));
  for (const each of given) shelf.give(each);
  const taken = Array.from({ length: 300 }, () => shelf.take());
  expect(taken.filter((each) => given.has(each))).toHaveLength(256);
});
