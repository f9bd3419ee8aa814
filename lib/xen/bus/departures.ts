import type { Timer } from "@tesserae/device/clock";
import type { XenDomain } from "../domain.ts";
import { parseState, xenbusState } from "./state.ts";

/**
 * Milliseconds between a device's last state and the removal of its nodes. The toolstack waits for that state first: what
 * was removed before it has looked, it takes for a failure. It has ten seconds of patience for either.
 */
const pause = 1000;

/**
 * The last that a driver domain does for its devices. A toolstack that takes a device away writes `online` 0 at the back
 * end, waits until its `state` is closed, and then until its nodes are removed: that is up to the domain that serves it
 * (what `xl devd` does in a driver domain with Linux).
 */
export class Departures {
  readonly #domain: XenDomain;
  readonly #pattern: RegExp;
  readonly #isServed: (path: string) => boolean;
  /** When nodes are to be removed, by path: the earliest first. */
  readonly #due = new Map<string, number>();
  readonly #timer: Timer;
  #isClosed = false;

  /**
   * @param kind the directory of the back ends of a kind: `backend/vif`
   * @param isServed whether a back end works there that closes the device by itself
   */
  constructor(domain: XenDomain, kind: string, isServed: (path: string) => boolean) {
    this.#domain = domain;
    this.#isServed = isServed;
    this.#pattern = new RegExp(`^(${kind}/\\d{1,5}/[^/]+)/(?:online|state)$`);
    this.#timer = domain.timers.timer(() => this.#removeDue());
  }

  /** A node has changed. */
  changed(node: string): void {
    const path = this.#pattern.exec(node)?.[1];
    if (path !== undefined) void this.#look(path).catch(() => undefined);
  }

  /** What goes wrong goes wrong because nodes are removed meanwhile. @throws XenstoreError (rejects) */
  async #look(path: string): Promise<void> {
    const { xenstore, timers } = this.#domain;
    if ((await xenstore.readIfThere(`${path}/online`)) !== "0") {
      this.#due.delete(path);
      return;
    }
    const state = parseState(await xenstore.readIfThere(`${path}/state`));
    if (this.#isClosed || state === xenbusState.unknown) return;
    if (state !== xenbusState.closed) {
      // Of a device that was given up, or never served, nobody else says so.
      if (!this.#isServed(path)) await xenstore.write(`${path}/state`, String(xenbusState.closed));
      return;
    }
    if (this.#due.has(path)) return;
    this.#due.set(path, timers.now() + pause);
    if (!this.#timer.armed) this.#timer.set(timers.now() + pause);
  }

  #removeDue(): void {
    const now = this.#domain.timers.now();
    for (const [path, at] of this.#due) {
      if (at > now) {
        this.#timer.set(at);
        return;
      }
      this.#due.delete(path);
      void this.#remove(path).catch(() => undefined);
    }
  }

  /** What goes wrong goes wrong because the toolstack has lost its patience, and removes them itself. */
  #remove(path: string): Promise<void> {
    return this.#domain.xenstore.transaction(async (nodes) => {
      const [online, state] = await Promise.all([
        nodes.readIfThere(`${path}/online`),
        nodes.readIfThere(`${path}/state`),
      ]);
      // The toolstack may have made the device anew.
      if (online === "0" && parseState(state) === xenbusState.closed) await nodes.remove(path);
    });
  }

  /** Nothing is removed any more. */
  close(): void {
    this.#isClosed = true;
    this.#due.clear();
    this.#timer.cancel();
  }
}
