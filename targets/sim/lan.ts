import type { Clock } from "@tesserae/device/clock";
import { Channel, Link, type FrameSink, type LinkEngine } from "./link.ts";
import { completeLinkSettings, ofDirection, type LinkSettings, type PathSettings } from "./link-settings.ts";
import type { Nic } from "./nic.ts";
import type { SeededRandom } from "./random.ts";
import { Switch } from "./switch.ts";

/** A LAN's settings: the paths of its hosts, where they do not say otherwise, and its switch. */
export interface LanSettings extends PathSettings {
  /**
   * `flood`: everybody hears what ARP and Neighbour Discovery ask, as on a plain switch. `snoop`: only those whom it
   * can concern, as on the switches of big networks. Default `auto`: snoop with more than 128 hosts: n of them would hear n² frames.
   */
  readonly arp?: "flood" | "snoop" | "auto";
}

/** Ports, or hosts behind them, up to which they are flooded. */
const mostFlooded = { flood: Infinity, snoop: 0, auto: 128 } as const;

/**
 * A local network: hosts around one switch.
 *
 * The settings of a host's link are those of the path from it to the others: frames are delayed, lost, reordered,
 * duplicated and corrupted on the way to the switch, and not a second time on the way from it (unless `backward` says
 * so). The bandwidth with its queue and the MTU hold for each of the two ways.
 */
export class Lan {
  readonly name: string;
  readonly switch: Switch;
  readonly #engine: LinkEngine;
  readonly #random: SeededRandom;
  readonly #settings: PathSettings;
  readonly #joined: Lan[] = [];

  constructor(name: string, engine: LinkEngine & { readonly clock: Clock }, random: SeededRandom, link: LanSettings) {
    this.name = name;
    const { arp = "auto", ...way } = link;
    const most = mostFlooded[arp];
    this.switch = new Switch(name, engine.clock, engine.store, most);
    this.#engine = engine;
    this.#random = random;
    this.#settings = way;
  }

  /** Plugs an interface in. What `settings` leaves open is as for the whole LAN. */
  attach(nic: Nic, settings: PathSettings = {}): Link {
    const way = { ...this.#settings, ...settings };
    const mac = new Uint8Array(6);
    nic.mac.write(mac, 0);
    const port = this.switch.port(nic.promiscuous ? undefined : mac);
    const up = this.#channel(`${nic.place}>${this.name}`, ofDirection(way, "forward"), port);
    const down = this.#channel(`${this.name}>${nic.place}`, { delay: 0, ...rateOf(way), ...way.backward }, nic);
    port.channel = down;
    nic.attach(up, down);
    const name = `${nic.place}-${this.name}`;
    return new Link(this.#engine, name, up, down, this.#random.fork(name), rateOf);
  }

  /**
   * Joins the switches of two LANs by a cable, both ways with these settings.
   *
   * @throws RangeError when they are joined already, over other LANs perhaps: a loop would carry broadcasts for ever.
   */
  join(other: Lan, settings: PathSettings = {}): Link {
    if (other === this || this.#reaches(other)) {
      throw new RangeError(`LANs "${this.name}" and "${other.name}" are joined already: that would be a loop`);
    }
    const near = this.switch.port(undefined, true);
    const far = other.switch.port(undefined, true);
    const forward = ofDirection(settings, "forward");
    const backward = ofDirection(settings, "backward");
    near.channel = this.#channel(`${this.name}>${other.name}`, { delay: 0, ...forward }, far);
    far.channel = this.#channel(`${other.name}>${this.name}`, { delay: 0, ...backward }, near);
    this.#joined.push(other);
    other.#joined.push(this);
    const name = `${this.name}-${other.name}`;
    return new Link(this.#engine, name, near.channel, far.channel, this.#random.fork(name));
  }

  #reaches(other: Lan): boolean {
    const seen = new Set<Lan>([this]);
    for (const lan of seen) for (const next of lan.#joined) seen.add(next);
    return seen.has(other);
  }

  #channel(name: string, settings: LinkSettings, sink: FrameSink): Channel {
    return new Channel(this.#engine, name, completeLinkSettings(settings), this.#random.fork(name), sink);
  }
}

/** What of a host's settings holds on the way from the switch as well. */
function rateOf({ bandwidth, queue, mtu }: LinkSettings): LinkSettings {
  return {
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(queue === undefined ? {} : { queue }),
    ...(mtu === undefined ? {} : { mtu }),
  };
}
