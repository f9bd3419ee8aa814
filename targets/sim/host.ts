import { IpAddress, Prefix, type MacAddress } from "@tesserae/device/address";
import type { Block } from "@tesserae/device/block";
import type { Timers } from "@tesserae/device/clock";
import type { WritableKv } from "@tesserae/device/kv";
import type { Resolver } from "@tesserae/device/resolver";
import type { Stack } from "@tesserae/device/stack";
import type { ForwardStatistics } from "@tesserae/tcpip/forward/statistics";
import type { Nat } from "@tesserae/tcpip/nat/nat";
import { leastMtu } from "@tesserae/tcpip/ipv6/wire";
import { orderDestinations } from "@tesserae/tcpip/stack/destination-order";
import type { IpStack } from "@tesserae/tcpip/stack/stack";
import { SimConsole } from "./console.ts";
import { Disk, type DiskOptions } from "./disk.ts";
import { DiskStore, type DiskStoreOptions } from "./disk-store.ts";
import { createHostStack, type HostForwarding, type HostInterface, type HostStack } from "./host-stack.ts";
import { HostTimers, type ClockSkew } from "./host-timers.ts";
import type { Nic } from "./nic.ts";
import type { SeededRandom } from "./random.ts";
import type { WorldNames } from "./world-names.ts";

export interface HostOptions extends HostInterface {
  /** Its interfaces, when there are several; then what the host's options say of one does not count. */
  readonly interfaces?: readonly HostInterface[];
  /** Whether it passes packets on between its interfaces, and how. Default false. */
  readonly forwarding?: boolean | HostForwarding;
  /** Whether it gets all frames of its LAN that a switch floods. Default: when it has no stack. */
  readonly promiscuous?: boolean;
  readonly clock?: ClockSkew;
  /** False: it has interfaces only, and the frames are the scenario's. Default true. */
  readonly stack?: boolean;
  /** What {@link Host.disk} is like. */
  readonly disk?: DiskOptions;
  /** What {@link Host.kv} is like. */
  readonly kv?: DiskStoreOptions;
  /**
   * Runs whenever the host has started and its stack is there: at first, and after each restart. It does not keep the
   * world's run from ending; what it throws fails the run.
   */
  readonly main?: (host: Host) => Promise<void> | void;
}

/** What a task of a host rejects with when the host crashes. */
export class HostCrashedError extends Error {
  override readonly name = "HostCrashedError";
  readonly host: string;

  constructor(host: string, task: string) {
    super(`host "${host}" crashed while "${task}" was running`);
    this.host = host;
  }
}

/** What a host needs of its world. */
export interface HostWorld {
  readonly timers: Timers;
  report(host: string, error: unknown): void;
  note(host: string, text: string): void;
  /** Its stack is there. */
  adopted(host: Host, stack: Stack): void;
  /** Starts a task of the host's present life; a service does not keep the world's run from ending. */
  task<T>(host: Host, name: string, service: boolean, body: () => Promise<T> | T): PromiseLike<T>;
  /** Forgets the tasks of a host that crashes. */
  crashed(host: Host): void;
  /** Something that lasts begins or is over, in words. */
  condition(text: string, on: boolean): void;
  /** The host has the addresses that it has now. */
  addressed(host: Host): void;
  makeNic(host: Host): Nic;
  readonly names: WorldNames;
  /** What of IPv6 a host's first interface has that does not say. */
  readonly ipv6: "on" | "off";
}

/** One simulated computer. Made by `World.host` and `World.image`. */
export class Host {
  readonly name: string;
  /** 0 for the first host of the world. */
  readonly index: number;
  readonly options: HostOptions;
  /** What is known of its interfaces, in their order. */
  readonly interfaces: readonly HostInterface[];
  /** Knows the names of all hosts, and which of their addresses to try first from here. */
  readonly resolver: Resolver;
  readonly #world: HostWorld;
  readonly #random: SeededRandom;
  readonly #netifs: Nic[] = [];
  readonly #configured: Prefix | undefined;
  /** The IPv6 address it was given, with its network; undefined when it has none, or asks routers. */
  readonly ipv6: Prefix | undefined;
  #life = 1;
  #up = true;
  #timers: HostTimers;
  #lifeRandom: SeededRandom;
  #console: SimConsole;
  #disk: Disk | undefined = undefined;
  #attachedDisk: Block | undefined = undefined;
  #store: DiskStore | undefined = undefined;
  #attachedStore: WritableKv | undefined = undefined;
  #ready: Promise<void>;
  #stack: Stack | undefined = undefined;
  #made: HostStack | undefined = undefined;
  #isReady: () => void = () => undefined;
  #wasReady = false;
  #boot: () => void = () => undefined;
  #tasks = 0;

  constructor(world: HostWorld, name: string, index: number, options: HostOptions, random: SeededRandom) {
    this.#world = world;
    this.name = name;
    this.index = index;
    this.options = options;
    this.resolver = world.names.ordered((addresses) =>
      this.#stack === undefined ? addresses : orderDestinations(this.#stack, addresses),
    );
    this.#random = random;
    this.#lifeRandom = random;
    this.#timers = new HostTimers(world.timers, options.clock ?? {}, (error) => world.report(name, error));
    this.#console = new SimConsole((line) => world.note(name, line));
    this.#ready = this.#getReady();
    const given = options.interfaces ?? [options];
    const [first] = given;
    if (first === undefined) throw new RangeError(`host "${name}" has no interface`);
    this.#configured =
      first.ipv4 === "dhcp" ? undefined : first.ipv4 === undefined ? automatic(index) : Prefix.parse(first.ipv4);
    // RFC 8200 §5: no link of IPv6 takes less.
    const wanted6 = first.ipv6 ?? ((first.mtu ?? 1500) < leastMtu ? "off" : world.ipv6);
    this.ipv6 = automatic6(wanted6, index);
    const ipv6 = this.ipv6?.toString() ?? wanted6;
    this.interfaces = [{ ...first, ipv4: this.#configured?.toString() ?? "dhcp", ipv6 }, ...given.slice(1)];
  }

  /** Its clock and timers, and those of its stack. Others after each restart, whose monotonic clock begins at 0. */
  get timers(): HostTimers {
    return this.#timers;
  }

  /** Another stream after each restart. */
  get random(): SeededRandom {
    return this.#lifeRandom;
  }

  /** Keeps its lines across restarts. */
  get console(): SimConsole {
    return this.#console;
  }

  /**
   * Its disk, whose flushed sectors outlive a crash. What was asked of it before a crash is never answered.
   *
   * @throws RangeError when the host's options for it are not valid.
   */
  get disk(): Block {
    this.#disk ??= new Disk(this.options.disk ?? {}, this.#random.fork("disk"));
    this.#attachedDisk ??= this.#disk.attach(this.#timers);
    return this.#attachedDisk;
  }

  /** A key-value store on a disk of its own. As {@link Host.disk}. */
  get kv(): WritableKv {
    this.#store ??= new DiskStore(this.options.kv ?? {}, this.#random.fork("kv"));
    this.#attachedStore ??= this.#store.attach(this.#timers);
    return this.#attachedStore;
  }

  /** Resolves when the stack is there, the next one after a crash. A host that cannot get one fails the run. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** Whether it runs: not between a crash and a restart. */
  get up(): boolean {
    return this.#up;
  }

  /** How many times it has started. */
  get life(): number {
    return this.#life;
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

  /** Its addresses now: those of its stack, before that the configured ones. */
  get addresses(): readonly IpAddress[] {
    if (this.#stack !== undefined) return this.#stack.addresses;
    return [this.#configured, this.ipv6].flatMap((each) => each?.address ?? []);
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
    if (this.#made === undefined) {
      throw new TypeError(`host "${this.name}" has no stack of its own (yet): await host.ready`);
    }
    return this.#made.stack;
  }

  /** Whether {@link Host.ownStack} is there. */
  get hasOwnStack(): boolean {
    return this.#made !== undefined;
  }

  /** The host's own stack, when it has one: also after it was closed. */
  get closedStack(): IpStack | undefined {
    return this.#made?.stack;
  }

  /** What it counts as a router, if it is one. */
  get forwarding(): ForwardStatistics | undefined {
    return this.#made?.forwarding?.statistics;
  }

  /** The same for IPv6. */
  get forwarding6(): ForwardStatistics | undefined {
    return this.#made?.forwarding6?.statistics;
  }

  /** The addresses that it translates, if it does. */
  get nat(): Nat | undefined {
    return this.#made?.nat;
  }

  /**
   * Runs a task on the host once its stack is there. The world's run ends when all tasks have ended, and fails with
   * the first that fails. What it returns need not be awaited.
   */
  run<T>(body: (host: Host) => Promise<T> | T, name?: string): PromiseLike<T> {
    const label = name ?? `task ${++this.#tasks}`;
    return this.#world.task(this, `${this.name}: ${label}`, false, async () => {
      await this.ready;
      return body(this);
    });
  }

  /**
   * The power fails. Connections, timers and memory are gone at once, tasks of the host reject with
   * {@link HostCrashedError} without failing the run, and frames that arrive find nobody. Only {@link Host.disk} and
   * {@link Host.kv} keep what they had made durable. Of what the host's code was waiting for, nothing ever settles.
   *
   * @throws TypeError when it is down already.
   */
  crash(): void {
    if (!this.#up) throw new TypeError(`host "${this.name}" is down already`);
    this.#up = false;
    if (this.#timers.paused) this.#world.condition(`${this.name} stands still`, false);
    this.#world.condition(`${this.name} is down`, true);
    this.#timers.stop();
    this.#console.unplug();
    // In memory, so it is done before any later event.
    void this.#disk?.crash();
    this.#store?.crash();
    this.#attachedDisk = undefined;
    this.#attachedStore = undefined;
    this.#stack = undefined;
    this.#made = undefined;
    for (const [index, nic] of this.#netifs.entries()) this.#netifs[index] = nic.successor();
    if (this.#wasReady) this.#ready = this.#getReady();
    this.#world.crashed(this);
  }

  /**
   * Starts again after a crash: the stack, and the image or `main`. A host that is up crashes first, as at the press
   * of its reset button. Its wall clock has gone on; its monotonic one begins at 0.
   *
   * @returns {@link Host.ready}
   */
  restart(): Promise<void> {
    if (this.#up) this.crash();
    const { name } = this;
    const world = this.#world;
    this.#up = true;
    this.#life++;
    this.#timers = new HostTimers(world.timers, this.#timers.skew, (error) => world.report(name, error), true);
    this.#lifeRandom = this.#random.fork(`life ${this.#life}`);
    this.#console = new SimConsole((line) => world.note(name, line), this.#console);
    world.condition(`${name} is down`, false);
    this.#boot();
    return this.#ready;
  }

  /**
   * Stands still, as in a long collection of garbage: its timers do not fire, and frames wait at its interfaces (512
   * at each). Its clocks go on. What its tasks wait for elsewhere is not held back.
   *
   * @param milliseconds of the world; without them until {@link Host.resume}
   * @throws TypeError when it is down.
   */
  pause(milliseconds?: number): void {
    if (!this.#up) throw new TypeError(`host "${this.name}" is down`);
    const timers = this.#timers;
    this.#world.condition(`${this.name} stands still`, true);
    timers.pause();
    for (const nic of this.#netifs) nic.pause();
    if (milliseconds === undefined) return;
    const world = this.#world.timers;
    const wake = (): void => {
      if (this.#timers === timers) this.resume();
    };
    world.timer(wake).set(world.now() + milliseconds);
  }

  /** Undoes {@link Host.pause}, from an event of its own at this instant. Harmless when the host is not paused. */
  resume(): void {
    const timers = this.#timers;
    const nics = [...this.#netifs];
    const wake = (): void => {
      if (this.#timers !== timers || !timers.paused || timers.stopped) return;
      this.#world.condition(`${this.name} stands still`, false);
      timers.resume();
      for (const nic of nics) nic.resume();
    };
    this.#world.timers.timer(wake).set(this.#world.timers.now());
  }

  /** Sets what starts the host, and starts it. Called by the world, once. */
  bootWith(boot: () => void): void {
    this.#boot = boot;
    boot();
  }

  /** Makes the host's own stack. Called by the world, once a life. */
  async start(): Promise<void> {
    const life = this.#life;
    const { forwarding = false, stack: wanted } = this.options;
    if (wanted === false) {
      this.#settled();
      return;
    }
    // The first one at least.
    if (this.#netifs.length === 0) this.addNetif();
    const made = await createHostStack({
      netifs: this.#netifs,
      interfaces: this.interfaces,
      forwarding,
      timers: this.timers,
      random: this.random.fork("stack"),
      onError: (error) => {
        if (life === this.#life && this.#up) this.#world.report(this.name, error);
      },
    });
    if (life !== this.#life || !this.#up) return;
    this.#made = made;
    this.adopt(made.stack, life);
  }

  /** Takes the stack that the host's image has made in that life. Called by the world. */
  adopt(stack: Stack, life: number): void {
    if (life !== this.#life || !this.#up) return;
    this.#stack = stack;
    this.#world.addressed(this);
    this.#world.adopted(this, stack);
    this.#settled();
  }

  /** Closes the host's own stack and its interfaces. Called by the world. */
  async close(): Promise<void> {
    await this.#made?.stack.close();
    for (const netif of this.#netifs) await netif.close();
  }

  #getReady(): Promise<void> {
    this.#wasReady = false;
    return new Promise((resolve) => {
      this.#isReady = resolve;
    });
  }

  #settled(): void {
    this.#wasReady = true;
    this.#isReady();
  }
}

/** fd00::1 for the first host, and so on, where IPv6 is on. */
function automatic6(text: string, index: number): Prefix | undefined {
  if (text === "on") return new Prefix(new IpAddress(6, 0xfd000000, 0, 0, index + 1), 64);
  return text === "off" || text === "auto" ? undefined : Prefix.parse(text);
}

/** 10.0.0.1 for the first host, and so on. */
function automatic(index: number): Prefix {
  return new Prefix(IpAddress.v4(0x0a000000 + index + 1), 16);
}
