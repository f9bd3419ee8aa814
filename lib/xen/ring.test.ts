import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pageSize } from "./grant.ts";
import { BackRing, FrontRing, ringCapacity, ringHeader } from "./ring.ts";

const entrySize = 112;

function pair(pages = 1): { page: Uint8Array; words: Uint32Array; front: FrontRing; back: BackRing } {
  const page = new Uint8Array(pages * pageSize);
  const front = new FrontRing(page, entrySize);
  return { page, words: new Uint32Array(page.buffer), front, back: new BackRing(page, entrySize) };
}

describe("layout of io/ring.h", () => {
  test("entries are a power of two behind 64 bytes", () => {
    // blkif on x86-64, its ring of four pages, netif's transmit and receive rings, and one entry.
    expect(ringCapacity(4096, 112)).toBe(32);
    expect(ringCapacity(4 * 4096, 112)).toBe(128);
    expect(ringCapacity(4096, 12)).toBe(256);
    expect(ringCapacity(4096, 8)).toBe(256);
    expect(ringCapacity(ringHeader + 112, 112)).toBe(1);
    expect(() => new FrontRing(new Uint8Array(128), 112)).toThrow("no room for an entry");
  });

  test("a new ring asks for the first request and the first response to be notified", () => {
    const { words } = pair();
    expect([...words.subarray(0, 4)]).toEqual([0, 1, 0, 1]);
  });

  test("the front end wipes what was in the page's head, and the pages may lie anywhere in memory", () => {
    const memory = new Uint8Array(3 * pageSize).fill(0xff);
    const front = new FrontRing(memory.subarray(pageSize, 2 * pageSize), entrySize);
    expect([...new Uint32Array(memory.buffer, pageSize, 16)]).toEqual([0, 1, 0, 1, ...new Array<number>(12).fill(0)]);
    expect(front.nextRequest()).toBe(ringHeader);
    expect(memory[pageSize - 1]).toBe(0xff);
    expect(memory[2 * pageSize]).toBe(0xff);
  });
});

describe("notification", () => {
  test("is wanted once per batch: for what is pushed while the other end works, nobody is woken", () => {
    const { front, back } = pair();
    front.nextRequest();
    expect(front.push()).toBe(true);
    front.nextRequest();
    expect(front.push()).toBe(false);
    expect(back.available).toBe(2);
    back.nextRequest();
    back.nextRequest();
    front.nextRequest();
    expect(front.push()).toBe(false);
    expect(back.finalCheck()).toBe(true);
    back.nextRequest();
    expect(back.finalCheck()).toBe(false);
    front.nextRequest();
    expect(front.push()).toBe(true);
  });

  test("can be asked for after several responses", () => {
    const { front, back } = pair();
    for (let each = 0; each < 4; each++) front.nextRequest();
    front.push();
    expect(front.finalCheck(3)).toBe(false);
    for (const isWanted of [false, false, true, false]) {
      back.nextRequest();
      back.nextResponse();
      expect(back.push()).toBe(isWanted);
    }
  });

  test("can be asked for when there are enough requests, of which some are there", () => {
    const { front, back } = pair();
    front.nextRequest();
    front.push();
    expect(back.finalCheck(3)).toBe(false);
    for (const isWanted of [false, true, false]) {
      front.nextRequest();
      expect(front.push()).toBe(isWanted);
    }
    expect(back.finalCheck(3)).toBe(true);
  });

  test("pushing nothing wakes nobody", () => {
    const { front, back } = pair();
    expect(front.push()).toBe(false);
    expect(back.push()).toBe(false);
  });
});

describe("bounds", () => {
  test("the front end cannot send more than fit, nor the back end answer what was not asked", () => {
    const { front, back } = pair();
    for (let each = 0; each < 32; each++) front.nextRequest();
    expect(front.free).toBe(0);
    expect(() => front.nextRequest()).toThrow("full");
    expect(() => back.nextResponse()).toThrow("no request");
  });

  test("a wild index of the other end is seen, and a final check does not sleep over it", () => {
    const { words, front, back } = pair();
    for (const wild of [33, 0x8000_0000, 0xffff_ffff]) {
      words[0] = wild;
      expect(back.available).toBe(-1);
      expect(back.finalCheck()).toBe(true);
    }
    front.nextRequest();
    front.push();
    for (const wild of [2, 0x8000_0000, 0xffff_ffff]) {
      words[2] = wild;
      expect(front.available).toBe(-1);
      expect(front.finalCheck()).toBe(true);
    }
  });

  test("an index that goes back is wild: requests were taken already", () => {
    const { words, front, back } = pair();
    front.nextRequest();
    front.nextRequest();
    front.push();
    back.nextRequest();
    back.nextRequest();
    words[0] = 1;
    expect(back.available).toBe(-1);
  });
});

test("a back end that comes later goes on behind the last response", () => {
  const { page, front, back } = pair();
  for (let each = 0; each < 3; each++) front.nextRequest();
  front.push();
  back.nextRequest();
  back.nextResponse();
  back.push();
  const next = new BackRing(page, entrySize);
  expect(next.available).toBe(2);
  expect(next.nextRequest()).toBe(ringHeader + entrySize);
});

test("property: each request arrives once and in order, each response too, and nobody sleeps while there is work", () => {
  const firstIndex = fc.oneof(
    fc.integer(),
    fc.integer({ min: -40, max: 0 }),
    fc.integer({ min: 2 ** 31 - 40, max: 2 ** 31 - 1 }),
  );
  const step = fc.constantFrom("ask", "push", "serve", "answer", "send", "hear");
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), firstIndex, (steps, first) => {
      const page = new Uint8Array(ringHeader + 4 * 8 + 8);
      const view = new DataView(page.buffer);
      // Indices run on over the whole of 32 bits: begin anywhere.
      const front = new FrontRing(page, 8, first);
      const words = new Int32Array(page.buffer, 0, 4);
      const back = new BackRing(page, 8);
      expect(front.capacity).toBe(4);
      let asked = 0;
      let heard = 0;
      const served: number[] = [];
      let nextServed = 0;
      // Whether an end sleeps, and whether it was woken since.
      let backWoken = false;
      let frontWoken = false;
      let pushed = 0;
      let sent = 0;
      let answered = 0;
      for (const each of steps) {
        if (each === "ask" && front.free > 0) view.setUint32(front.nextRequest(), asked++);
        if (each === "push") {
          pushed = asked;
          if (front.push()) backWoken = true;
        }
        if (each === "serve") {
          do {
            for (let left = back.available; left > 0; left--) {
              const number = view.getUint32(back.nextRequest());
              expect(number).toBe(nextServed++);
              served.push(number);
            }
          } while (back.finalCheck());
          backWoken = false;
        }
        if (each === "answer") {
          const number = served.shift();
          if (number !== undefined) {
            view.setUint32(back.nextResponse(), number + 1000);
            answered++;
          }
        }
        if (each === "send") {
          sent = answered;
          if (back.push()) frontWoken = true;
        }
        if (each === "hear") {
          do {
            for (let left = front.available; left > 0; left--) {
              expect(view.getUint32(front.nextResponse())).toBe(1000 + heard++);
            }
          } while (front.finalCheck());
          frontWoken = false;
        }
        if (pushed > nextServed) expect(backWoken).toBe(true);
        if (sent > heard) expect(frontWoken).toBe(true);
        expect(words[0]).toBe((first + pushed) | 0);
      }
    }),
  );
});
