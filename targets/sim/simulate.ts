import type { ImagePlan } from "@tesserae/image/plan";
import type { Decision } from "./choices.ts";
import type { Observer } from "./event.ts";
import { InvariantError } from "./invariants.ts";
import type { PathSettings } from "./link-settings.ts";
import { aloneScenario, optionsOf, scenarioOf } from "./scenario.ts";
import { StuckError } from "./run-loop.ts";
import { createWorld, type RunSummary, type World } from "./world.ts";

/** The wall clock of every run begins here: 2026-01-01T00:00:00Z. */
export const epoch = 1_767_225_600_000;

/** What one run is made of. */
export interface RunRequest {
  readonly plan: ImagePlan;
  /** Texts of run-time keys. */
  readonly keys: Readonly<Record<string, string>>;
  readonly seed: string;
  /** The decisions to take; default: the seed's. */
  readonly choices?: ReadonlyMap<string, number> | undefined;
  readonly link: PathSettings;
  /** Virtual milliseconds after which it stops. */
  readonly until?: number | undefined;
  readonly observers: readonly Observer[];
  /** Whether SIGINT and SIGTERM end the run. */
  readonly interruptible: boolean;
}

/** Why a run failed. */
export interface RunFailure {
  /** With the stack, where there is one. */
  readonly text: string;
  /** The same for runs that fail in the same way: without numbers, which differ from run to run. */
  readonly signature: string;
}

export interface RunOutcome {
  readonly failure: RunFailure | undefined;
  /** Undefined when it failed before it ended. */
  readonly end: RunSummary["end"] | undefined;
  readonly summary: RunSummary;
  readonly decisions: readonly Decision[];
  readonly counters: Readonly<Record<string, number>>;
}

/**
 * Runs the scenario of a plan, or without one its application alone on one host, in a world of its own, and closes the
 * world. What nobody catches fails the run, and so does what is left over when everything is closed.
 */
export async function simulate(request: RunRequest): Promise<RunOutcome> {
  const { plan, keys, seed, choices, link, until } = request;
  const { ipv6 = "on" } = optionsOf(plan.scenario);
  const world = createWorld({ seed, link, plan, keys, epoch, ipv6, ...(choices === undefined ? {} : { choices }) });
  let end: RunSummary["end"] | undefined;
  let failure: RunFailure | undefined;
  const fail = (error: unknown): void => {
    failure ??= { text: textOf(error), signature: signatureOf(error) };
  };
  const interrupt = (): void => world.interrupt();
  // What nobody catches ends the run at once, as it would end a process.
  const crash = (error: unknown): void => {
    fail(error);
    world.interrupt();
  };
  if (request.interruptible) for (const name of ["SIGINT", "SIGTERM"]) process.once(name, interrupt);
  process.on("unhandledRejection", crash);
  process.on("uncaughtException", crash);
  let summary: RunSummary;
  try {
    world.audit();
    for (const observer of request.observers) world.observe(observer);
    start(world, plan);
    summary = await world.run(until === undefined ? {} : { until });
    end = summary.end;
  } catch (error) {
    fail(error);
    summary = world.summary();
  }
  // Closing is no part of what the seed's run came to: its trace ends here.
  const { decisions } = world.choices;
  try {
    await world.close();
    const leaks = failure === undefined && end !== "interrupted" ? world.leaks() : [];
    if (leaks.length > 0) throw new LeakError(leaks);
  } catch (error) {
    fail(error);
  }
  process.off("unhandledRejection", crash);
  process.off("uncaughtException", crash);
  if (request.interruptible) for (const name of ["SIGINT", "SIGTERM"]) process.off(name, interrupt);
  return { failure, end, summary, decisions, counters: world.counters };
}

/** Something was left over when all was closed. */
export class LeakError extends Error {
  override readonly name = "LeakError";

  constructor(leaks: readonly string[]) {
    super(`left over when everything was closed: ${leaks.join("; ")}`);
  }
}

function start(world: World, plan: ImagePlan): void {
  if (plan.scenario === undefined) {
    // Not a task: an application alone may serve for ever, and is done when nothing more happens.
    void aloneScenario(world);
    return;
  }
  const scenario = scenarioOf(plan.scenario);
  world.task("scenario", () => scenario(world));
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** What failures of one kind have in common. */
export function signatureOf(error: unknown): string {
  if (error instanceof InvariantError) return `${error.name}: ${error.invariant}`;
  if (error instanceof StuckError) return `${error.name}: ${error.kind}`;
  const [line = ""] = (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).split("\n");
  return line.replace(/\d+(\.\d+)?/g, "0").slice(0, 300);
}
