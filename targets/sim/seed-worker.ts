import type { ImagePlan } from "@tesserae/image/plan";
import { parseChoices, type Decision } from "./choices.ts";
import type { PathSettings } from "./link-settings.ts";
import { simulate, type RunFailure } from "./simulate.ts";

/** What the parent process asks for: one run. */
export interface SeedRequest {
  readonly seed: string;
  /** As `parseChoices` reads them; absent: what the seed decides. */
  readonly choices?: string;
}

/** What it gets. */
export interface SeedReport {
  readonly seed: string;
  readonly failure: RunFailure | undefined;
  /** Of a run that failed. */
  readonly decisions: readonly Decision[];
  /** Virtual milliseconds. */
  readonly time: number;
  readonly events: number;
  readonly frames: number;
  readonly hash: string;
  readonly counters: Readonly<Record<string, number>>;
}

/** What all runs of one process have in common. */
export interface SeedWorkerSettings {
  readonly keys: Readonly<Record<string, string>>;
  readonly link: PathSettings;
  readonly until: number | undefined;
}

/**
 * Runs what the parent process asks for, one run after the other, until it hangs up. Nothing is printed.
 *
 * @throws TypeError when there is no parent to ask.
 */
export async function serveSeeds(plan: ImagePlan, settings: SeedWorkerSettings): Promise<void> {
  if (process.send === undefined) throw new TypeError("--worker is for processes that tesserae sim swarm has started");
  const report = process.send.bind(process);
  let before: Promise<void> = Promise.resolve();
  process.on("message", (message: unknown) => {
    // as: the parent is of the same version of Tesserae, and this is what it sends
    const request = message as SeedRequest;
    before = before.then(async () => {
      report(await runSeed(plan, settings, request));
    });
  });
  await new Promise<void>((resolve) => process.once("disconnect", resolve));
}

async function runSeed(plan: ImagePlan, settings: SeedWorkerSettings, request: SeedRequest): Promise<SeedReport> {
  const { seed } = request;
  const choices = request.choices === undefined ? undefined : parseChoices(request.choices);
  if (typeof choices === "string") throw new TypeError(choices);
  const { failure, decisions, summary, counters } = await simulate({
    plan,
    ...settings,
    seed,
    choices,
    observers: [],
    interruptible: false,
  });
  const { time, events, frames, hash } = summary;
  return { seed, failure, decisions: failure === undefined ? [] : decisions, time, events, frames, hash, counters };
}
