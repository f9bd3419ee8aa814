import type { IpAddress } from "@tesserae/device/address";
import { searchPause } from "./path-search.ts";

/**
 * What connections have found out about narrow paths that no router tells of (RFC 4821 §5.2): for the next ones to the
 * same destination. Bounded: the oldest gives way, and what is forgotten is found out again. Forgotten after ten
 * minutes (RFC 8201 §4).
 */
export class NarrowPaths {
  readonly #capacity: number;
  readonly #paths = new Map<string, { readonly mtu: number; readonly expires: number }>();

  constructor(capacity = 256) {
    this.#capacity = capacity;
  }

  /** The path MTU towards `destination`, bytes; `Infinity` when nothing is known. */
  get(destination: IpAddress, now: number): number {
    if (this.#paths.size === 0) return Infinity;
    const key = destination.toString();
    const path = this.#paths.get(key);
    if (path === undefined) return Infinity;
    if (path.expires > now) return path.mtu;
    this.#paths.delete(key);
    return Infinity;
  }

  /** The path takes packets of `mtu` bytes, and no longer ones. */
  set(destination: IpAddress, mtu: number, now: number): void {
    const key = destination.toString();
    if (!this.#paths.delete(key) && this.#paths.size >= this.#capacity) {
      for (const oldest of this.#paths.keys()) {
        this.#paths.delete(oldest);
        break;
      }
    }
    this.#paths.set(key, { mtu, expires: now + searchPause });
  }

  /** The path is as wide as the link after all. */
  delete(destination: IpAddress): void {
    if (this.#paths.size > 0) this.#paths.delete(destination.toString());
  }
}
