import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PositionQueue } from "./position-queue.ts";
import { Scoreboard } from "./scoreboard.ts";
import { SegmentRecordPool } from "./segment-records.ts";

const mss = 10;

interface Cell {
  readonly end: number;
  start: number;
  sentAt: number;
  sacked: boolean;
  lost: boolean;
  repeating: boolean;
  repeated: boolean;
}

/** The same, one object a segment and a loop for everything. */
class Model {
  cells: Cell[] = [];
  end = 0;
  delivered = 0;

  sent(end: number, now: number): void {
    while (this.end < end) {
      const to = Math.min(end, this.end + mss);
      this.cells.push({
        start: this.end,
        end: to,
        sentAt: now,
        sacked: false,
        lost: false,
        repeating: false,
        repeated: false,
      });
      this.end = to;
    }
  }

  sack(left: number, right: number): void {
    for (const cell of this.cells) {
      if (cell.sacked || cell.start < left || cell.end > right) continue;
      this.delivered += cell.end - cell.start;
      cell.sacked = true;
      cell.lost = false;
      cell.repeating = false;
    }
  }

  acknowledge(ack: number): void {
    for (const cell of this.cells) {
      if (!cell.sacked) this.delivered += Math.max(0, Math.min(cell.end, ack) - cell.start);
      if (cell.start < ack) cell.start = Math.min(ack, cell.end);
    }
    this.cells = this.cells.filter((cell) => cell.end > ack);
  }

  detect(latest: number, latestEnd: number, now: number, wait: number): void {
    for (const cell of this.cells) {
      if (cell.sacked || (cell.lost && !cell.repeating)) continue;
      const isBefore = cell.sentAt < latest || (cell.sentAt === latest && cell.end < latestEnd);
      if (!isBefore || cell.sentAt + wait > now) continue;
      cell.lost = true;
      cell.repeating = false;
    }
  }

  timeout(now: number, wait: number): void {
    for (const [index, cell] of this.cells.entries()) {
      if (cell.sacked || (index > 0 && cell.sentAt + wait > now)) continue;
      cell.lost = true;
      cell.repeating = false;
    }
  }

  sum(of: (cell: Cell) => boolean): number {
    return this.cells.reduce((sum, cell) => sum + (of(cell) ? cell.end - cell.start : 0), 0);
  }
}

type Step =
  | { readonly kind: "send"; readonly bytes: number }
  | { readonly kind: "sack"; readonly from: number; readonly length: number }
  | { readonly kind: "ack"; readonly share: number }
  | { readonly kind: "detect"; readonly back: number; readonly wait: number }
  | { readonly kind: "repeat"; readonly count: number }
  | { readonly kind: "timeout"; readonly wait: number }
  | { readonly kind: "wait"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("send" as const), bytes: fc.integer({ min: 1, max: 300 }) }),
  fc.record({ kind: fc.constant("sack" as const), from: fc.nat(60), length: fc.integer({ min: 1, max: 200 }) }),
  fc.record({ kind: fc.constant("ack" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("detect" as const), back: fc.nat(20), wait: fc.nat(10) }),
  fc.record({ kind: fc.constant("repeat" as const), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant("timeout" as const), wait: fc.nat(10) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(10) }),
);

describe("the scoreboard", () => {
  test("agrees with a list of segments, whatever happens, across the end of the number space", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.constantFrom(0, -100, 2 ** 31 - 500, -(2 ** 31)),
        (steps, iss) => {
          const board = new Scoreboard(new SegmentRecordPool(), iss | 0);
          const model = new Model();
          const wire = (number: number): number => (iss + number) | 0;
          let now = 0;
          let start = 0;
          for (const each of steps) {
            board.delivery.begin(wire(model.end));
            model.delivered = 0;
            switch (each.kind) {
              case "send":
                board.sent(wire(model.end + each.bytes), false, mss, now);
                model.sent(model.end + each.bytes, now);
                break;
              case "sack": {
                const left = start + each.from * 5;
                const right = Math.min(model.end, left + each.length);
                if (left >= right) break;
                board.sack(wire(left), wire(right));
                model.sack(left, right);
                break;
              }
              case "ack": {
                const to = start + Math.round(each.share * (model.end - start));
                if (to === start) break;
                board.acknowledge(wire(to));
                model.acknowledge(to);
                start = to;
                break;
              }
              case "detect": {
                const latest = now - each.back;
                board.detectLost(latest, wire(model.end), now, each.wait);
                // In order of sending each is found lost once only; what is sent again counts from then on.
                model.detect(latest, model.end, now, each.wait);
                break;
              }
              case "repeat":
                for (let round = 0; round < each.count; round++) {
                  const place = board.nextLost();
                  const left = model.cells.filter((cell) => cell.lost && !cell.repeating);
                  expect(place >= 0).toBe(left.length > 0);
                  if (place < 0) break;
                  const cell = left.find(({ end }) => wire(end) === board.endOf(place));
                  expect(cell).toBeDefined();
                  board.sentAgain(place, now);
                  Object.assign(cell!, { repeating: true, repeated: true, sentAt: now });
                }
                break;
              case "timeout":
                board.markAllLost(now, each.wait);
                model.timeout(now, each.wait);
                break;
              default:
                now += each.ms;
            }
            expect({
              sacked: board.sacked,
              lost: board.lost,
              repeating: board.repeating,
              count: board.count,
              delivered: board.delivery.bytes,
              start: board.start,
            }).toEqual({
              sacked: model.sum((cell) => cell.sacked),
              lost: model.sum((cell) => cell.lost),
              repeating: model.sum((cell) => cell.repeating),
              count: model.cells.length,
              delivered: model.delivered,
              start: wire(start),
            });
            expect(board.sackedSegments).toBe(model.cells.filter((cell) => cell.sacked).length);
            expect(board.pipe).toBeGreaterThanOrEqual(0);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("a block that is told again, or the whole window in blocks, costs no more than what is new", () => {
    // 65,536 segments, every second one SACKed, from the right: then four blocks over all of it, twenty thousand times.
    const board = new Scoreboard(new SegmentRecordPool(), 0);
    const count = board.room;
    board.sent(count * mss, false, mss, 0);
    expect(board.room).toBe(0);
    for (let index = count - 1; index > 0; index -= 2) board.sack(index * mss, (index + 1) * mss);
    expect(board.sackedSegments).toBe(count / 2);
    for (let index = count - 2; index > 0; index -= 2) board.sack(index * mss, (index + 1) * mss);
    expect(board.sackedSegments).toBe(count - 1);
    let news = 0;
    // Were each to look at every segment, this would be 5 thousand million looks.
    for (let round = 0; round < 20_000; round++) {
      for (let block = 0; block < 4; block++) if (board.sack((1 + block) * mss, count * mss)) news++;
    }
    expect(news).toBe(0);
    board.acknowledge(count * mss);
    expect(board.count).toBe(0);
  });

  test("holds nothing when nothing is out, and its memory serves the next connection", () => {
    const pool = new SegmentRecordPool();
    const first = new Scoreboard(pool, 0);
    first.sent(100 * mss, false, mss, 0);
    first.acknowledge(100 * mss);
    const records = pool.take(100);
    expect(records.capacity).toBe(128);
    pool.give(records);
    expect(pool.take(100)).toBe(records);
  });
});

test("a queue of places forgets its first when it is full", () => {
  const queue = new PositionQueue(16);
  for (let place = 0; place < 20; place++) queue.push(place);
  expect(queue.length).toBe(16);
  const seen: number[] = [];
  while (queue.length > 0) {
    seen.push(queue.first);
    queue.shift();
  }
  expect(seen).toEqual(Array.from({ length: 16 }, (_, index) => index + 4));
});
