import { completeLinkSettings, ofDirection, type PathSettings } from "./link-settings.ts";
import type { Events } from "./event.ts";
import type { Host } from "./host.ts";
import { Lan, type LanSettings } from "./lan.ts";
import { Channel, Link, type LinkEngine } from "./link.ts";
import { Nic } from "./nic.ts";
import { macOf, type Partitions } from "./partition.ts";
import type { SeededRandom } from "./random.ts";
import type { VirtualClock } from "@tesserae/time/virtual-clock";

export interface CablingOptions {
  readonly engine: LinkEngine & { readonly clock: VirtualClock };
  readonly events: Events;
  readonly random: SeededRandom;
  readonly partitions: Partitions;
  /** How frames travel where a link does not say. */
  readonly settings: PathSettings | undefined;
}

/** What joins the hosts of a world: their interfaces, cables and LANs. */
export class Cabling {
  readonly #options: CablingOptions;
  readonly #lans = new Map<string, Lan>();
  readonly #linksOf = new Map<Host, Link[]>();
  #interfaces = 0;
  /** In the order in which they were made. */
  readonly links: Link[] = [];

  constructor(options: CablingOptions) {
    this.#options = options;
  }

  /** The links of a host that are there now. */
  linksOf(host: Host): readonly Link[] {
    return this.#linksOf.get(host) ?? [];
  }

  /** Another interface of a host, which is attached to nothing. */
  makeNic(host: Host): Nic {
    const { events, engine, partitions } = this.#options;
    const number = host.netifs.length;
    const id = this.#interfaces++;
    partitions.own(id, host.index);
    return new Nic({
      name: `eth${number}`,
      place: number === 0 ? host.name : `${host.name}.eth${number}`,
      id,
      mac: macOf(id),
      mtu: host.interfaces[number]?.mtu ?? 1500,
      promiscuous: host.options.promiscuous ?? host.options.stack === false,
      events,
      store: engine.store,
      partitions,
      owner: host.index,
    });
  }

  /** Connects two hosts directly, by a new interface of each: the first one, when it is not plugged in yet. */
  link(one: Host, other: Host, settings: PathSettings): Link {
    const { engine, random } = this.#options;
    const way = { ...this.#options.settings, ...settings };
    const near = freeNic(one);
    const far = freeNic(other);
    const make = (from: Nic, to: Nic, direction: "forward" | "backward"): Channel => {
      const name = `${from.place}>${to.place}`;
      const complete = completeLinkSettings(ofDirection(way, direction));
      return new Channel(engine, name, complete, random.fork(`link ${name}`), to);
    };
    const name = `${near.place}-${far.place}`;
    const there = make(near, far, "forward");
    const back = make(far, near, "backward");
    const link = new Link(engine, name, there, back, random.fork(`link ${name}`));
    near.attach(link.forward, link.backward);
    far.attach(link.backward, link.forward);
    this.#wire(link, one, other);
    return link;
  }

  /** The LAN of that name, made when there is none. Settings count when it is made. */
  lan(name = "lan", settings: LanSettings = {}): Lan {
    const { engine, random } = this.#options;
    let lan = this.#lans.get(name);
    if (lan === undefined) {
      lan = new Lan(name, engine, random.fork(`lan ${name}`), { ...this.#options.settings, ...settings });
      this.#lans.set(name, lan);
    }
    return lan;
  }

  /** Joins two LANs. @throws RangeError when they are joined already */
  join(one: Lan, other: Lan, settings: PathSettings): Link {
    const link = one.join(other, settings);
    this.links.push(link);
    return link;
  }

  /** Makes a new host's interfaces, and plugs in those that a LAN is named for; the scenario links the others. */
  addInterfaces(host: Host): void {
    for (const { lan, link } of host.interfaces) {
      const nic = host.addNetif();
      if (typeof lan === "string") this.#wire(this.lan(lan).attach(nic, link), host);
    }
  }

  /** Plugs a host that nobody has linked into its LAN. */
  plug(host: Host): void {
    const { lan, link, interfaces } = host.options;
    if (interfaces !== undefined || lan === false || host.netif.attached) return;
    this.#wire(this.lan(lan).attach(host.netif, link), host);
  }

  #wire(link: Link, ...hosts: readonly Host[]): void {
    this.links.push(link);
    for (const host of hosts) this.#linksOf.set(host, [...(this.#linksOf.get(host) ?? []), link]);
  }
}

function freeNic(host: Host): Nic {
  return host.netifs.find((nic) => !nic.attached) ?? host.addNetif();
}
