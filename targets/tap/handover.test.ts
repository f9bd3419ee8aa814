import { Page } from "@tesserae/device/page";
import { afterEach, describe, expect, test } from "vitest";
import { closeHandover, createHandover, Handover, type SharedHandover } from "./handover.ts";
import { loadCalls } from "./libc.ts";

const calls = process.platform === "linux" ? await loadCalls() : undefined;
let shared: SharedHandover | undefined;
afterEach(() => {
  if (shared !== undefined) closeHandover(shared);
  shared = undefined;
});

function queues(count: number): Handover[] {
  if (calls === undefined) throw new Error("not on this system");
  const made = (shared = createHandover(calls, count));
  return Array.from({ length: count }, (_, own) => new Handover(calls, made, own));
}

/** Whether the event descriptor of a queue says that there is something. */
function woken(queue: Handover): boolean {
  const count = calls!.memory(8);
  const said = calls!.read(queue.fd, count.address, 8);
  return said === 8;
}

describe.skipIf(calls === undefined)("frames from queue to queue", () => {
  test("arrive in order, with their metadata, across the end of the ring", () => {
    const [first, second] = queues(3);
    let sent = 0;
    let expected = 0;
    const page = new Page(new Uint8Array(70_000), 0);
    for (let round = 0; round < 200; round++) {
      for (let index = 0; index < 1 + (round % 4); index++) {
        const length = 60 + ((sent * 4801) % 60_000);
        page.bytes[100] = sent;
        page.bytes[100 + length - 1] = sent;
        page.flags = sent & 3;
        page.checksumStart = 34;
        page.checksumOffset = 6;
        page.segmentSize = sent & 1023;
        page.headerLength = 54;
        first!.give(1, page, 100, length);
        sent++;
      }
      second!.receive((got, offset, length) => {
        expect(length).toBe(60 + ((expected * 4801) % 60_000));
        expect([got.bytes[offset], got.bytes[offset + length - 1]]).toEqual([expected & 255, expected & 255]);
        expect([got.flags, got.checksumStart, got.checksumOffset]).toEqual([expected & 3, 34, 6]);
        expect([got.segmentSize, got.headerLength]).toEqual([expected & 1023, 54]);
        expected++;
      });
    }
    expect(expected).toBe(sent);
    expect([first!.given, first!.dropped]).toEqual([sent, 0]);
  });

  test("the reader is woken once until it has read all", () => {
    const [first, second] = queues(2);
    const page = new Page(new Uint8Array(100), 0);
    expect(woken(second!)).toBe(false);
    first!.give(1, page, 0, 60);
    expect(woken(second!)).toBe(true);
    first!.give(1, page, 0, 60);
    expect(woken(second!)).toBe(false);
    let got = 0;
    second!.receive(() => got++);
    expect(got).toBe(2);
    first!.give(1, page, 0, 60);
    expect(woken(second!)).toBe(true);
  });

  test("what there is no room for is dropped and counted, and what was given before is whole", () => {
    const [first, second] = queues(2);
    const page = new Page(new Uint8Array(1500), 0);
    for (let index = 0; index < 400; index++) {
      page.bytes[0] = index & 255;
      first!.give(1, page, 0, 1500);
    }
    expect(first!.given + first!.dropped).toBe(400);
    expect(first!.dropped).toBeGreaterThan(0);
    let got = 0;
    second!.receive((each, offset) => {
      expect(each.bytes[offset]).toBe(got++ & 255);
    });
    expect(got).toBe(first!.given);
    first!.give(1, page, 0, 1500);
    second!.receive(() => got++);
    expect(got).toBe(first!.given);
  });
});
