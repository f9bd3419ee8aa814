import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import { GuestLink } from "@tesserae/xenstore/domain-link";
import { connectInMemory } from "@tesserae/xenstore/in-memory";
import { XenstoreServer } from "@tesserae/xenstore/server";
import { type DomainState, type XenstoreHost, xenstoreReference, XenstoreRings } from "../store/rings.ts";
import type { EventChannel } from "../event-channel.ts";
import { XenError } from "../xen-error.ts";
import { DomainTimers } from "./domain-timers.ts";
import { SimulatedDomain } from "./domain.ts";
import { SimulatedChannels } from "./event-channels.ts";
import { SimulatedForeignPages } from "./foreign-pages.ts";
import { type Grant, SimulatedGrants } from "./grant-table.ts";

export interface MachineOptions {
  readonly timers: Timers;
  /** Where domains have their randomness from. */
  readonly random: Random;
  /** How long an event is under way, in milliseconds, asked each time. Default: 0, which is still not at once. */
  readonly latency?: () => number;
  /** Bounds of each domain. Defaults: 4096 references, 4096 channels, 65,536 pages of its own and of others. */
  readonly references?: number;
  readonly channels?: number;
  readonly pages?: number;
}

/** What all domains hold together, and what is left of those that were destroyed. */
export interface Audit {
  readonly domains: number;
  /** Destroyed, but others have pages of theirs mapped. */
  readonly zombies: number;
  readonly grants: number;
  readonly mappings: number;
  readonly channels: number;
  readonly pages: number;
  /** Of xenstore. */
  readonly nodes: number;
  /** Grants ended that were not live. */
  readonly mistakes: number;
}

/**
 * A machine with a hypervisor, in memory: domains that share pages and signal each other, and domain 0, which serves
 * xenstore. Nothing happens but through `timers` and microtasks, so a run is a function of them and of `random`.
 *
 * What a destroyed domain waits for never comes: code of it that is under way stops there.
 */
export class SimulatedMachine {
  readonly server: XenstoreServer;
  /** Domain 0. */
  readonly control: SimulatedDomain;
  readonly #options: MachineOptions;
  readonly #domains = new Map<number, SimulatedDomain>();
  /** By number: what others have mapped of domains that are gone. */
  readonly #zombies = new Map<number, Grant[]>();
  readonly #exceptions = new Set<() => void>();
  readonly #rings: XenstoreRings;
  /** How each domain is made known to xenstore: again after a restore. */
  readonly #introductions = new WeakMap<SimulatedDomain, () => Promise<void>>();
  #last = 0;
  #mistakes = 0;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.control = this.#make(0);
    this.#rings = new XenstoreRings(this.storeHost(this.control));
    this.server = new XenstoreServer({ timers: this.control.timers, domains: this.#rings });
    this.#rings.listen(this.server);
    const { client } = connectInMemory(this.server, { kind: "domain", domain: 0 });
    this.control.connect({ client, resume: () => undefined });
  }

  domain(id: number): SimulatedDomain | undefined {
    return this.#domains.get(id);
  }

  /**
   * A new domain, connected to xenstore, with the nodes that a toolstack makes for it. It begins when this resolves.
   *
   * @throws XenstoreError (rejects)
   */
  async createDomain(options: { readonly name?: string } = {}): Promise<SimulatedDomain> {
    const domain = this.#make(++this.#last);
    const page = domain.allocate(1);
    let channel: EventChannel | undefined;
    const link = new GuestLink(page.bytes, () => channel?.notify());
    domain.connect(link);
    const name = options.name ?? `domain-${domain.id}`;
    const introduce = (): Promise<void> => {
      page.bytes.fill(0);
      domain.grants.grantAt(xenstoreReference, page, 0, this.control.id, "read-write");
      channel = domain.events.allocate(this.control.id, () => link.signalled());
      return this.#introduce(domain.id, name, channel.port);
    };
    this.#introductions.set(domain, introduce);
    await introduce();
    return domain;
  }

  /** As a toolstack does. */
  async #introduce(id: number, name: string, port: number): Promise<void> {
    const home = `/local/domain/${id}`;
    await this.control.xenstore.transaction(async (nodes) => {
      await nodes.make(home);
      await nodes.setPermissions(home, ["n0", `r${id}`]);
      for (const name of ["device", "backend"]) {
        await nodes.make(`${home}/${name}`);
        await nodes.setPermissions(`${home}/${name}`, ["n0", `r${id}`]);
      }
      for (const name of ["control/shutdown", "data"]) {
        await nodes.make(`${home}/${name}`);
        await nodes.setPermissions(`${home}/${name}`, [`n${id}`]);
      }
      await nodes.write(`${home}/name`, name);
      await nodes.write(`${home}/domid`, String(id));
    });
    await this.control.xenstore.introduce(id, 0, port);
  }

  /**
   * Suspends a domain: what it waits for does not come, and its number is nobody's. Its memory stays. The toolstack's
   * part, removing nodes, is the caller's.
   */
  suspend(domain: SimulatedDomain): void {
    if (!this.#domains.delete(domain.id)) return;
    this.#gone(domain.id, domain.suspend());
  }

  /**
   * A domain that was suspended goes on under another number.
   *
   * @param prepare the toolstack's part: gives it its devices, before it runs
   * @throws XenstoreError (rejects)
   */
  async restore(domain: SimulatedDomain, prepare: () => Promise<void>): Promise<void> {
    domain.id = ++this.#last;
    this.#domains.set(domain.id, domain);
    await this.#introductions.get(domain)?.();
    await prepare();
    domain.resume();
  }

  /**
   * Destroys a domain at once, whatever it is doing. The toolstack's part, removing nodes, is the caller's.
   *
   * @throws RangeError for domain 0.
   */
  destroy(domain: SimulatedDomain): void {
    if (domain === this.control) throw new RangeError("domain 0 cannot be destroyed");
    if (!this.#domains.delete(domain.id)) return;
    this.#mistakes += domain.grants.mistakes;
    this.#introductions.delete(domain);
    this.#gone(domain.id, domain.end());
  }

  #gone(id: number, held: Grant[]): void {
    if (held.length > 0) this.#zombies.set(id, held);
    for (const signal of this.#exceptions) signal();
  }

  #bury(): void {
    for (const [id, held] of this.#zombies) if (held.every(({ uses }) => uses === 0)) this.#zombies.delete(id);
  }

  /** What a domain needs to serve xenstore. */
  storeHost(domain: SimulatedDomain): XenstoreHost {
    return {
      foreign: domain.foreign,
      events: domain.events,
      onDomainException: (callback) => {
        const { channel, signal } = domain.events.virtual(callback);
        this.#exceptions.add(signal);
        return channel;
      },
      stateOf: (id): DomainState => (this.#domains.has(id) ? "running" : "gone"),
    };
  }

  get audit(): Audit {
    const all = [...this.#domains.values()];
    const sum = (of: (domain: SimulatedDomain) => number): number =>
      all.reduce((total, domain) => total + of(domain), 0);
    return {
      domains: all.length,
      zombies: this.#zombies.size,
      grants: sum(({ holdings }) => holdings.grants),
      mappings: sum(({ holdings }) => holdings.mappings),
      channels: sum(({ holdings }) => holdings.channels),
      pages: sum(({ holdings }) => holdings.pages),
      nodes: this.server.size,
      mistakes: this.#mistakes + sum(({ grants }) => grants.mistakes),
    };
  }

  #make(id: number): SimulatedDomain {
    const { random, latency = () => 0, references = 4096, channels = 4096, pages = 65_536 } = this.#options;
    const timers = new DomainTimers(this.#options.timers);
    // Pages of a domain that is gone are mapped by nobody anew, but unmapped.
    const grantsOf = (other: number): SimulatedGrants | undefined => this.#domains.get(other)?.grants;
    const channelsOf = (other: number): SimulatedChannels | undefined => this.#domains.get(other)?.events;
    if (this.#domains.size >= 32_752) throw new XenError("exhausted", "no number is left for a domain");
    const self = (): number => domain.id;
    const domain: SimulatedDomain = new SimulatedDomain(id, {
      grants: new SimulatedGrants(references),
      foreign: new SimulatedForeignPages(self, grantsOf, pages, () => this.#bury()),
      events: new SimulatedChannels(self, channelsOf, timers, latency, channels),
      timers,
      random,
      pages,
    });
    this.#domains.set(id, domain);
    return domain;
  }
}
