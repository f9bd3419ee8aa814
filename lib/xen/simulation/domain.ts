import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import type { XenstoreClient } from "@tesserae/xenstore/client";
import type { XenDomain } from "../domain.ts";
import { XenError } from "../xen-error.ts";
import type { DomainTimers } from "./domain-timers.ts";
import type { SimulatedChannels } from "./event-channels.ts";
import type { SimulatedForeignPages } from "./foreign-pages.ts";
import type { Grant, SimulatedGrants } from "./grant-table.ts";
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
  /** Another after a restore. */
  id: number;
  readonly grants: SimulatedGrants;
  readonly foreign: SimulatedForeignPages;
  readonly events: SimulatedChannels;
  readonly random: Random;
  readonly #timers: DomainTimers;
  readonly #most: number;
  readonly #resumed = new Set<() => void>();
  #link: { readonly client: XenstoreClient; resume(): void } | undefined;
  #pages = 0;

  constructor(id: number, { grants, foreign, events, timers, random, pages }: DomainParts) {
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
    if (this.#link === undefined) throw new TypeError("the domain is not connected to xenstore");
    return this.#link.client;
  }

  connect(link: { readonly client: XenstoreClient; resume(): void }): void {
    this.#link = link;
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

  /**
   * Nothing of it runs any more, and all that it had of others is theirs again.
   *
   * @returns its grants that others have mapped still
   */
  end(): Grant[] {
    this.#timers.end();
    this.#resumed.clear();
    this.events.clear(true);
    this.foreign.end();
    return this.grants.stop();
  }

  /** Stands still; grants, mappings and channels are void. @returns its grants that others have mapped still */
  suspend(): Grant[] {
    this.#timers.pause();
    this.events.clear(false);
    this.foreign.clear();
    return this.grants.clear();
  }

  /** Goes on. */
  resume(): void {
    this.#timers.resume();
    this.#link?.resume();
    for (const callback of [...this.#resumed]) callback();
  }
}
