import type { World } from "./world.ts";

/**
 * What an application's `sim.ts` exports as `scenario`: it makes hosts, runs tasks on them, and throws when something
 * is not as it should be. The run ends when it and all tasks have ended.
 */
export type Scenario = (world: World) => void | Promise<void>;

/** What a scenario's module may export as `options`: what its runs do without being asked on the command line. */
export interface ScenarioOptions {
  /** Print the ladder of the run, as `--timeline` does. */
  readonly timeline?: boolean;
  /** Whether hosts have IPv6 that are not told otherwise. Default `on`. */
  readonly ipv6?: "on" | "off";
}

/** What runs without a scenario: the application alone, on one host. */
export const aloneScenario: Scenario = (world) => {
  world.image("host");
};

/**
 * The scenario in an application's module.
 *
 * @throws TypeError when it exports none.
 */
export function scenarioOf(module: unknown): Scenario {
  if (typeof module === "object" && module !== null && "scenario" in module && typeof module.scenario === "function") {
    // as: the application's types are checked against World when the image is built
    return module.scenario as Scenario;
  }
  throw new TypeError("the scenario's module exports no function `scenario(world)`");
}

/** The options that the application's module gives to its runs. */
export function optionsOf(module: unknown): ScenarioOptions {
  if (typeof module !== "object" || module === null || !("options" in module)) return {};
  // as: the application's types are checked against ScenarioOptions when it says so
  return module.options as ScenarioOptions;
}
