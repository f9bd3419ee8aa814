import type { Timer } from "@tesserae/device/clock";
import { XenstoreError } from "@tesserae/xenstore/client";
import type { XenDomain } from "../domain.ts";
import { XenError } from "../xen-error.ts";
import { readOther, type DeviceNodes } from "./other-end.ts";
import { parseState, xenbusState } from "./state.ts";

/** How often in a row xenstore may refuse what an end does before it gives up, and how long it waits in between. */
const mostRefusals = 5;
const refusalPause = 100;

/**
 * One end of a device. It looks at both ends' nodes whenever one of them has changed, and does what they call for, one
 * look after the other: so it does not matter which changes were seen.
 */
export abstract class DeviceEnd {
  readonly domain: XenDomain;
  /** Of this end: absolute, or relative to the domain's. */
  readonly path: string;
  /** Resolves once the device is over for good, with why. Never rejects. */
  readonly over: Promise<XenError>;
  #reason: XenError | undefined;
  #resolveOver!: (reason: XenError) => void;
  readonly #retry: Timer;
  readonly #unwatch = new Map<string, Promise<() => Promise<void>>>();
  readonly #endResume: () => void;
  #isLooking = false;
  #isStale = false;
  #refusals = 0;

  protected constructor(domain: XenDomain, path: string) {
    this.domain = domain;
    this.path = path;
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
    this.#retry = domain.timers.timer(() => this.wake());
    this.#endResume = domain.onResume(() => {
      this.resumed();
      this.wake();
    });
  }

  /** Looks at both ends and goes one step further, or none. */
  protected abstract look(): Promise<void>;

  /** The device has failed for good: what there is of a connection is ended. */
  protected abstract stop(reason: XenError): Promise<void>;

  /** The domain goes on after a restore: grants and channels are void. */
  protected abstract resumed(): void;

  /** Why the device is over, once it is. */
  get reason(): XenError | undefined {
    return this.#reason;
  }

  /** Something may have changed. */
  wake(): void {
    this.#isStale = true;
    if (!this.#isLooking) void this.#lookOn();
  }

  async #lookOn(): Promise<void> {
    this.#isLooking = true;
    while (this.#isStale && this.#reason === undefined) {
      this.#isStale = false;
      try {
        await this.look();
        this.#refusals = 0;
      } catch (error) {
        this.#refused(error);
      }
    }
    this.#isLooking = false;
  }

  #refused(error: unknown): void {
    const isRefusal = error instanceof XenstoreError && error.code !== "ECONNRESET";
    // Nodes come and go while they are looked at: another look tells.
    if (isRefusal && ++this.#refusals < mostRefusals) {
      this.#retry.set(this.domain.timers.now() + refusalPause);
      return;
    }
    this.fail(asXenError(this.path, error));
  }

  /** Ends the device for good. Idempotent; the first reason counts. */
  fail(reason: XenError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    void this.#end(reason);
  }

  async #end(reason: XenError): Promise<void> {
    this.#retry.cancel();
    this.#endResume();
    await this.stop(reason).catch(() => undefined);
    // Directly after each other: xenstore may not answer any more.
    for (const watch of [...this.#unwatch.keys()]) this.unwatch(watch);
    this.#resolveOver(reason);
  }

  /** Wakes the end when something at or below a path changes. */
  protected watch(path: string): void {
    if (this.#unwatch.has(path)) return;
    const watching = this.domain.xenstore.watch(path, () => this.wake());
    this.#unwatch.set(path, watching);
    watching.catch((error: unknown) => this.fail(asXenError(this.path, error)));
  }

  protected unwatch(path: string): void {
    const watching = this.#unwatch.get(path);
    this.#unwatch.delete(path);
    watching?.then((end) => end()).catch(() => undefined);
  }

  /** Writes nodes below this end's path, and its state, all at once. */
  protected async publish(state: number, nodes: DeviceNodes = {}): Promise<void> {
    const entries = Object.entries(nodes);
    if (entries.length === 0) {
      await this.domain.xenstore.write(`${this.path}/state`, String(state));
      return;
    }
    await this.domain.xenstore.transaction(async (tree) => {
      const writes = entries.map(([name, value]) => tree.write(`${this.path}/${name}`, String(value)));
      await Promise.all([...writes, tree.write(`${this.path}/state`, String(state))]);
    });
  }

  /** Says where an operator looks what went wrong, as far as that is possible. */
  protected async complain(reason: XenError): Promise<void> {
    const { kind } = reason;
    if (kind === "closed" || kind === "gone") return;
    const place = this.path.startsWith("/") ? "" : `error/${this.path}/error`;
    if (place !== "") await this.domain.xenstore.write(place, reason.message.slice(0, 500)).catch(() => undefined);
  }

  protected async stateAt(path: string): Promise<number> {
    return parseState(await readOther(this.domain.xenstore, `${path}/state`));
  }
}

/** Another error as one of this package's, with the device's name in front. */
export function asXenError(path: string, error: unknown): XenError {
  if (error instanceof XenError) return new XenError(error.kind, `${path}: ${error.message}`, { cause: error });
  if (error instanceof XenstoreError && error.code === "ECONNRESET") {
    return new XenError("gone", `${path}: xenstore: ${error.message}`, { cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new XenError("refused", `${path}: ${message}`, { cause: error });
}

/** Whether an end that is in this state serves no connection, and will not. */
export function isLeaving(state: number): boolean {
  return state === xenbusState.closing || state === xenbusState.closed || state === xenbusState.unknown;
}
