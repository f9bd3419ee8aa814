import { IpAddress, Prefix, type MacAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Resolver } from "@tesserae/device/resolver";
import type { Stack } from "@tesserae/device/stack";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { SimConsole } from "./console.ts";
import { HostTimers, type ClockSkew } from "./host-timers.ts";
import type { LinkSettings } from "./link.ts";
import type { Nic } from "./nic.ts";
import type { SeededRandom } from "./random.ts";

export interface HostOptions {
  /** `10.0.0.1/24`, or `dhcp`. Default: the next free address of 10.0.0.0/16. */
  readonly ipv4?: string;
  /** Where packets for other networks go. */
  readonly gateway?: string;
  /** The path to its LAN, where it differs from the world's. */
  readonly link?: LinkSettings;
  /** The LAN its first interface is plugged into. Default `lan`; false: none, the scenario links it. */
  readonly lan?: string | false;
  /** 576 to 65,535 bytes. Default 1500. */
  readonly mtu?: number;
  readonly clock?: ClockSkew;
  /** False: it has interfaces only, and the frames are the scenario's. Default true. */
  readonly stack?: boolean;
}

/** What a host needs of its world. */
export interface HostWorld {
  readonly timers: Timers;
  report(host: string, error: unknown): void;
  note(host: string, text: string): void;
  task<T>(name: string, body: () => Promise<T> | T): PromiseLike<T>;
  makeNic(host: Host): Nic;
  readonly resolver: Resolver;
}

/** One simulated computer. Made by `World.host` and `World.image`. */
export class Host {
  readonly name: string;
  /** 0 for the first host of the world. */
  readonly index: number;
  readonly options: HostOptions;
  readonly timers: Timers;
  readonly random: SeededRandom;
  readonly console: SimConsole;
  /** Knows the names of all hosts. */
  readonly resolver: Resolver;
  /** Resolves when the stack is there. A host that cannot get one fails the run. */
  readonly ready: Promise<void>;
  readonly #world: HostWorld;
  readonly #netifs: Nic[] = [];
  readonly #configured: Prefix | undefined;
  #stack: Stack | undefined = undefined;
  #ownStack: IpStack | undefined = undefined;
  #isReady: () => void = () => undefined;
  #tasks = 0;

  constructor(world: HostWorld, name: string, index: number, options: HostOptions, random: SeededRandom) {
    this.#world = world;
    this.name = name;
    this.index = index;
    this.options = options;
    this.random = random;
    this.resolver = world.resolver;
    this.timers = new HostTimers(world.timers, options.clock ?? {}, (error) => world.report(name, error));
    this.console = new SimConsole((line) => world.note(name, line));
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve;
    });
    const { ipv4 } = options;
    this.#configured = ipv4 === "dhcp" ? undefined : ipv4 === undefined ? automatic(index) : Prefix.parse(ipv4);
  }

  /** Its interfaces, the first one first. */
  get netifs(): readonly Nic[] {
    return this.#netifs;
  }

  /** Its first interface. */
  get netif(): Nic {
    return this.#netifs[0] ?? this.addNetif();
  }

  /** Adds an interface. What it is plugged into is the world's affair. */
  addNetif(): Nic {
    const nic = this.#world.makeNic(this);
    this.#netifs.push(nic);
    return nic;
  }

  get mac(): MacAddress {
    return this.netif.mac;
  }

  /** The address it was given, with its network; undefined with DHCP. */
  get ipv4(): Prefix | undefined {
    return this.#configured;
  }

  /** Its addresses now: those of its stack, before that the configured one. */
  get addresses(): readonly IpAddress[] {
    if (this.#stack !== undefined) return this.#stack.addresses;
    return this.#configured === undefined ? [] : [this.#configured.address];
  }

  /** @throws TypeError before the host is ready. */
  get address(): IpAddress {
    const address = this.addresses[0];
    if (address === undefined) throw new TypeError(`host "${this.name}" has no address yet: await host.ready`);
    return address;
  }

  /** Its transport services. @throws TypeError before {@link Host.ready} has resolved. */
  get stack(): Stack {
    if (this.#stack === undefined) throw new TypeError(`host "${this.name}" has no stack yet: await host.ready`);
    return this.#stack;
  }

  /** As {@link Host.stack}, with what our own has beside the signature: ICMP, IPv4, statistics. Not of images. */
  get ownStack(): IpStack {
    if (this.#ownStack === undefined) {
      throw new TypeError(`host "${this.name}" has no stack of its own (yet): await host.ready`);
    }
    return this.#ownStack;
  }

  /**
   * Runs a task on the host once its stack is there. The world's run ends when all tasks have ended, and fails with
   * the first that fails. What it returns need not be awaited.
   */
  run<T>(body: (host: Host) => Promise<T> | T, name?: string): PromiseLike<T> {
    const label = name ?? `task ${++this.#tasks}`;
    return this.#world.task(`${this.name}: ${label}`, async () => {
      await this.ready;
      return body(this);
    });
  }

  /** Makes the host's own stack. Called by the world, once. */
  async start(): Promise<void> {
    const { gateway, stack: wanted } = this.options;
    const address = this.#configured;
    if (wanted === false) {
      this.#isReady();
      return;
    }
    const stack = await createStack({
      netif: this.netif,
      timers: this.timers,
      random: this.random.fork("stack"),
      onError: (error) => this.#world.report(this.name, error),
      ipv4:
        address === undefined
          ? { kind: "dhcp" }
          : { kind: "static", address, ...(gateway === undefined ? {} : { gateway: IpAddress.parse(gateway) }) },
    });
    this.#ownStack = stack;
    this.adopt(stack);
  }

  /** Takes the stack that the host's image has made. Called by the world. */
  adopt(stack: Stack): void {
    this.#stack = stack;
    this.#isReady();
  }

  /** Closes the host's own stack and its interfaces. Called by the world. */
  async close(): Promise<void> {
    await this.#ownStack?.close();
    for (const netif of this.#netifs) await netif.close();
  }
}

/** 10.0.0.1 for the first host, and so on. */
function automatic(index: number): Prefix {
  return new Prefix(IpAddress.v4(0x0a000000 + index + 1), 16);
}
