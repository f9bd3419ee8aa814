import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import type { XenDomain } from "@tesserae/xen/domain";
import { pageSize, type SharedPages } from "@tesserae/xen/grant";
import { XenError } from "@tesserae/xen/xen-error";
import type { XenstoreClient } from "@tesserae/xenstore/client";
import type { Window } from "../window/window.ts";
import type { Balloon } from "./balloon.ts";
import { WindowEventChannels } from "./event-channels.ts";
import { WindowForeignPages } from "./foreign-pages.ts";
import { GrantEntries1, GrantEntries2, type GrantEntries } from "./grant-entries.ts";
import { WindowGrantTable } from "./grant-table.ts";
import { WindowPages } from "./shared-pages.ts";
import { StoreLink } from "./store-link.ts";
import { parseStoreStart } from "./store-start.ts";
import { XenFile, type XenInformation } from "./xen-file.ts";

export interface WindowDomainOptions {
  readonly window: Window;
  readonly timers: Timers;
  readonly random: Random;
  /** Takes what callbacks throw. */
  readonly report: (error: unknown) => void;
}

/** Of a grant table of version 2. */
const tablePagesPerStatus = 8;
/** How long a suspension waits for answers of xenstore, and how long between looks, in milliseconds. */
const quietBound = 5000;
const quietStep = 5;

/** This machine as a domain of Xen's, over the device window. */
export class WindowDomain implements XenDomain {
  readonly grants: WindowGrantTable;
  readonly foreign: WindowForeignPages;
  readonly events: WindowEventChannels;
  readonly timers: Timers;
  readonly random: Random;
  readonly #file: XenFile;
  readonly #window: Window;
  readonly #report: (error: unknown) => void;
  readonly #resumed = new Set<() => void>();
  readonly #link: StoreLink | undefined;
  #id: number;

  private constructor(file: XenFile, { window, timers, random, report }: WindowDomainOptions) {
    const information = file.information();
    const { domain, foreign, foreignPages, store, storePort } = information;
    this.#file = file;
    this.#window = window;
    this.#report = report;
    this.#id = domain;
    this.timers = timers;
    this.random = random;
    this.grants = new WindowGrantTable(grantEntries(window, information));
    this.foreign = new WindowForeignPages(file, {
      address: foreign,
      pages: foreignPages,
      bind: (address, length) => window.shared(address, length),
    });
    this.events = new WindowEventChannels(report);
    if (store === 0 || storePort === 0 || parseStoreStart(window.commandLine) !== undefined) return;
    this.#link = new StoreLink(window.shared(store, pageSize), this.events, storePort);
  }

  /**
   * Undefined on a machine that is no PVH guest of Xen's.
   *
   * @throws WindowError
   */
  static open(options: WindowDomainOptions): WindowDomain | undefined {
    const file = XenFile.open();
    return file === undefined ? undefined : new WindowDomain(file, options);
  }

  get id(): number {
    return this.#id;
  }

  /** Whether the toolstack has connected the domain to a xenstore: the one that runs xenstore has none. */
  get hasXenstore(): boolean {
    return this.#link !== undefined;
  }

  /** @throws XenError `gone` without one. */
  get xenstore(): XenstoreClient {
    if (this.#link === undefined) throw new XenError("gone", "the domain is not connected to xenstore");
    return this.#link.client;
  }

  allocate(pages: number): SharedPages {
    if (!Number.isInteger(pages) || pages < 1) throw new RangeError(`${pages} is not a number of pages`);
    try {
      return new WindowPages(this.#window.dma(pages * pageSize));
    } catch (cause) {
      throw new XenError("exhausted", `there is no memory for ${pages} pages to share`, { cause });
    }
  }

  onResume(callback: () => void): () => void {
    const own = (): void => callback();
    this.#resumed.add(own);
    return () => {
      this.#resumed.delete(own);
    };
  }

  /**
   * Suspends the domain, once xenstore has answered what it was asked, and comes back when it goes on: `onResume` was
   * called then if it does so in another life.
   *
   * @returns whether it does
   */
  async suspend(): Promise<boolean> {
    const until = this.timers.now() + quietBound;
    while ((this.#link?.client.waiting ?? 0) > 0 && this.timers.now() < until) await this.#pause();
    if (!this.#file.suspend()) return false;
    const information = this.#file.information();
    const { domain, storePort } = information;
    this.#id = domain;
    this.grants.begin(grantEntries(this.#window, information));
    this.events.forget();
    this.foreign.forget();
    this.#link?.resume(storePort);
    for (const callback of [...this.#resumed]) {
      try {
        callback();
      } catch (error) {
        this.#report(error);
      }
    }
    return true;
  }

  /** Where memory that is not needed goes to. */
  get balloon(): Balloon {
    return this.#file;
  }

  /** What the toolstack hears when the image ends with status 0; of another status it hears as of a crash. */
  setEnd(end: "poweroff" | "reboot"): void {
    this.#file.setEnd(end);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.timers.timer(resolve).set(this.timers.now() + quietStep);
    });
  }

  /** Whether the event loop stays alive for what xenstore may say unasked: see {@link StoreLink.isWaiting}. */
  set isWaiting(isWaiting: boolean) {
    if (this.#link !== undefined) this.#link.isWaiting = isWaiting;
  }

  /** No call comes any more. */
  close(): void {
    this.#link?.client.end("the domain is stopped");
    this.events.forget();
  }
}

/** The grant table that the kernel has had of Xen. */
function grantEntries(window: Window, { grants, grantPages, grantStatus }: XenInformation): GrantEntries {
  if (grantPages === 0) return new GrantEntries1(new Uint8Array(0));
  const table = window.shared(grants, grantPages * pageSize);
  if (grantStatus === 0) return new GrantEntries1(table);
  return new GrantEntries2(table, window.shared(grantStatus, Math.ceil(grantPages / tablePagesPerStatus) * pageSize));
}
