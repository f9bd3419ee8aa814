import type { Timers } from "@tesserae/device/clock";
import type { Page } from "@tesserae/device/page";
import { ensure } from "./assert.ts";
import { pause, settleTime, until } from "./pause.ts";

/** Whatever pages are taken from and given back to: each layer up to IP. */
export interface PageSource {
  allocate(): Page | undefined;
  release(page: Page): void;
}

/** No device has more pages than this. */
const mostPages = 100_000;

export function takePage(source: PageSource): Page {
  const page = source.allocate();
  ensure(page !== undefined, "there is no page");
  return page;
}

/** All the pages there are now. */
function takeAll(source: PageSource): Page[] {
  const pages: Page[] = [];
  for (let page = source.allocate(); page !== undefined; page = source.allocate()) {
    pages.push(page);
    ensure(pages.length < mostPages, `more than ${String(mostPages)} pages`);
  }
  return pages;
}

/** How many pages are free. Takes them all, and gives them back. */
function countPages(source: PageSource): number {
  const pages = takeAll(source);
  for (const page of pages) source.release(page);
  return pages.length;
}

/** How many pages are free when what is under way has arrived. */
export async function countSettledPages(timers: Timers, source: PageSource): Promise<number> {
  await pause(timers, settleTime);
  return countPages(source);
}

/** Fails unless as many pages as `expected` become free in time, and no more than that. */
export async function ensurePagesBack(timers: Timers, source: PageSource, expected: number): Promise<void> {
  let free = 0;
  await until(timers, () => (free = countPages(source)) >= expected, `all ${String(expected)} pages to come back`);
  ensure(free === expected, `${String(free)} pages are free, and there were ${String(expected)}`);
}

/** Pages are distinct, bounded, with at least `room` bytes each, clean when taken, and come back by `release`. */
export function ensurePagesAreSound(source: PageSource, room: number): void {
  const pages = takeAll(source);
  ensure(pages.length >= 2, `${String(pages.length)} pages in all`);
  ensure(new Set(pages).size === pages.length, "a page was given to two at once");
  for (const page of pages) {
    ensure(page.bytes.length >= room, `a page has ${String(page.bytes.length)} bytes, not ${String(room)}`);
    page.flags = 1;
    page.checksumStart = 14;
    page.checksumOffset = 16;
    page.segmentSize = 100;
    page.headerLength = 54;
    source.release(page);
  }
  const again = takeAll(source);
  ensure(again.length === pages.length, `${String(again.length)} pages came back, not ${String(pages.length)}`);
  for (const page of again) {
    const { flags, checksumStart, checksumOffset, segmentSize, headerLength } = page;
    const clean = (flags | checksumStart | checksumOffset | segmentSize | headerLength) === 0;
    ensure(clean, "a page has the metadata of its last user");
    source.release(page);
  }
}
