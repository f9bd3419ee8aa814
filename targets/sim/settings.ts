import type { FlagPlan } from "@tesserae/image/arguments";
import { parseKey } from "@tesserae/image/key";
import { parseChoices } from "./choices.ts";
import type { LinkSettings, PathSettings } from "./link-settings.ts";
import { burstLoss } from "./loss-model.ts";
import type { QueueSettings } from "./queue.ts";

/** The flags of the sim target. */
export const simFlags: readonly FlagPlan[] = [
  { name: "seed", value: "SEED", doc: 'what everything random follows from (default 0; "random" picks one)' },
  { name: "choices", value: "CHOICES", doc: "what a run decided, to be decided again; @FILE reads a file" },
  { name: "until", value: "DURATION", doc: "virtual time after which the run stops" },
  { name: "pcap", value: "FILE", doc: "write what every host sends and receives to a pcapng file; DIR/: one a link" },
  { name: "trace", value: "FILE", doc: "write a line about every event to a file, or to stdout with -" },
  { name: "timeline", doc: "print the TCP segments between the hosts as a ladder; with FILE.html behind it: --page" },
  { name: "page", value: "FILE.html", doc: "write the run as a page to look at" },
  { name: "loss", value: "SHARE", doc: "frames lost between any two hosts: 0.05 or 5%" },
  { name: "burst", value: "FRAMES", doc: "with --loss: they are lost in bursts of this mean length" },
  { name: "delay", value: "DURATION", doc: "how long frames travel, one way (default 0.1ms)" },
  { name: "jitter", value: "DURATION", doc: "how much longer they may take" },
  { name: "reorder", value: "SHARE", doc: "frames that later ones overtake" },
  { name: "duplicate", value: "SHARE", doc: "frames that arrive twice" },
  { name: "corrupt", value: "SHARE", doc: "frames with one bit flipped" },
  { name: "bandwidth", value: "RATE", doc: "bits a second of every link, such as 500k, 10M or 1G" },
  {
    name: "queue",
    value: "QUEUE",
    doc: "with --bandwidth: what waits for it, in bytes (default 262144), or red, codel or fq-codel",
  },
  { name: "path-mtu", value: "BYTES", doc: "longer packets vanish, and nobody is told" },
  { name: "worker", doc: "run what the parent process asks for: how tesserae sim swarm starts it" },
];

/** What the flags come to. */
export interface SimSettings {
  readonly seed: string;
  /** Undefined: what the seed decides. */
  readonly choices: ReadonlyMap<string, number> | undefined;
  /** Milliseconds. */
  readonly until: number | undefined;
  readonly pcap: string | undefined;
  readonly trace: string | undefined;
  readonly timeline: boolean;
  /** The file of a page about the run. */
  readonly page: string | undefined;
  readonly link: PathSettings;
  readonly worker: boolean;
}

export type ParsedSettings =
  { readonly ok: true; readonly settings: SimSettings } | { readonly ok: false; readonly message: string };

/**
 * Reads the texts of the flags, by name.
 *
 * @param randomSeed picks the seed for `--seed random`
 * @param readText the text of a file; throws what `fs.readFileSync` throws
 */
export function parseSettings(
  flags: Readonly<Record<string, string>>,
  randomSeed: () => string,
  readText: (path: string) => string,
): ParsedSettings {
  const problems: string[] = [];
  const read = <T>(name: string, parse: (text: string) => T | undefined, allowed: string): T | undefined => {
    const text = flags[name];
    if (text === undefined) return undefined;
    const value = parse(text.trim());
    if (value === undefined) problems.push(`--${name}: "${text}" is not ${allowed}`);
    return value;
  };
  const share = "a share such as 0.05 or 5%";
  const duration = "a duration such as 50ms, 0.5s or 2m";
  const link: { -readonly [Name in keyof LinkSettings]: LinkSettings[Name] } = {};
  for (const name of ["loss", "reorder", "duplicate", "corrupt"] as const) {
    const value = read(name, parseShare, share);
    if (value !== undefined) link[name] = value;
  }
  const burst = read("burst", parseFrames, "a number of frames from 1 on");
  if (burst !== undefined) {
    if (typeof link.loss !== "number" || link.loss === 1) problems.push("--burst: wants a --loss below 100%");
    else link.loss = burstLoss(link.loss, burst);
  }
  for (const name of ["delay", "jitter"] as const) {
    const value = read(name, parseDuration, `${duration}, at most 1d`);
    if (value !== undefined) link[name] = value;
  }
  const bandwidth = read("bandwidth", parseRate, "a rate in bits a second such as 500k, 10M or 1G");
  if (bandwidth !== undefined) link.bandwidth = bandwidth;
  const queue = read("queue", parseQueue, "a number of bytes, red, codel or fq-codel");
  if (queue !== undefined) link.queue = queue;
  const mtu = read("path-mtu", parseBytes, "a number of bytes from 68 to 65535");
  if (mtu !== undefined) link.mtu = mtu;
  const until = read("until", parseDuration, duration);
  const choices = readChoices(flags["choices"], readText);
  if (typeof choices === "string") problems.push(`--choices: ${choices}`);
  if (typeof choices === "string" || problems.length > 0) return { ok: false, message: problems.join("\n") };
  const { pcap, trace, seed, page } = flags;
  return {
    ok: true,
    settings: {
      seed: seed === "random" ? randomSeed() : (seed ?? "0"),
      choices,
      until,
      pcap,
      trace,
      timeline: flags["timeline"] !== undefined,
      page,
      link,
      worker: flags["worker"] !== undefined,
    },
  };
}

/** @returns a message when they make no sense. */
function readChoices(
  text: string | undefined,
  readText: (path: string) => string,
): ReadonlyMap<string, number> | undefined | string {
  if (text?.startsWith("@") !== true) return text === undefined ? undefined : parseChoices(text);
  try {
    return parseChoices(readText(text.slice(1)));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** `0.05` or `5%`. */
function parseShare(text: string): number | undefined {
  if (!/^\d+(\.\d+)?%?$/.test(text)) return undefined;
  const value = Number.parseFloat(text) / (text.endsWith("%") ? 100 : 1);
  return value <= 1 ? value : undefined;
}

/** `50ms`, `0.5s`, or milliseconds without a unit. */
function parseDuration(text: string): number | undefined {
  const parsed = parseKey({ kind: "duration", max: 86_400_000 }, /^\d+(\.\d+)?$/.test(text) ? `${text}ms` : text);
  return parsed.ok && typeof parsed.value === "number" ? parsed.value : undefined;
}

function parseFrames(text: string): number | undefined {
  const frames = Number(text);
  return /^\d+(\.\d+)?$/.test(text) && frames >= 1 ? frames : undefined;
}

/** `20000`, or the name of a discipline with its usual settings. */
function parseQueue(text: string): number | QueueSettings | undefined {
  if (text === "red" || text === "codel" || text === "fq-codel") return { kind: text };
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

function parseBytes(text: string): number | undefined {
  const bytes = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return bytes >= 68 && bytes <= 65_535 ? bytes : undefined;
}

const rateUnits: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

/** `10M`, `10Mbit`, or bits a second without a unit. */
function parseRate(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([kmg]?)(?:bit|bit\/s|bps)?$/i.exec(text);
  const value = Number(match?.[1]) * (rateUnits[(match?.[2] ?? "").toLowerCase()] ?? NaN);
  return value >= 1 ? value : undefined;
}
