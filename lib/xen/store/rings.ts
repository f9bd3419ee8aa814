import { DomainLink } from "@tesserae/xenstore/domain-link";
import type { Serves } from "@tesserae/xenstore/serve";
import type { Domains } from "@tesserae/xenstore/server-options";
import type { EventChannel, EventChannels } from "../event-channel.ts";
import type { ForeignPages, MappedPages } from "../grant.ts";
import { XenError } from "../xen-error.ts";

/** The reference at which every domain's page for xenstore is granted to the domain that serves it (`grant_table.h`). */
export const xenstoreReference = 1;

/** What has become of a domain. Where Xen does not tell more than that it is there, it may have shut down. */
export type DomainState = "running" | "shut-down" | "there" | "gone";

/** What the domain that serves xenstore has of Xen. */
export interface XenstoreHost {
  readonly foreign: ForeignPages;
  readonly events: EventChannels;

  /**
   * Calls back whenever some domain has shut down, crashed or is being destroyed (VIRQ_DOM_EXC): at least once after the
   * last one.
   *
   * @throws XenError `refused` when this domain is not the one that is told.
   */
  onDomainException(callback: () => void): EventChannel;

  /** @param channel the ring's: where the hypervisor does not tell more, a channel whose other end is closed is of a
   * domain that is gone */
  stateOf(domain: number, channel: EventChannel): DomainState;
}

interface DomainRing {
  readonly pages: MappedPages;
  channel: EventChannel;
  link: DomainLink | undefined;
  isShutDown: boolean;
}

/**
 * The rings of all domains, for a server that is a domain itself: each is mapped by its grant when the domain is
 * introduced, and unmapped when it is released. Domains that die are released. Rings outlive servers: one that goes on in
 * another's place finds them as they were.
 */
export class XenstoreRings implements Domains {
  readonly #host: XenstoreHost;
  readonly #rings = new Map<number, DomainRing>();
  #server: Serves | undefined;
  #exceptions: EventChannel | undefined;

  constructor(host: XenstoreHost) {
    this.#host = host;
  }

  /** Rings that are mapped. */
  get size(): number {
    return this.#rings.size;
  }

  /**
   * Begins to serve: hears of the deaths of domains, and connects the domain that started this one.
   *
   * @param port of its event channels, for the ring at {@link xenstoreReference}
   * @throws XenError when its page or its channel is not there.
   */
  start(server: Serves, master: number, port: number): void {
    this.#open(server, master, port);
    this.listen(server);
  }

  /** Hears of the deaths of domains. */
  listen(server: Serves): void {
    this.#server = server;
    if (this.#exceptions === undefined) this.#exceptions = this.#host.onDomainException(() => this.#lookForDead());
  }

  introduce(domain: number, frame: number, port: number, server: Serves): boolean {
    this.#server = server;
    try {
      this.#open(server, domain, frame < 0 ? -1 : port);
      return true;
    } catch (error) {
      if (error instanceof XenError) return false;
      throw error;
    }
  }

  /** @param port −1: as it was, for another server */
  #open(server: Serves, domain: number, port: number): void {
    const known = this.#rings.get(domain);
    const signalled = (): void => this.#rings.get(domain)?.link?.signalled();
    if (known !== undefined) {
      // Introduced again: after a restore its channel is another one.
      if (port >= 0) {
        known.channel.close();
        known.channel = this.#host.events.bind(domain, port, signalled);
        if (known.link !== undefined) return;
      }
      this.#connect(server, domain, known);
      return;
    }
    if (port < 0) throw new XenError("no-domain", `the ring of domain ${domain} is not there any more`);
    const pages = this.#host.foreign.map(domain, [xenstoreReference], "read-write");
    let channel: EventChannel;
    try {
      channel = this.#host.events.bind(domain, port, signalled);
    } catch (error) {
      pages.unmap();
      throw error;
    }
    const ring: DomainRing = { pages, channel, link: undefined, isShutDown: false };
    this.#rings.set(domain, ring);
    this.#connect(server, domain, ring);
  }

  #connect(server: Serves, domain: number, ring: DomainRing): void {
    ring.link = new DomainLink(server, domain, ring.pages.bytes, () => ring.channel.notify());
    // Requests may be there already, and the domain may wait to hear that somebody is.
    queueMicrotask(() => ring.link?.signalled());
    ring.channel.notify();
  }

  release(domain: number): void {
    const ring = this.#rings.get(domain);
    if (ring === undefined) return;
    this.#rings.delete(domain);
    ring.link?.close();
    ring.channel.close();
    ring.pages.unmap();
  }

  /** Serves nobody any more: all rings are given back, and the server hears that their domains left. */
  close(): void {
    this.#exceptions?.close();
    this.#exceptions = undefined;
    for (const domain of [...this.#rings.keys()]) this.release(domain);
  }

  #lookForDead(): void {
    const server = this.#server;
    if (server === undefined) return;
    let isShutDown = false;
    for (const [domain, ring] of [...this.#rings]) {
      const state = this.#host.stateOf(domain, ring.channel);
      if (state === "gone") server.release(domain);
      // Whoever hears of it has to look, and finds that nothing has happened, or what.
      else if (state === "there") isShutDown = true;
      else if (state === "shut-down" && !ring.isShutDown) {
        ring.isShutDown = true;
        isShutDown = true;
      }
    }
    if (isShutDown) server.announceRelease();
  }
}
