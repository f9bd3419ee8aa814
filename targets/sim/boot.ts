import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeKeys, parseArguments } from "@tesserae/image/arguments";
import { KeyError } from "@tesserae/image/key";
import type { ImagePlan } from "@tesserae/image/plan";
import { parseKeys } from "@tesserae/image/run";
import { PcapngWriter } from "@tesserae/wire/pcapng-writer";
import { Capture } from "./capture.ts";
import type { Observer } from "./event.ts";
import { LinkCapture } from "./link-capture.ts";
import { OutputFile } from "./output-file.ts";
import { PageRecorder } from "./page-record.ts";
import { optionsOf } from "./scenario.ts";
import { serveSeeds } from "./seed-worker.ts";
import { parseSettings, simFlags, type SimSettings } from "./settings.ts";
import { epoch, simulate } from "./simulate.ts";
import { Timeline } from "./timeline.ts";
import { timelinePage } from "./timeline-page.ts";
import { instant, TextTrace } from "./trace.ts";

/**
 * Runs the application's scenario in a world of its own, or without one the application alone on one host, until it
 * has ended or nothing is left to happen. What the hosts write to their consoles goes to standard output, with the
 * virtual time and the host's name; what the run came to, to standard error.
 *
 * Exit status: 0 when all is well, 1 when something threw or nothing could end, 2 for a bad command line.
 */
export async function boot(plan: ImagePlan): Promise<void> {
  const argv = pageFlag(process.argv.slice(2));
  const parsed = parseArguments(argv, plan.keys, simFlags);
  if (!parsed.ok) {
    refuse(plan, parsed.message);
    return;
  }
  if (parsed.help) {
    process.stdout.write(`${plan.name} (target ${plan.target})\n\n${describeKeys(plan.keys, simFlags)}\n`);
    return;
  }
  if (parsed.rest.length > 0) {
    refuse(plan, `"${parsed.rest[0] ?? ""}" is no flag; --help lists them all`);
    return;
  }
  const read = parseSettings(
    parsed.flags,
    () => randomBytes(6).toString("hex"),
    (path) => readFileSync(path, "utf8"),
  );
  if (!read.ok) {
    refuse(plan, read.message);
    return;
  }
  try {
    // Now, and not on some host later: these are the user's mistakes. Hosts may have keys of their own.
    parseKeys(
      plan.keys.filter((key) => Object.hasOwn(parsed.keys, key.name)),
      parsed.keys,
    );
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    refuse(plan, error.message);
    return;
  }
  // Local time is ambient too.
  process.env["TZ"] = "UTC";
  if (read.settings.worker) {
    await serveSeeds(plan, { keys: parsed.keys, link: read.settings.link, until: read.settings.until });
    return;
  }
  const files: OutputFile[] = [];
  let watching: readonly Observer[];
  try {
    watching = observers(read.settings, files);
  } catch (error) {
    process.stderr.write(`${plan.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
    return;
  }
  const failed = await run(plan, parsed.keys, read.settings, watching, files);
  if (failed === undefined) return;
  process.exitCode = 1;
  process.stderr.write(`${plan.name}: ${failed}\n`);
  process.stderr.write(`${plan.name}: to replay: --seed ${quoted(read.settings.seed)}${othersOf(argv)}\n`);
}

/** `--timeline FILE.html` is a page: `--page FILE.html`. */
function pageFlag(argv: readonly string[]): readonly string[] {
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    const next = argv[index + 1] ?? "";
    if (word === "--timeline" && /\.html?$/.test(next) && !next.startsWith("-")) words.push("--page");
    else if (/^--timeline=.*\.html?$/.test(word)) words.push(word.replace("--timeline", "--page"));
    else words.push(word);
  }
  return words;
}

/** @returns what went wrong, in words. */
async function run(
  plan: ImagePlan,
  keys: Readonly<Record<string, string>>,
  settings: SimSettings,
  watching: readonly Observer[],
  files: readonly OutputFile[],
): Promise<string | undefined> {
  const { seed, link, until, choices } = settings;
  const timeline = settings.timeline || optionsOf(plan.scenario).timeline === true ? new Timeline() : undefined;
  const recorder = settings.page === undefined ? undefined : new PageRecorder();
  const observers = [
    ...watching,
    ...(timeline === undefined ? [] : [timeline]),
    ...(recorder === undefined ? [] : [recorder]),
  ];
  const { failure, end, summary } = await simulate({
    plan,
    keys,
    seed,
    choices,
    link,
    until,
    observers,
    interruptible: true,
  });
  for (const file of files) file.close();
  if (timeline !== undefined) process.stdout.write(`${timeline.toString()}\n`);
  const { time, events, frames, hash } = summary;
  const ended = { done: "", idle: ", then nothing was left to happen", until: ", stopped there", interrupted: "" };
  const how = end === undefined ? "" : ended[end];
  const outcome = `${instant(time)} ms of virtual time${how}, ${events} events, ${frames} frames, trace ${hash}`;
  process.stderr.write(`${plan.name}: seed ${seed}, ${outcome}\n`);
  if (recorder !== undefined && settings.page !== undefined) {
    const failed = failure !== undefined;
    const [line = ""] = (failure?.text ?? outcome).split("\n");
    const page = timelinePage({ name: plan.name, seed, outcome: line, failed }, recorder.record);
    try {
      writeFileSync(settings.page, page);
    } catch (error) {
      return failure?.text ?? `--page: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return failure?.text;
}

/** What watches the run, by the flags. Pushes each file that it opens. @throws Error naming the flag. */
function observers(settings: SimSettings, files: OutputFile[]): Observer[] {
  const list: Observer[] = [];
  const open = (flag: string, path: string): OutputFile => {
    try {
      const file = new OutputFile(path);
      files.push(file);
      return file;
    } catch (error) {
      throw new Error(`--${flag}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  };
  const console: Observer = {
    note(time, host, text) {
      if (host !== "") process.stdout.write(`${time.toFixed(3).padStart(12)} ${host} | ${text}\n`);
    },
  };
  // The trace has these lines too.
  if (settings.trace !== "-") list.push(console);
  if (settings.trace !== undefined) {
    const file = open("trace", settings.trace);
    list.push(new TextTrace((line) => file.writeLine(line)));
  }
  if (settings.pcap !== undefined && isFolder(settings.pcap)) {
    list.push(linkCapture(settings.pcap, open));
  } else if (settings.pcap !== undefined) {
    const file = open("pcap", settings.pcap);
    list.push(new Capture(new PcapngWriter((bytes) => file.write(bytes)), epoch));
  }
  return list;
}

/** Captures of links that are written at once; a scenario with more has the rest left out. */
const mostLinkFiles = 128;

function isFolder(path: string): boolean {
  return path.endsWith("/") || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** One file a link in the folder. @throws Error when it cannot be made. */
function linkCapture(folder: string, open: (flag: string, path: string) => OutputFile): LinkCapture {
  mkdirSync(folder, { recursive: true });
  let files = 0;
  return new LinkCapture((link) => {
    if (files++ >= mostLinkFiles) return undefined;
    const file = open("pcap", join(folder, `${link}.pcapng`));
    return new PcapngWriter((bytes) => file.write(bytes));
  }, epoch);
}

function refuse(plan: ImagePlan, message: string): void {
  process.stderr.write(`${plan.name}: ${message}\n`);
  process.exitCode = 2;
}

/** The arguments without the seed, as text for a shell. */
function othersOf(argv: readonly string[]): string {
  let text = "";
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (word === "--seed") index++;
    else if (!word.startsWith("--seed=")) text += ` ${quoted(word)}`;
  }
  return text;
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
