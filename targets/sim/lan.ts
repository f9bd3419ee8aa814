import type { Clock } from "@tesserae/device/clock";
import { Channel, completeLinkSettings, Link, type LinkEngine, type LinkSettings } from "./link.ts";
import type { Nic } from "./nic.ts";
import type { SeededRandom } from "./random.ts";
import { Switch } from "./switch.ts";

/**
 * A local network: hosts around one switch.
 *
 * The settings of a host's link are those of the path from it to the others: frames are delayed, lost, reordered,
 * duplicated and corrupted on the way to the switch, and not a second time on the way from it. The bandwidth and its
 * queue hold for each of the two ways.
 */
export class Lan {
  readonly name: string;
  readonly switch: Switch;
  readonly #engine: LinkEngine;
  readonly #random: SeededRandom;
  readonly #settings: LinkSettings;

  constructor(name: string, engine: LinkEngine & { readonly clock: Clock }, random: SeededRandom, link: LinkSettings) {
    this.name = name;
    this.switch = new Switch(name, engine.clock, engine.store);
    this.#engine = engine;
    this.#random = random;
    this.#settings = link;
  }

  /** Plugs an interface in. What `settings` leaves open is as for the whole LAN. */
  attach(nic: Nic, settings: LinkSettings = {}): Link {
    const way = completeLinkSettings({ ...this.#settings, ...settings });
    const port = this.switch.port();
    const up = this.#channel(`${nic.place}>${this.name}`, way, port);
    const { bandwidth, queue } = way;
    const down = this.#channel(`${this.name}>${nic.place}`, { bandwidth, queue, delay: 0 }, nic);
    port.channel = down;
    nic.attach(up);
    return new Link(`${nic.place}-${this.name}`, up, down);
  }

  #channel(name: string, settings: LinkSettings, sink: Channel["sink"]): Channel {
    return new Channel(this.#engine, name, completeLinkSettings(settings), this.#random.fork(name), sink);
  }
}
