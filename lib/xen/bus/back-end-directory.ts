import { XenstoreError } from "@tesserae/xenstore/client";
import type { XenDomain } from "../domain.ts";
import { asXenError } from "./end.ts";
import type { BackEnd } from "./back-end.ts";
import { Departures } from "./departures.ts";
import type { XenError } from "../xen-error.ts";

export interface BackEndDirectoryOptions {
  /** Makes the back end of a device. Called once for each, and again when it was removed and is there anew. */
  readonly serve: (path: string, frontend: number) => BackEnd;
  /** A device is over, or could not be served, for another reason than that it was removed. */
  readonly onError?: (path: string, error: XenError) => void;
  /** Devices at a time; others wait until there is room. Default 1024. */
  readonly most?: number;
}

/**
 * Serves all devices of one kind that the toolstack gives to this domain, as they come and go, and removes their nodes
 * when they have gone: what makes an image a driver domain.
 */
export class BackEndDirectory {
  /** Resolves when the directory is not watched any more, with why. Never rejects. */
  readonly over: Promise<XenError>;
  readonly #domain: XenDomain;
  readonly #path: string;
  readonly #options: BackEndDirectoryOptions;
  /** By path: what is served; undefined: it is over, and not removed yet. */
  readonly #served = new Map<string, BackEnd | undefined>();
  readonly #departures: Departures;
  #unwatch: (() => Promise<void>) | undefined;
  #isLooking = false;
  #isStale = false;
  #isClosed = false;
  #resolveOver!: (reason: XenError) => void;

  /** @param kind `vif`, `vbd`, … */
  constructor(domain: XenDomain, kind: string, options: BackEndDirectoryOptions) {
    this.#domain = domain;
    this.#path = `backend/${kind}`;
    this.#options = options;
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
    this.#departures = new Departures(domain, this.#path, (path) => this.#served.get(path) !== undefined);
    domain.xenstore
      .watch(this.#path, (changed) => {
        this.#departures.changed(changed);
        this.#wake();
      })
      .then(
        (unwatch) => {
          if (this.#isClosed) void unwatch().catch(() => undefined);
          else this.#unwatch = unwatch;
        },
        (error: unknown) => this.#resolveOver(asXenError(this.#path, error)),
      );
  }

  /** Devices that are served. */
  get count(): number {
    let count = 0;
    for (const end of this.#served.values()) if (end !== undefined) count++;
    return count;
  }

  #wake(): void {
    this.#isStale = true;
    if (!this.#isLooking) void this.#lookOn();
  }

  async #lookOn(): Promise<void> {
    this.#isLooking = true;
    while (this.#isStale && !this.#isClosed) {
      this.#isStale = false;
      try {
        this.#compare(await this.#paths());
      } catch (error) {
        this.#resolveOver(asXenError(this.#path, error));
      }
    }
    this.#isLooking = false;
  }

  /** All devices that there are, with their front ends' domains. */
  async #paths(): Promise<Map<string, number>> {
    const paths = new Map<string, number>();
    for (const domain of await this.#list(this.#path)) {
      if (!/^\d{1,5}$/.test(domain)) continue;
      for (const device of await this.#list(`${this.#path}/${domain}`)) {
        paths.set(`${this.#path}/${domain}/${device}`, Number(domain));
      }
    }
    return paths;
  }

  async #list(path: string): Promise<string[]> {
    try {
      return await this.#domain.xenstore.list(path);
    } catch (error) {
      if (error instanceof XenstoreError && error.code === "ENOENT") return [];
      throw error;
    }
  }

  #compare(paths: ReadonlyMap<string, number>): void {
    if (this.#isClosed) return;
    for (const [path, end] of this.#served) if (end === undefined && !paths.has(path)) this.#served.delete(path);
    const { most = 1024 } = this.#options;
    for (const [path, frontend] of paths) {
      if (this.#served.has(path) || this.#served.size >= most) continue;
      const end = this.#options.serve(path, frontend);
      this.#served.set(path, end);
      void end.over.then((reason) => this.#ended(path, end, reason));
    }
  }

  #ended(path: string, end: BackEnd, reason: XenError): void {
    if (this.#served.get(path) !== end) return;
    this.#served.set(path, undefined);
    if (reason.kind !== "gone" && reason.kind !== "closed") this.#options.onError?.(path, reason);
    // It may have been removed, and be there anew, meanwhile.
    if (reason.kind === "gone") this.#served.delete(path);
    this.#wake();
  }

  /** Ends all devices. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#departures.close();
    const unwatch = this.#unwatch;
    this.#unwatch = undefined;
    await unwatch?.().catch(() => undefined);
    await Promise.all([...this.#served.values()].flatMap((end) => (end === undefined ? [] : [end.close()])));
    this.#served.clear();
  }
}
