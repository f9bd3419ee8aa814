import type { Timer, Timers } from "@tesserae/device/clock";
import type { Choices } from "./choices.ts";
import type { Host } from "./host.ts";
import type { Link } from "./link.ts";
import type { CompleteLinkSettings, LinkSettings } from "./link-settings.ts";

/** How many faults of each kind a run may have at most. Each is there or not, with equal probability. */
export interface FaultCounts {
  /** The hosts fall into two groups that hear nothing of each other. */
  readonly partitions?: number;
  /** A host loses its memory at once, and starts again later. */
  readonly crashes?: number;
  /** A host stands still. */
  readonly pauses?: number;
  /** All of a host's wires are cut. */
  readonly cuts?: number;
  /** A host's wires lose up to half of the frames. */
  readonly losses?: number;
  /** A host's wires take up to a second longer. */
  readonly delays?: number;
  /** A host's wires deliver frames twice. */
  readonly duplicates?: number;
  /** A host's wires let frames overtake each other. */
  readonly reorders?: number;
  /** A host's wires flip bits. */
  readonly corruptions?: number;
}

export interface FaultOptions extends FaultCounts {
  /** Virtual milliseconds from now between which faults begin and end. Defaults 0 and 30,000. */
  readonly from?: number;
  readonly until?: number;
  /** How long one lasts at most. Default 10,000 ms. */
  readonly longest?: number;
  /** Whom they happen to. Default: every host of the world. */
  readonly hosts?: readonly Host[];
}

export type FaultKind =
  "partition" | "crash" | "pause" | "cut" | "loss" | "delay" | "duplicate" | "reorder" | "corruption";

/** One fault that the seed has drawn. */
export interface Fault {
  readonly kind: FaultKind;
  /** The name of its decisions: `crash.1`. */
  readonly name: string;
  /** `crash b`, `partition a | b c`. */
  readonly text: string;
  /** Virtual milliseconds since the beginning of the run. */
  readonly begins: number;
  readonly ends: number;
}

/** What faults happen to. A world is one. */
export interface FaultWorld {
  readonly timers: Timers;
  readonly choices: Choices;
  readonly hosts: readonly Host[];
  /** The links of a host that are there now. */
  linksOf(host: Host): readonly Link[];
  partition(...groups: readonly (readonly Host[])[]): { heal(): void };
  condition(text: string, on: boolean): void;
  report(error: unknown): void;
}

/** The faults of a run, drawn when it was asked for them. */
export class FaultSchedule {
  /** In the order in which they begin. */
  readonly faults: readonly Fault[];
  /** Resolves when the last one is over, and all is well again. */
  readonly over: Promise<void>;
  /** The instant at which {@link FaultSchedule.over} resolves, in virtual milliseconds since the beginning. */
  readonly end: number;
  readonly #timers: Timer[] = [];
  readonly #lifts = new Set<() => void>();

  constructor(world: FaultWorld, options: FaultOptions) {
    const now = world.timers.now();
    const { from, until } = checked(options);
    const hosts = options.hosts ?? world.hosts;
    const planned = draw(world.choices, options, hosts, now + from, now + until);
    this.faults = planned.map(({ fault }) => fault).sort((a, b) => a.begins - b.begins);
    this.end = Math.max(now, ...this.faults.map((fault) => fault.ends));
    const wires = new Wires(world);
    for (const { fault, begin } of planned) {
      this.#at(world, fault.begins, () => {
        const undo = begin(world, wires);
        if (undo === undefined) return;
        // Hosts, partitions and cut links say themselves what becomes of them.
        const isOfWires = !["crash", "pause", "partition", "cut"].includes(fault.kind);
        if (isOfWires) world.condition(fault.text, true);
        const lift = (): void => {
          if (!this.#lifts.delete(lift)) return;
          undo();
          if (isOfWires) world.condition(fault.text, false);
        };
        this.#lifts.add(lift);
        this.#at(world, fault.ends, lift);
      });
    }
    this.over = new Promise((resolve) => this.#at(world, this.end, resolve));
  }

  /** Ends what lasts and forgets what was to come; {@link FaultSchedule.over} never resolves then. */
  cancel(): void {
    for (const timer of this.#timers) timer.cancel();
    for (const lift of this.#lifts) lift();
  }

  #at(world: FaultWorld, time: number, action: () => void): void {
    const timer = world.timers.timer(() => {
      try {
        action();
      } catch (error) {
        world.report(error);
      }
    });
    timer.set(time);
    this.#timers.push(timer);
  }
}

interface Planned {
  readonly fault: Fault;
  /** @returns what undoes it; undefined when it cannot happen now: a host that is down cannot crash. */
  readonly begin: (world: FaultWorld, wires: Wires) => (() => void) | undefined;
}

const usualCount = 2;

/** The counts as wanted: two of each kind where no kind is named. */
function countsOf(options: FaultOptions): Required<FaultCounts> {
  const given: FaultCounts = options;
  const named = kinds.some(({ count }) => given[count] !== undefined);
  const least = named ? 0 : usualCount;
  return {
    partitions: given.partitions ?? least,
    crashes: given.crashes ?? least,
    pauses: given.pauses ?? least,
    cuts: given.cuts ?? least,
    losses: given.losses ?? least,
    delays: given.delays ?? least,
    duplicates: given.duplicates ?? least,
    reorders: given.reorders ?? least,
    corruptions: given.corruptions ?? least,
  };
}

type Make = (
  choices: Choices,
  name: string,
  hosts: readonly Host[],
) => { readonly text: string; readonly begin: Planned["begin"] };

const kinds: readonly { readonly kind: FaultKind; readonly count: keyof FaultCounts; readonly make: Make }[] = [
  { kind: "partition", count: "partitions", make: makePartition },
  {
    kind: "crash",
    count: "crashes",
    make: ofHost("crash", (host) => {
      if (!host.up) return undefined;
      host.crash();
      return () => {
        if (!host.up) void host.restart();
      };
    }),
  },
  {
    kind: "pause",
    count: "pauses",
    make: ofHost("pause", (host) => {
      if (!host.up || host.timers.paused) return undefined;
      host.pause();
      return () => host.resume();
    }),
  },
  { kind: "cut", count: "cuts", make: ofHost("cut", (host, wires) => wires.cut(host)) },
  { kind: "loss", count: "losses", make: ofWires("loss", 1, 50, "%", (share) => ({ loss: share / 100 })) },
  {
    kind: "delay",
    count: "delays",
    make: ofWires("delay", 1, 1000, " ms", (more, { delay }) => ({ delay: delay + more })),
  },
  {
    kind: "duplicate",
    count: "duplicates",
    make: ofWires("duplicate", 1, 50, "%", (share) => ({ duplicate: share / 100 })),
  },
  {
    kind: "reorder",
    count: "reorders",
    make: ofWires("reorder", 1, 200, " ms", (reorderDelay) => ({ reorder: 0.2, reorderDelay })),
  },
  {
    kind: "corruption",
    count: "corruptions",
    make: ofWires("corrupt", 1, 30, "%", (share) => ({ corrupt: share / 100 })),
  },
];

function draw(choices: Choices, options: FaultOptions, hosts: readonly Host[], from: number, until: number): Planned[] {
  const counts = countsOf(options);
  const longest = Math.min(options.longest ?? 10_000, until - from);
  const list: Planned[] = [];
  for (const { kind, count, make } of kinds) {
    if (hosts.length === 0 || (kind === "partition" && hosts.length < 2)) continue;
    for (let index = 1; index <= counts[count]; index++) {
      const name = `${kind}.${index}`;
      if (!choices.chance(name, 0.5)) continue;
      const lasts = choices.size(`${name}.for`, 1, Math.max(1, Math.floor(longest)));
      const begins = from + choices.integer(`${name}.at`, 0, Math.max(0, Math.floor(until - from - lasts)));
      const { text, begin } = make(choices, name, hosts);
      list.push({ fault: { kind, name, text, begins, ends: begins + lasts }, begin });
    }
  }
  return list;
}

function makePartition(choices: Choices, name: string, hosts: readonly Host[]): ReturnType<Make> {
  // The second group's hosts as bits, from the last host on: 1 is the last one alone. The first host is never in it.
  const side = choices.integer(`${name}.side`, 1, 2 ** Math.min(hosts.length - 1, 20) - 1);
  const groups: [Host[], Host[]] = [[], []];
  for (const [index, host] of hosts.entries()) {
    const bit = hosts.length - 1 - index;
    groups[bit < 20 && ((side >> bit) & 1) === 1 ? 1 : 0].push(host);
  }
  const text = groups.map((group) => group.map((host) => host.name).join(" ")).join(" | ");
  return {
    text: `partition ${text}`,
    begin: (world) => {
      const partition = world.partition(...groups);
      return () => partition.heal();
    },
  };
}

function ofHost(verb: string, begin: (host: Host, wires: Wires) => (() => void) | undefined): Make {
  return (choices, name, hosts) => {
    const host = choices.pick(`${name}.host`, hosts);
    return { text: `${verb} ${host.name}`, begin: (_world, wires) => begin(host, wires) };
  };
}

/** A fault that changes the settings of a host's wires by a number: percent or milliseconds. */
function ofWires(
  verb: string,
  least: number,
  most: number,
  unit: string,
  settings: (amount: number, before: CompleteLinkSettings) => LinkSettings,
): Make {
  return (choices, name, hosts) => {
    const host = choices.pick(`${name}.host`, hosts);
    const amount = choices.integer(`${name}.by`, least, most);
    return {
      text: `${verb} ${amount}${unit} ${host.name}`,
      begin: (_world, wires) => wires.change(host, (before) => settings(amount, before)),
    };
  };
}

/** What a fault makes of a link's settings. */
type Change = (before: CompleteLinkSettings) => LinkSettings;

interface ChangedLink {
  readonly forward: CompleteLinkSettings;
  readonly backward: CompleteLinkSettings;
  readonly changes: Change[];
}

/** Changes of links that overlap: each link is as it was before once the last one is over. */
class Wires {
  readonly #world: FaultWorld;
  readonly #changed = new Map<Link, ChangedLink>();
  readonly #cuts = new Map<Link, number>();

  constructor(world: FaultWorld) {
    this.#world = world;
  }

  change(host: Host, change: Change): () => void {
    const links = this.#world.linksOf(host);
    for (const link of links) {
      const { forward, backward } = link;
      const entry = this.#changed.get(link) ?? { forward: forward.settings, backward: backward.settings, changes: [] };
      this.#changed.set(link, entry);
      entry.changes.push(change);
      this.#apply(link, entry);
    }
    return () => {
      for (const link of links) {
        const entry = this.#changed.get(link);
        if (entry === undefined) continue;
        entry.changes.splice(entry.changes.indexOf(change), 1);
        this.#apply(link, entry);
      }
    };
  }

  cut(host: Host): () => void {
    const links = this.#world.linksOf(host);
    const count = (link: Link, by: number): void => {
      const cuts = (this.#cuts.get(link) ?? 0) + by;
      this.#cuts.set(link, cuts);
      if (cuts > 0) link.cut();
      else link.mend();
    };
    for (const link of links) count(link, 1);
    return () => {
      for (const link of links) count(link, -1);
    };
  }

  #apply(link: Link, { forward, backward, changes }: ChangedLink): void {
    const made = (before: CompleteLinkSettings): LinkSettings =>
      changes.reduce<LinkSettings>((settings, change) => ({ ...settings, ...change(before) }), before);
    link.forward.configure(made(forward));
    link.backward.configure(made(backward));
    if (changes.length === 0) this.#changed.delete(link);
  }
}

function checked(options: FaultOptions): { readonly from: number; readonly until: number } {
  const from = options.from ?? 0;
  const until = options.until ?? 30_000;
  if (!(from >= 0 && from < until && until <= 86_400_000)) {
    throw new RangeError(`faults from ${String(from)} until ${String(until)} ms: not 0 ≤ from < until ≤ 86400000`);
  }
  const { longest } = options;
  if (longest !== undefined && !(longest >= 1)) throw new RangeError(`longest ${String(longest)} is below 1 ms`);
  for (const { count } of kinds) {
    const number = options[count];
    if (number !== undefined && !(Number.isInteger(number) && number >= 0 && number <= 1000)) {
      throw new RangeError(`${count} ${String(number)} is no integer from 0 to 1000`);
    }
  }
  return { from, until };
}
