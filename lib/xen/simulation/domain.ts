import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import type { XenstoreClient } from "@tesserae/xenstore/client";
import type { XenDomain } from "../domain.ts";
import { XenError } from "../xen-error.ts";
import type { DomainTimers } from "./domain-timers.ts";
import type { SimulatedChannels } from "./event-channels.ts";
import type { SimulatedForeignPages } from "./foreign-pages.ts";
import type { SimulatedGrants } from "./grant-table.ts";
import { SimulatedPages } from "./shared-pages.ts";

/** What a domain holds, to find what was not given back. */
export interface Holdings {
  readonly grants: number;
  /** Pages of others that it has mapped. */
  readonly mappings: number;
  readonly channels: number;
  /** Pages to share that are allocated. */
  readonly pages: number;
}

export interface DomainParts {
  readonly id: number;
  readonly grants: SimulatedGrants;
  readonly foreign: SimulatedForeignPages;
  readonly events: SimulatedChannels;
  readonly timers: DomainTimers;
  readonly random: Random;
  /** Pages to share that it may allocate. */
  readonly pages: number;
}

/** A domain of a simulated machine. */
export class SimulatedDomain implements XenDomain {
  readonly id: number;
  readonly grants: SimulatedGrants;
  readonly foreign: SimulatedForeignPages;
  readonly events: SimulatedChannels;
  readonly random: Random;
  readonly #timers: DomainTimers;
  readonly #most: number;
  readonly #resumed = new Set<() => void>();
  #xenstore: XenstoreClient | undefined;
  #pages = 0;

  constructor({ id, grants, foreign, events, timers, random, pages }: DomainParts) {
    this.id = id;
    this.grants = grants;
    this.foreign = foreign;
    this.events = events;
    this.#timers = timers;
    this.random = random;
    this.#most = pages;
  }

  get timers(): Timers {
    return this.#timers;
  }

  get xenstore(): XenstoreClient {
    if (this.#xenstore === undefined) throw new TypeError("the domain is not connected to xenstore");
    return this.#xenstore;
  }

  connect(xenstore: XenstoreClient): void {
    this.#xenstore = xenstore;
  }

  get holdings(): Holdings {
    return {
      grants: this.grants.live,
      mappings: this.foreign.mapped,
      channels: this.events.open,
      pages: this.#pages,
    };
  }

  allocate(count: number): SimulatedPages {
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`${count} is not a number of pages`);
    if (this.#pages + count > this.#most) throw new XenError("exhausted", `${this.#pages} pages are shared already`);
    this.#pages += count;
    return new SimulatedPages(count, () => {
      this.#pages -= count;
    });
  }

  onResume(callback: () => void): () => void {
    this.#resumed.add(callback);
    return () => {
      this.#resumed.delete(callback);
    };
  }

  get isDestroyed(): boolean {
    return this.#timers.isOver;
  }

  /** Nothing of it runs any more, and all that it had of others is theirs again. */
  end(): void {
    this.#timers.end();
    this.#resumed.clear();
    this.grants.stop();
    this.events.clear(true);
    this.foreign.clear();
  }
}
