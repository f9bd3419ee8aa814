import type { Resolver } from "@tesserae/device/resolver";
import type { Stack } from "@tesserae/device/stack";
import type { Timers } from "@tesserae/device/clock";
import type { ImagePlan } from "@tesserae/image/plan";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { installAmbient } from "./ambient.ts";
import { Audit } from "./audit.ts";
import { Cabling } from "./cabling.ts";
import { Choices } from "./choices.ts";
import { CorruptedFrames } from "./corrupted-frames.ts";
import { Events, type Observer } from "./event.ts";
import { ExternalWork } from "./external.ts";
import { FaultSchedule, type FaultOptions, type FaultWorld } from "./faults.ts";
import { FirstFailure } from "./first-failure.ts";
import { FrameStore } from "./frame-store.ts";
import { Host, type HostOptions } from "./host.ts";
import type { HostInterface } from "./host-stack.ts";
import { ImageRun } from "./image-run.ts";
import { Invariants, type Check, type InvariantOptions } from "./invariants.ts";
import type { Lan, LanSettings } from "./lan.ts";
import { leaksOf } from "./leaks.ts";
import type { Link } from "./link.ts";
import { completeLinkSettings, type PathSettings } from "./link-settings.ts";
import { Partitions, type Partition } from "./partition.ts";
import { SeededRandom } from "./random.ts";
import { RunLoop } from "./run-loop.ts";
import { Tasks } from "./tasks.ts";
import { TraceHash } from "./trace-hash.ts";
import { WorldNames } from "./world-names.ts";

export interface RunOptions {
  /** Stops at this instant, in virtual milliseconds since the beginning, with tasks still waiting if need be. */
  readonly until?: number;
  /** Goes on after all tasks have ended, until nothing is left to happen. Default false. */
  readonly idle?: boolean;
  /** Fails the run when it gets to this instant. Default: 24 hours from now. */
  readonly timeLimit?: number;
  /** Fails the run after so many events. Default 100 million. */
  readonly eventLimit?: number;
}

/** What a run came to. */
export interface RunSummary {
  readonly seed: string;
  /** Why it ended: all tasks done; nothing left to happen; the instant asked for was reached; or `interrupt`. */
  readonly end: "done" | "idle" | "until" | "interrupted";
  /** Virtual milliseconds since the beginning. */
  readonly time: number;
  /** Timers fired, frames' arrivals included. */
  readonly events: number;
  /** Frames sent by hosts. */
  readonly frames: number;
  /** The hash of everything that happened, in sixteen hex digits: equal for equal runs. */
  readonly hash: string;
}

export interface WorldOptions {
  /** Everything random follows from it. Default `0`. */
  readonly seed?: string;
  /** How frames travel between hosts, where a host or a link does not say. */
  readonly link?: PathSettings;
  /** The wall clock when the run begins, in milliseconds since 1970. Default: 2026-01-01T00:00:00Z. */
  readonly epoch?: number;
  /** What {@link World.image} runs. */
  readonly plan?: ImagePlan;
  /** Texts of run-time keys for every image. */
  readonly keys?: Readonly<Record<string, string>>;
  /** Whether hosts have IPv6 that are not told otherwise. Default `on`. */
  readonly ipv6?: "on" | "off";
  /** The decisions of an earlier run, to be taken again: see `parseChoices`. Default: they follow from the seed. */
  readonly choices?: ReadonlyMap<string, number>;
  /** Whether ambient time and randomness are virtual while it runs: see `installAmbient`. Default true. */
  readonly ambient?: boolean;
  /** Takes what timers' callbacks and images' closing throw. Default: it fails the run. */
  readonly report?: (error: unknown, host: string) => void;
}

/** Milliseconds that closing may take. */
const closingLimit = 600_000;
const defaultEventLimit = 100_000_000;

/** A simulated world: hosts, links between them, and one virtual time. A run is a function of its seed. */
export class World {
  readonly seed: string;
  readonly random: SeededRandom;
  /** What the scenario leaves to the seed, and a search makes simpler when it fails. */
  readonly choices: Choices;
  /** Timers on the world's own time. */
  readonly timers: Timers;
  readonly resolver: Resolver;
  readonly #names: WorldNames;
  readonly #options: WorldOptions;
  readonly #clock: VirtualClock;
  readonly #scheduler: Scheduler;
  readonly #events: Events;
  readonly #hash = new TraceHash();
  readonly #external = new ExternalWork();
  readonly #invariants = new Invariants();
  readonly #failure = new FirstFailure();
  readonly #counters = new Map<string, number>();
  /** By name in lower case (RFC 4343). */
  readonly #hosts = new Map<string, Host>();
  readonly #partitions = new Partitions((text, on) => this.#events.condition(text, on));
  readonly #cabling: Cabling;
  readonly #schedules: FaultSchedule[] = [];
  #audit: Audit | undefined = undefined;
  readonly #images: ImageRun[] = [];
  readonly #tasks: Tasks;
  readonly #loop: RunLoop;
  readonly #ambientRandom: SeededRandom;
  #closed = false;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.seed = options.seed ?? "0";
    this.random = new SeededRandom(this.seed);
    this.choices = new Choices(this.random, options.choices);
    this.#ambientRandom = this.random.fork("ambient");
    this.#clock = new VirtualClock({ origin: options.epoch ?? 1_767_225_600_000 });
    this.#scheduler = new Scheduler(this.#clock, { onError: (error) => this.#report("", error) });
    this.timers = this.#scheduler;
    this.#events = new Events(() => this.#clock.now());
    this.#events.add(this.#hash);
    this.#cabling = new Cabling({
      engine: {
        timers: this.#scheduler,
        store: new FrameStore(),
        events: this.#events,
        flights: [],
        corrupted: new CorruptedFrames(),
        clock: this.#clock,
      },
      events: this.#events,
      random: this.random,
      partitions: this.#partitions,
      settings: options.link,
    });
    this.#tasks = new Tasks(this.#scheduler, this.#events, this.#failure);
    this.#loop = new RunLoop({
      scheduler: this.#scheduler,
      clock: this.#clock,
      events: this.#events,
      tasks: this.#tasks,
      external: this.#external,
      invariants: this.#invariants,
      failure: this.#failure,
      installAmbient: () => this.#installAmbient(),
    });
    this.#names = new WorldNames((name) => this.#hosts.get(name.toLowerCase()));
    this.resolver = this.#names;
    completeLinkSettings(options.link ?? {});
  }

  /** Virtual milliseconds since the beginning. */
  get now(): number {
    return this.#clock.now();
  }

  /** In the order in which they were made. */
  get hosts(): readonly Host[] {
    return [...this.#hosts.values()];
  }

  get links(): readonly Link[] {
    return this.#cabling.links;
  }

  /** Everything that happens from now on is shown to `observer`. */
  observe(observer: Observer): void {
    this.#events.add(observer);
  }

  /** Writes a line of its own into the trace. */
  note(text: string): void {
    this.#events.note("", text);
  }

  /**
   * Looks at the world after every event, when all that follows from it at that instant has happened, and once more at
   * the end of the run. `check` throws, or returns a sentence, when something is wrong: that fails the run. It must
   * change nothing: a run is the same whoever looks.
   */
  invariant(name: string, check: Check, options: InvariantOptions = {}): void {
    this.#invariants.add(name, check, options);
  }

  /** Counts something that the scenario wants to hear of: a search for failing seeds adds it up over all its runs. */
  count(name: string, by = 1): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + by);
  }

  /** What was counted. */
  get counters(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counters);
  }

  /**
   * Makes a host with a stack of its own. Unless it is linked before virtual time goes on, it is on the LAN.
   *
   * @throws RangeError when the name is taken, or an option is not valid.
   */
  host(name: string, options: HostOptions = {}): Host {
    const host = this.#addHost(name, options);
    const { main } = options;
    host.bootWith(() => {
      void this.#service(host, `${name}: stack`, async () => {
        this.#cabling.plug(host);
        await host.start();
      });
      if (main === undefined) return;
      void this.#service(host, `${name}: main`, async () => {
        await host.ready;
        await main(host);
      });
    });
    return host;
  }

  /**
   * Makes a host that runs the world's application, which brings its own stack. The host is ready when the
   * application has made it. What main throws fails the run; an image that goes on for ever does not keep it from
   * ending.
   *
   * @throws TypeError when the world has no plan; else as {@link World.host}.
   */
  image(name: string, options: ImageOptions = {}): ImageHost {
    const { plan } = this.#options;
    if (plan === undefined) throw new TypeError("this world was made without the plan of an image");
    const host = this.#addHost(name, options);
    const keys = { ...this.#options.keys, ...options.keys };
    let run: ImageRun | undefined;
    let stopped = false;
    let settle: (result: Promise<void>) => void = () => undefined;
    const finished = new Promise<void>((resolve) => {
      settle = resolve;
    });
    // A failure fails the run, whoever waits for this one.
    finished.catch(() => undefined);
    host.bootWith(() => {
      const { life } = host;
      const live = (): boolean => host.up && host.life === life;
      const ended = this.#service(host, `${name}: image ${plan.name}`, async () => {
        this.#cabling.plug(host);
        const report = (error: unknown): void => {
          if (live()) this.#report(name, error);
        };
        run = new ImageRun(host, plan, keys, report);
        this.#images.push(run);
        if (stopped) run.stop();
        await run.finished;
      });
      ended.then(
        () => settle(ended),
        () => {
          if (live()) settle(ended);
        },
      );
    });
    const stop = (): void => {
      stopped = true;
      run?.stop();
    };
    return Object.assign(host, { finished, stop });
  }

  /** Connects two hosts directly, by a new interface of each: the first one, when it is not plugged in yet. */
  link(one: Host, other: Host, settings: PathSettings = {}): Link {
    return this.#cabling.link(one, other, settings);
  }

  /** The links of a host that are there now. */
  linksOf(host: Host): readonly Link[] {
    return this.#cabling.linksOf(host);
  }

  /** The LAN of that name, made when there is none. Settings count when it is made. */
  lan(name?: string, settings?: LanSettings): Lan {
    return this.#cabling.lan(name, settings);
  }

  /**
   * Joins the switches of two LANs by a cable.
   *
   * @throws RangeError when they are joined already, over other LANs perhaps.
   */
  join(one: Lan, other: Lan, settings: PathSettings = {}): Link {
    return this.#cabling.join(one, other, settings);
  }

  /** Makes a host that passes packets on between its interfaces: {@link World.host} with `forwarding`. */
  router(name: string, interfaces: readonly HostInterface[], options: HostOptions = {}): Host {
    return this.host(name, { forwarding: true, ...options, interfaces });
  }

  /**
   * Cuts the network between groups of hosts: what a host of one group sends does not reach those of the others, from
   * now on, frames on their way included. Hosts in no group are not affected; several partitions may hold at a time.
   *
   * @param groups of hosts, or of their names
   * @throws RangeError when there are not two groups at least, a host is in two of them, or there is no such host.
   */
  partition(...groups: readonly (readonly (Host | string)[])[]): Partition {
    return this.#partitions.add(this.#hostGroups(groups), false);
  }

  /** As {@link World.partition}, in one direction only: nothing gets from the hosts in `from` to those in `to`. */
  sever(from: readonly (Host | string)[], to: readonly (Host | string)[]): Partition {
    return this.#partitions.add(this.#hostGroups([from, to]), true);
  }

  /**
   * Faults that the seed draws: partitions, crashes, wires that lose or delay. Each begins and ends by itself within the
   * time given; {@link FaultSchedule.over} resolves when all is well again. Two of each kind, unless `options` name some.
   */
  faults(options: FaultOptions = {}): FaultSchedule {
    const faulty: FaultWorld = {
      timers: this.timers,
      choices: this.choices,
      hosts: this.hosts,
      linksOf: (host) => this.linksOf(host),
      partition: (...groups) => this.partition(...groups),
      condition: (text, on) => this.#events.condition(text, on),
      report: (error) => this.#report("", error),
    };
    const schedule = new FaultSchedule(faulty, options);
    this.#schedules.push(schedule);
    return schedule;
  }

  /**
   * Looks after each event at what every TCP must keep, whatever the scenario is about: see {@link Audit}. Called
   * before hosts are made, and by itself in every run of `tesserae`.
   */
  audit(): void {
    if (this.#audit !== undefined) return;
    const audit = new Audit(() => this.hosts);
    this.#audit = audit;
    this.observe(audit.wire);
    this.invariant("every flow delivers what was written", () => audit.bytes.problem);
    this.invariant("every segment is one that TCP may send", () => audit.wire.problem);
    this.invariant("connections' numbers and tables are in order", () => audit.inside());
  }

  /** Ends all partitions. */
  heal(): void {
    this.#partitions.heal();
  }

  /**
   * Runs a task. The world's run ends when all have ended, and fails with the first that fails, also when somebody
   * else catches the error: what is expected is caught inside the task. What it returns need not be awaited.
   */
  task<T>(name: string, body: () => Promise<T> | T): PromiseLike<T> {
    return this.#tasks.start({ name, foreground: true }, body);
  }

  /**
   * Lets virtual time go on until every task has ended; without any, until every image has ended or nothing is left to
   * happen.
   *
   * @throws (rejects) what the first failing task, timer or image threw; StuckError; TypeError when it runs already.
   */
  async run(options: RunOptions = {}): Promise<RunSummary> {
    if (this.#closed) throw new TypeError("this world is closed");
    const timeLimit = options.timeLimit ?? this.now + 86_400_000;
    const eventLimit = this.#loop.events + (options.eventLimit ?? defaultEventLimit);
    const done = options.idle === true ? () => false : () => this.#done();
    const end = await this.#loop.drive(done, { until: options.until ?? Infinity, timeLimit, eventLimit });
    if (this.#failure.found !== undefined) throw this.#failure.found.error;
    if (end === "failed") throw new Error("a run that failed without a reason");
    if (end === "time-limit" || end === "event-limit") throw this.#loop.stuck(end);
    if (end === "idle" && (this.#tasks.foreground ?? 0) > 0) throw this.#loop.stuck("idle");
    const broken = this.#invariants.lookAtAll(this.now);
    if (broken !== undefined) throw broken;
    return this.#summary(end);
  }

  /**
   * What `work` outside the simulation settles to: reading a file, asking a server. Virtual time waits for it, so that
   * how long it really takes does not show.
   */
  external<T>(work: PromiseLike<T>): Promise<T> {
    return this.#external.track(work);
  }

  /** Makes {@link World.run} end soon, from outside the simulation. What happens is then no function of the seed. */
  interrupt(): void {
    this.#loop.interrupt();
  }

  /** Stops the images, closes the stacks, and lets that happen. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#loop.looks = false;
    const earlier = this.#failure.found;
    this.#failure.clear();
    let closed = false;
    for (const schedule of this.#schedules) schedule.cancel();
    for (const image of this.#images) image.stop();
    void this.#tasks.start({ name: "closing", foreground: false }, async () => {
      await Promise.allSettled(this.#images.map((image) => image.finished));
      for (const host of this.hosts) await host.close();
      closed = true;
    });
    const bounds = { until: Infinity, timeLimit: this.now + closingLimit, eventLimit: this.#loop.events + 10_000_000 };
    const end = await this.#loop.drive(() => closed, bounds);
    const { found } = this.#failure;
    if (earlier !== undefined) {
      this.#failure.clear();
      this.#failure.fail(earlier.error);
    }
    if (found !== undefined && earlier === undefined) throw found.error;
    if (end === "done" || end === "interrupted" || earlier !== undefined) return;
    throw this.#loop.stuck(end === "time-limit" || end === "event-limit" ? end : "idle");
  }

  /** What the hosts have left over after {@link World.close}, in words. */
  leaks(): readonly string[] {
    return leaksOf(this.hosts);
  }

  /** What the world has come to so far. */
  summary(): RunSummary {
    return this.#summary("until");
  }

  #summary(end: RunSummary["end"]): RunSummary {
    const { seed, now: time } = this;
    return { seed, end, time, events: this.#loop.events, frames: this.#events.frames, hash: this.#hash.toString() };
  }

  #done(): boolean {
    const { foreground } = this.#tasks;
    if (foreground !== undefined) return foreground === 0;
    return this.#images.length > 0 && this.#tasks.size === 0;
  }

  #installAmbient(): () => void {
    if (this.#options.ambient === false) return () => undefined;
    return installAmbient({
      timers: this.#scheduler,
      random: this.#ambientRandom,
      external: this.#external,
      report: (error) => this.#report("", error),
      background: (change) => {
        this.#loop.background += change;
      },
    });
  }

  #addHost(name: string, options: HostOptions): Host {
    if (!/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/i.test(name)) {
      throw new RangeError(`"${name}" is no host name: up to 63 letters, digits, dots and hyphens`);
    }
    if (this.#hosts.has(name.toLowerCase())) throw new RangeError(`there is a host "${name}" already`);
    const hostWorld = {
      timers: this.#scheduler,
      names: this.#names,
      ipv6: this.#options.ipv6 ?? "on",
      report: (host: string, error: unknown) => this.#report(host, error),
      note: (host: string, text: string) => this.#events.note(host, text),
      adopted: (owner: Host, stack: Stack) => this.#audit?.watch(owner, stack),
      task: <T>(owner: Host, label: string, service: boolean, body: () => Promise<T> | T) =>
        this.#tasks.start({ name: label, foreground: !service, host: owner }, body),
      crashed: (owner: Host) => this.#crashed(owner),
      condition: (text: string, on: boolean) => this.#events.condition(text, on),
      addressed: (owner: Host) => {
        for (const address of owner.addresses) this.#partitions.ownAddress(address, owner.index);
      },
      makeNic: (host: Host) => this.#cabling.makeNic(host),
    };
    const host = new Host(hostWorld, name, this.#hosts.size, options, this.random.fork(`host ${name}`));
    this.#hosts.set(name.toLowerCase(), host);
    if (options.interfaces !== undefined) this.#cabling.addInterfaces(host);
    return host;
  }

  #hostGroups(groups: readonly (readonly (Host | string)[])[]): Host[][] {
    return groups.map((group) =>
      group.map((each) => {
        const host = typeof each === "string" ? this.#hosts.get(each.toLowerCase()) : each;
        if (host !== undefined) return host;
        throw new RangeError(`there is no host "${typeof each === "string" ? each : each.name}"`);
      }),
    );
  }

  #service(host: Host, name: string, body: () => Promise<void>): Promise<void> {
    return this.#tasks.start({ name, foreground: false, host }, body);
  }

  #crashed(host: Host): void {
    this.#tasks.abandon(host);
    for (const [index, image] of this.#images.entries()) {
      if (image.host !== host) continue;
      this.#images.splice(index, 1);
      break;
    }
  }

  #report(host: string, error: unknown): void {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#events.note(host, `error ${text}`);
    const { report } = this.#options;
    if (report === undefined) this.#failure.fail(error);
    else report(error, host);
  }
}

export interface ImageOptions extends HostOptions {
  /** Texts of run-time keys, by name; they go before the world's. */
  readonly keys?: Readonly<Record<string, string>>;
}

/** A host that runs the world's application. */
export type ImageHost = Host & {
  /** Settles when the image has ended. */
  readonly finished: Promise<void>;
  /** Asks the image to stop: aborts main's signal. */
  stop(): void;
};

/** Makes a world. Nothing happens in it until {@link World.run}. */
export function createWorld(options: WorldOptions = {}): World {
  return new World(options);
}
