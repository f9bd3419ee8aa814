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
import { SimulatedGrants } from "./grant-table.ts";

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
  readonly #zombies = new Map<number, SimulatedDomain>();
  readonly #exceptions = new Set<() => void>();
  readonly #rings: XenstoreRings;
  #last = 0;
  #mistakes = 0;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.control = this.#make(0);
    this.#rings = new XenstoreRings(this.storeHost(this.control));
    this.server = new XenstoreServer({ timers: this.control.timers, domains: this.#rings });
    this.#rings.listen(this.server);
    this.control.connect(connectInMemory(this.server, { kind: "domain", domain: 0 }).client);
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
    const { id } = domain;
    const page = domain.allocate(1);
    domain.grants.grantAt(xenstoreReference, page, 0, this.control.id, "read-write");
    const channel: EventChannel = domain.events.allocate(this.control.id, () => link.signalled());
    const link = new GuestLink(page.bytes, () => channel.notify());
    domain.connect(link.client);
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
      await nodes.write(`${home}/name`, options.name ?? `domain-${id}`);
      await nodes.write(`${home}/domid`, String(id));
    });
    await this.control.xenstore.introduce(id, 0, channel.port);
    return domain;
  }

  /**
   * Destroys a domain at once, whatever it is doing. The toolstack's part, removing nodes, is the caller's.
   *
   * @throws RangeError for domain 0.
   */
  destroy(domain: SimulatedDomain): void {
    if (domain === this.control) throw new RangeError("domain 0 cannot be destroyed");
    if (!this.#domains.delete(domain.id)) return;
    this.#zombies.set(domain.id, domain);
    domain.end();
    this.#bury(domain);
    for (const signal of this.#exceptions) signal();
  }

  #bury(domain: SimulatedDomain): void {
    if (this.#zombies.get(domain.id) !== domain || domain.grants.inUse > 0) return;
    this.#zombies.delete(domain.id);
    this.#mistakes += domain.grants.mistakes;
    domain.grants.clear();
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
    // Pages of a destroyed domain are mapped by nobody anew, but unmapped.
    const grantsOf = (other: number): SimulatedGrants | undefined => this.#domains.get(other)?.grants;
    const unmapped = (): void => {
      for (const zombie of [...this.#zombies.values()]) this.#bury(zombie);
    };
    const channelsOf = (other: number): SimulatedChannels | undefined => this.#domains.get(other)?.events;
    if (this.#domains.size >= 32_752) throw new XenError("exhausted", "no number is left for a domain");
    const domain = new SimulatedDomain({
      id,
      grants: new SimulatedGrants(references),
      foreign: new SimulatedForeignPages(() => id, grantsOf, pages, unmapped),
      events: new SimulatedChannels(() => id, channelsOf, timers, latency, channels),
      timers,
      random,
      pages,
    });
    this.#domains.set(id, domain);
    return domain;
  }
}
