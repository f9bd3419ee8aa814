import { headroom, type Page, PagePool } from "@tesserae/device/page";
import type { XenDomain } from "../domain.ts";
import { pageSize, type SharedPages } from "../grant.ts";
import { XenError } from "../xen-error.ts";
import { ethernetHeader } from "./mtu.ts";
import { longestFrame } from "./wire.ts";

/** TCP payload in one frame to be cut: with the longest headers, still a frame. */
export const longestPayload: number = longestFrame - ethernetHeader - 80;
/** Pages for frames to be cut, at a device that cuts. Where they do not suffice the stack sends what it cuts itself. */
export const longPages = 16;
/** Pages of memory in which a long frame lies. */
const longPageSize = Math.ceil((headroom + longestFrame) / pageSize) * pageSize;

/**
 * The pages that frames are built in, in memory that can be shared: short ones for the MTU, and a few long ones for
 * frames to be cut. A short one never lies across a boundary of memory pages unless it is longer than one.
 */
export class FramePages {
  readonly short: SharedPages;
  readonly long: SharedPages | undefined;
  /** Short and long pages together. */
  readonly capacity: number;
  readonly #shortPool: PagePool;
  readonly #longPool: PagePool | undefined;
  #leases = 0;
  #isOver = false;

  /**
   * @param count short pages, at least 2
   * @param longCount 0: none; where memory is out for them alone, there are none either
   * @throws XenError `exhausted`.
   */
  constructor(domain: Pick<XenDomain, "allocate">, mtu: number, count: number, longCount: number) {
    // The frame may begin anywhere behind the headroom less the Ethernet header.
    const needed = headroom + mtu;
    const size = needed <= pageSize / 2 ? pageSize / 2 : Math.ceil(needed / pageSize) * pageSize;
    this.short = domain.allocate(Math.ceil((count * size) / pageSize));
    this.#shortPool = new PagePool(count, size, this.short.bytes);
    this.long = longCount === 0 ? undefined : tryAllocate(domain, (longCount * longPageSize) / pageSize);
    this.#longPool = this.long === undefined ? undefined : new PagePool(longCount, longPageSize, this.long.bytes);
    this.capacity = count + (this.#longPool?.capacity ?? 0);
  }

  /** Pages that are not out. */
  get available(): number {
    return this.#shortPool.available + (this.#longPool?.available ?? 0);
  }

  take(isLong: boolean): Page | undefined {
    if (this.#isOver) return undefined;
    return isLong ? this.#longPool?.take() : this.#shortPool.take();
  }

  release(page: Page): void {
    if (this.#longPool !== undefined && this.isLong(page)) this.#longPool.release(page);
    else this.#shortPool.release(page);
    if (this.#isOver) this.#tryDispose();
  }

  isLong(page: Page): boolean {
    return page.bytes.length === longPageSize && longPageSize !== this.#shortPool.pageSize;
  }

  /** A number for each page, below {@link FramePages.capacity}. */
  numberOf(page: Page): number {
    return this.isLong(page) ? this.#shortPool.capacity + page.index : page.index;
  }

  /** Where a page begins in its memory, {@link FramePages.short} or `long`, in bytes. */
  startOf(page: Page): number {
    return page.index * page.bytes.length;
  }

  /**
   * Memory that is granted: it stays until the lease is released, as well.
   *
   * @param memory `short` or `long`
   */
  lease(memory: SharedPages): SharedPages {
    let isHeld = true;
    this.#leases++;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      this.#leases--;
      this.#tryDispose();
    };
    return { bytes: memory.bytes, count: memory.count, release };
  }

  /** No page is taken any more; the memory is released as soon as all are back and no lease is left. Idempotent. */
  dispose(): void {
    this.#isOver = true;
    this.#tryDispose();
  }

  #tryDispose(): void {
    if (!this.#isOver || this.#leases > 0 || this.available < this.capacity) return;
    this.short.release();
    this.long?.release();
  }
}

function tryAllocate(domain: Pick<XenDomain, "allocate">, pages: number): SharedPages | undefined {
  try {
    return domain.allocate(pages);
  } catch (error) {
    if (error instanceof XenError && error.kind === "exhausted") return undefined;
    throw error;
  }
}
