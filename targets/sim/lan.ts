import type { Clock } from "@tesserae/device/clock";
import { Channel, Link, type FrameSink, type LinkEngine } from "./link.ts";
import { completeLinkSettings, ofDirection, type LinkSettings, type PathSettings } from "./link-settings.ts";
import type { Nic } from "./nic.ts";
import type { SeededRandom } from "./random.ts";
import { Switch } from "./switch.ts";

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

  constructor(name: string, engine: LinkEngine & { readonly clock: Clock }, random: SeededRandom, link: PathSettings) {
    this.name = name;
    this.switch = new Switch(name, engine.clock, engine.store);
    this.#engine = engine;
    this.#random = random;
    this.#settings = link;
  }

  /** Plugs an interface in. What `settings` leaves open is as for the whole LAN. */
  attach(nic: Nic, settings: PathSettings = {}): Link {
    const way = { ...this.#settings, ...settings };
    const port = this.switch.port();
    const up = this.#channel(`${nic.place}>${this.name}`, ofDirection(way, "forward"), port);
    const down = this.#channel(`${this.name}>${nic.place}`, { delay: 0, ...rateOf(way), ...way.backward }, nic);
    port.channel = down;
    nic.attach(up, down);
    const name = `${nic.place}-${this.name}`;
    return new Link(this.#engine, name, up, down, this.#random.fork(name), rateOf);
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
