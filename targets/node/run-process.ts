import { FlowError, type FlowErrorKind } from "@tesserae/device/flow";
import { describeKeys, parseArguments, type FlagPlan, type ParsedArguments } from "@tesserae/image/arguments";
import { KeyError } from "@tesserae/image/key";
import type { ImageHost, ImagePlan } from "@tesserae/image/plan";
import { DeviceError, runImage } from "@tesserae/image/run";
import { parentPort } from "node:worker_threads";
import { inlineDeeply } from "./engine.ts";
import { FurtherInstances } from "./further-instances.ts";
import { countInstances, instance, isFurtherInstance, mostInstances, type InstanceReport } from "./instance.ts";

/** What is wrong about the machine then, and not in the program: a stack would add nothing. */
const environmental: ReadonlySet<FlowErrorKind> = new Set(["address-in-use", "address-not-available", "permission"]);
/** How long a process may take to end after its image has, in milliseconds. */
const lastBound = 1000;
/** How long an image may take to end after a device has failed, in milliseconds. */
const failureBound = 5000;

/** A mistake of whoever started the image: printed as its message alone, without a stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** The flag of targets that run an image as several instances: `open` may ask for {@link instance}. */
export const queuesFlag: FlagPlan = {
  name: "queues",
  value: "COUNT",
  doc: `run so many instances, each on a core of its own, and spread flows over them: 1 to ${mostInstances}`,
};

/** What a target adds to the process. */
export interface ProcessTarget {
  /** Its flags, beside the keys of the image. */
  readonly flags: readonly FlagPlan[];
  /** How the image is told what to do. Default: by the arguments of the process. */
  readonly commandLine?: CommandLine;
  /** The exit status after a second signal. Default: 128 and the signal's number. */
  readonly statusAfter?: (signal: number) => number;
  /**
   * Makes the base devices, by kind, from the flags and the texts of the keys given.
   *
   * @param fail takes what makes it senseless to go on, at any time later: it is printed, the image is asked to stop,
   * and the status is 1
   * @throws StartError for a flag that cannot be, or a missing privilege.
   */
  open(
    flags: Readonly<Record<string, string>>,
    keys: Readonly<Record<string, string>>,
    fail: (error: unknown) => void,
  ): Promise<OpenTarget>;
}

/** How an image is told what to do, where it is not by the arguments of a process. */
export interface CommandLine {
  parse(keys: ImagePlan["keys"], flags: readonly FlagPlan[]): ParsedArguments;
  /** The lines of the help: one for each key and flag. */
  describe(keys: ImagePlan["keys"], flags: readonly FlagPlan[]): string;
  /** What asks for the help: `--help`. */
  readonly help: string;
}

const ownArguments: CommandLine = {
  parse: (keys, flags) => parseArguments(process.argv.slice(2), keys, flags),
  describe: describeKeys,
  help: "--help",
};

/** What the target opened: what an {@link ImageHost} is made of, and how it ends. */
export interface OpenTarget extends Pick<ImageHost, "base" | "several" | "made"> {
  /** What the other instances are given, where there are several: see `Instance.shared`. */
  readonly shared?: unknown;
  /** What is counted, by what the numbers are of (`frames received`): summed and printed where there are several. */
  counters?(): Readonly<Record<string, number>>;
  /** Texts of keys that the target sets from its flags; they win over those given. */
  readonly keys?: Readonly<Record<string, string>>;
  /** Called once the image is over. */
  close(): Promise<void> | void;
}

/**
 * Runs an image as this process: reads its command line, opens the target's devices, runs main, and sets the exit
 * status: 0 when main ends, 1 when it throws or the image cannot start, 2 for a bad command line.
 *
 * The first SIGINT or SIGTERM aborts the image's signal; the second ends the process at once with 128 and the signal's
 * number.
 */
export async function runProcess(plan: ImagePlan, target: ProcessTarget): Promise<void> {
  const line = target.commandLine ?? ownArguments;
  const parsed = line.parse(plan.keys, target.flags);
  if (!parsed.ok) {
    complain(plan, parsed.message);
    process.exitCode = 2;
    return;
  }
  if (parsed.help) {
    process.stdout.write(`${plan.name} (target ${plan.target})\n\n${line.describe(plan.keys, target.flags)}\n`);
    return;
  }
  if (parsed.rest.length > 0) {
    complain(plan, `"${parsed.rest[0] ?? ""}" is no flag; ${line.help} lists them all`);
    process.exitCode = 2;
    return;
  }
  const statusAfter = target.statusAfter ?? ((signal) => 128 + signal);
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(statusAfter(signal === "SIGINT" ? 2 : 15));
    controller.abort(new DOMException(`the image is asked to stop (${signal})`, "AbortError"));
  };
  const abort = (): void => controller.abort(new DOMException("the image is asked to stop", "AbortError"));
  let failed = false;
  const fail = (error: unknown): void => {
    complain(plan, error);
    if (failed) return;
    failed = true;
    process.exitCode = 1;
    setTimeout(() => process.exit(1), failureBound).unref();
    controller.abort(new DOMException("the image is asked to stop (a device failed)", "AbortError"));
  };
  if (isFurtherInstance()) {
    parentPort?.on("message", abort);
    parentPort?.unref();
  } else {
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
  }
  const stalled = (): void => {
    complain(plan, "main waits for something that can never happen: nothing is left to wake it");
    process.exitCode = 1;
  };
  process.on("beforeExit", stalled);
  const further = new FurtherInstances();
  inlineDeeply();
  try {
    if (!isFurtherInstance()) countInstances(readQueues(parsed.flags));
    const opened = await target.open(parsed.flags, parsed.keys, fail);
    try {
      const { index, count } = instance();
      if (index === 0) further.start(count, opened.shared, fail);
      await runImage(plan, {
        base: opened.base,
        ...(opened.several === undefined ? {} : { several: opened.several }),
        ...(opened.made === undefined ? {} : { made: opened.made.bind(opened) }),
        keys: { ...parsed.keys, ...opened.keys },
        signal: controller.signal,
        report: (error) => complain(plan, error),
      });
      // An image is over when all of it is.
      if (!controller.signal.aborted) await further.ended();
    } finally {
      const counters = opened.counters?.() ?? {};
      await further.stop();
      if (isFurtherInstance()) tell({ counters });
      else if (further.reports.length > 0) printSums([{ counters }, ...further.reports]);
      await opened.close();
    }
  } catch (error) {
    // A main that stops by passing on the reason of its signal has stopped as it was asked to.
    if (!(controller.signal.aborted && error === controller.signal.reason)) {
      complain(plan, error);
      process.exitCode = error instanceof KeyError ? 2 : 1;
    }
  } finally {
    process.off("beforeExit", stalled);
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
  // Whatever the application left open would keep the process alive.
  setTimeout(() => process.exit(), lastBound).unref();
}

/** @throws StartError */
function readQueues(flags: Readonly<Record<string, string>>): number {
  const text = flags[queuesFlag.name];
  if (text === undefined) return 1;
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= mostInstances) return count;
  throw new StartError(`--${queuesFlag.name}: "${text}" is not an integer from 1 to ${mostInstances}`);
}

function tell(report: InstanceReport): void {
  parentPort?.postMessage(report);
}

/** A line on stderr for each counter: `frames received: 300 (100 + 200)`. */
function printSums(reports: readonly InstanceReport[]): void {
  for (const name of Object.keys(reports[0]?.counters ?? {})) {
    const each = reports.map(({ counters }) => counters[name] ?? 0);
    const sum = each.reduce((total, count) => total + count, 0);
    process.stderr.write(`${name}: ${sum} (${each.join(" + ")})\n`);
  }
}

function complain(plan: ImagePlan, error: unknown): void {
  process.stderr.write(`${plan.name}: ${textOf(error)}\n`);
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // These say all in words; a stack would point into the target.
  if (error instanceof KeyError || error instanceof StartError) return error.message;
  if (error instanceof FlowError && environmental.has(error.kind)) return error.message;
  if (error instanceof DeviceError) {
    return error.cause instanceof StartError ? error.message : (error.stack ?? error.message);
  }
  return error.stack ?? error.message;
}
