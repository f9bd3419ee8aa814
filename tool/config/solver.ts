import { didYouMean } from "@tesserae/image/nearest";
import semver from "semver";
import type { Implementation, Need } from "./implementation.ts";

/** A device that the application declared. */
export interface Wanted {
  readonly id: string;
  readonly kind: string;
  readonly implementation?: string | undefined;
  readonly version?: string | undefined;
  readonly requires: readonly string[];
  readonly with: Readonly<Record<string, string>>;
}

export interface Problem {
  readonly target: string;
  /** Every target there is, for advice. */
  readonly targets: readonly string[];
  readonly wanted: readonly Wanted[];
  /** In order of preference. */
  readonly implementations: readonly Implementation[];
  /** The version of an implementation as installed, or `undefined` when its package is not. */
  versionOf(implementation: Implementation): string | undefined;
}

/** A device with its implementation. */
export interface Chosen {
  readonly id: string;
  readonly kind: string;
  readonly implementation: Implementation;
  readonly version: string;
  /** Parameter → id of the device passed. */
  readonly needs: Readonly<Record<string, string>>;
  /** Whether the application declared it; else another device needs it. */
  readonly declared: boolean;
}

export type Solution =
  | { readonly ok: true; /** Each after what it needs. */ readonly devices: readonly Chosen[] }
  | {
      readonly ok: false;
      /** The device at which it fails. */
      readonly device: string;
      readonly message: string;
      /** Changes each of which by itself resolves this conflict. */
      readonly fixes: readonly string[];
    };

/** Steps of one search, and devices in one image, before it is given up. */
const mostSteps = 20_000;
const mostDevices = 200;

/**
 * Chooses one implementation for every device wanted and for every device that those need, honouring target,
 * versions, capabilities, conflicts and limits; the first in order of preference that fits.
 *
 * A backtracking search: the graphs have tens of devices with a handful of implementations each. When nothing fits,
 * the rules at fault are found by leaving out one after another, and the message says what they are.
 */
export function solve(problem: Problem): Solution {
  const search = new Search(problem, new Set());
  const devices = search.run();
  return devices === undefined ? explain(problem, search) : { ok: true, devices };
}

/** Something that can rule an implementation out, and that somebody could change. */
interface Rule {
  readonly id: string;
  /** The change that would take the rule away; a text without a full stop. */
  readonly fix: string;
}

/** A rule about whatever implementation a device gets. */
interface Demand {
  readonly rule: Rule;
  /** Why this implementation will not do, in words that follow its name; `undefined` when it will. */
  refuses(implementation: Implementation, version: string): string | undefined;
}

interface Node {
  readonly id: string;
  readonly kind: string;
  readonly wanted: Wanted | undefined;
  /** The device that needs it, when the application did not declare it. */
  readonly neededBy: string | undefined;
}

interface State {
  readonly chosen: ReadonlyMap<string, Chosen>;
  readonly open: readonly Node[];
  readonly demands: ReadonlyMap<string, readonly Demand[]>;
}

class Search {
  readonly problem: Problem;
  readonly dropped: ReadonlySet<string>;
  /** Every rule that ruled something out. */
  readonly rules: Map<string, Rule> = new Map<string, Rule>();
  /** The first device found to have no implementation left, with the reason for each. */
  deadEnd: { readonly node: Node; readonly reasons: readonly string[] } | undefined;
  #steps = 0;
  readonly #byKind = new Map<string, Implementation[]>();

  constructor(problem: Problem, dropped: ReadonlySet<string>) {
    this.problem = problem;
    this.dropped = dropped;
    for (const each of problem.implementations) {
      if (standsAside(each, problem)) continue;
      const list = this.#byKind.get(each.kind) ?? [];
      list.push(each);
      this.#byKind.set(each.kind, list);
    }
  }

  run(): readonly Chosen[] | undefined {
    const demands = new Map<string, readonly Demand[]>();
    for (const wanted of this.problem.wanted) demands.set(wanted.id, demandsOf(wanted));
    const open = this.problem.wanted.map((wanted) => ({
      id: wanted.id,
      kind: wanted.kind,
      wanted,
      neededBy: undefined,
    }));
    return this.#step({ chosen: new Map(), open, demands });
  }

  #step(state: State): readonly Chosen[] | undefined {
    const [node, ...rest] = state.open;
    if (node === undefined) return inOrder(state.chosen);
    if (++this.#steps > mostSteps || state.chosen.size > mostDevices) return undefined;
    const reasons: string[] = [];
    for (const implementation of this.#byKind.get(node.kind) ?? []) {
      const refused = this.#refusal(state, node, implementation);
      if (refused !== undefined) {
        reasons.push(`"${implementation.name}" ${refused}`);
        continue;
      }
      const next = this.#choose(state, node, implementation, rest);
      if (typeof next === "string") {
        reasons.push(`"${implementation.name}" ${next}`);
        continue;
      }
      const found = this.#step(next);
      if (found !== undefined) return found;
      reasons.push(`"${implementation.name}" leads to a device that cannot be made`);
    }
    this.deadEnd ??= { node, reasons };
    return undefined;
  }

  /** Notes that `rule` speaks against something; false when the rule is left out of this search. */
  #holds(rule: Rule): boolean {
    this.rules.set(rule.id, rule);
    return !this.dropped.has(rule.id);
  }

  #refusal(state: State, node: Node, implementation: Implementation): string | undefined {
    const { target } = this.problem;
    const runsOn = implementation.targets;
    if (runsOn !== undefined && !runsOn.includes(target) && this.#holds({ id: "target", fix: "" })) {
      return `runs on ${runsOn.join(" and ")} only`;
    }
    const version = this.#version(implementation);
    if (version === undefined) return `is in ${packageOf(implementation.module ?? "")}, which is not installed`;
    for (const demand of state.demands.get(node.id) ?? []) {
      const why = demand.refuses(implementation, version);
      if (why !== undefined && this.#holds(demand.rule)) return why;
    }
    if (
      node.wanted === undefined &&
      Object.values(implementation.needs ?? {}).some((need) => kindOf(need) === node.kind)
    ) {
      return `wraps another ${node.kind}, and is taken only for a declared device`;
    }
    let same = 0;
    for (const other of state.chosen.values()) {
      if (other.implementation === implementation) same++;
      const names = [other.implementation.name, implementation.name];
      const clash =
        other.implementation.conflicts?.includes(implementation.name) === true ||
        implementation.conflicts?.includes(other.implementation.name) === true;
      const fix = `take another implementation for device "${other.id}" or for device "${node.id}"`;
      if (clash && this.#holds({ id: `conflict:${names.sort().join(":")}`, fix })) {
        return `cannot be in one image with "${other.implementation.name}" (device "${other.id}")`;
      }
    }
    const most = implementation.limit ?? Infinity;
    const fix = `declare at most ${most} of kind "${node.kind}"`;
    if (same >= most && this.#holds({ id: `limit:${node.kind}:${implementation.name}`, fix })) {
      return `can be there only ${most === 1 ? "once" : `${most} times`} in an image`;
    }
    return undefined;
  }

  #version(implementation: Implementation): string | undefined {
    const version = this.problem.versionOf(implementation);
    if (version !== undefined) return version;
    const name = packageOf(implementation.module ?? "");
    return this.#holds({ id: `package:${name}`, fix: `run: npm install ${name}` }) ? undefined : "0.0.0";
  }

  /** The state with `implementation` for `node`, or why what it needs cannot be given to it. */
  #choose(state: State, node: Node, implementation: Implementation, rest: readonly Node[]): State | string {
    const needs: Record<string, string> = {};
    const open = [...rest];
    const demands = new Map(state.demands);
    for (const [parameter, need] of Object.entries(implementation.needs ?? {})) {
      const found = this.#provider(state, open, node, parameter, kindOf(need));
      if ("reason" in found) return found.reason;
      needs[parameter] = found.id;
      const known = state.chosen.get(found.id);
      if (known === undefined && found.id !== node.id && !open.some((each) => each.id === found.id)) {
        open.push({ id: found.id, kind: kindOf(need), wanted: undefined, neededBy: node.id });
      }
      if (typeof need === "string") continue;
      const more = demandsOfNeed(need, node.id, implementation, parameter);
      for (const demand of known === undefined ? [] : more) {
        const why = demand.refuses(known?.implementation ?? implementation, known?.version ?? "");
        if (why !== undefined && this.#holds(demand.rule)) {
          return `needs another "${found.id}": "${known?.implementation.name ?? ""}" ${why}`;
        }
      }
      demands.set(found.id, [...(demands.get(found.id) ?? []), ...more]);
    }
    const chosen = new Map(state.chosen);
    const version = this.problem.versionOf(implementation) ?? "0.0.0";
    chosen.set(node.id, { ...pick(node), implementation, version, needs, declared: node.wanted !== undefined });
    if (dependsOnItself(node.id, chosen)) return "would need itself";
    return { chosen, open, demands };
  }

  /** Which device goes to a parameter: the one named, the only one of its kind, or one made for the purpose. */
  #provider(
    state: State,
    open: readonly Node[],
    node: Node,
    parameter: string,
    kind: string,
  ): { readonly id: string } | { readonly reason: string } {
    const { wanted } = this.problem;
    const named = node.wanted?.with[parameter];
    if (named !== undefined) {
      const target = wanted.find((each) => each.id === named);
      if (target?.kind === kind) return { id: named };
      const ids = wanted.filter((each) => each.kind === kind).map((each) => each.id);
      const fix = `correct with: { ${parameter}: "${named}" } of device "${node.id}"${didYouMean(named, ids)}`;
      if (this.#holds({ id: `with:${node.id}:${parameter}`, fix })) {
        const what = target === undefined ? "is not declared" : `is of kind "${target.kind}"`;
        return { reason: `needs a device of kind "${kind}" as ${parameter}, and "${named}" ${what}` };
      }
    }
    const declared = wanted.filter((each) => each.kind === kind && each.id !== node.id);
    const [first, second] = declared;
    // With a wrong name left out, which one is meant is not the question.
    if (first !== undefined && second !== undefined && named === undefined) {
      const ids = declared.map((each) => `"${each.id}"`).join(", ");
      const fix = `say which, as with: { ${parameter}: "${first.id}" } in device "${node.id}"`;
      if (this.#holds({ id: `which:${node.id}:${parameter}`, fix })) {
        return { reason: `needs one device of kind "${kind}" as ${parameter}, and there are ${ids}` };
      }
    }
    if (first !== undefined) return { id: first.id };
    const shared = [...state.chosen.values(), ...open].find(
      (each) => each.kind === kind && each.id !== node.id && !wanted.some((one) => one.id === each.id),
    );
    if (shared !== undefined) return { id: shared.id };
    let id = kind;
    const taken = (name: string): boolean =>
      state.chosen.has(name) ||
      name === node.id ||
      open.some((each) => each.id === name) ||
      wanted.some((each) => each.id === name);
    for (let count = 2; taken(id); count++) id = `${kind}${count}`;
    return { id };
  }
}

/** Whether an implementation is for other targets, and one of its name is for this one: nobody asks for it then. */
function standsAside({ name, kind, targets: own }: Implementation, { target, implementations }: Problem): boolean {
  if (own?.includes(target) !== false) return false;
  return implementations.some(
    (each) => each.name === name && each.kind === kind && each.targets?.includes(target) === true,
  );
}

function pick(node: Node): { readonly id: string; readonly kind: string } {
  return { id: node.id, kind: node.kind };
}

function kindOf(need: string | Need): string {
  return typeof need === "string" ? need : need.kind;
}

/** `@tesserae/kv` of `@tesserae/kv/memory`. */
export function packageOf(module: string): string {
  return module.split("/", module.startsWith("@") ? 2 : 1).join("/");
}

function demandsOf(wanted: Wanted): readonly Demand[] {
  const { id, implementation, version, requires } = wanted;
  const demands: Demand[] = [];
  if (implementation !== undefined) {
    demands.push({
      rule: { id: `choice:${id}`, fix: `take implementation: "${implementation}" out of device "${id}"` },
      refuses: (each) => (each.name === implementation ? undefined : `is not "${implementation}", which is asked for`),
    });
  }
  if (version !== undefined) {
    demands.push({
      rule: { id: `version:${id}`, fix: `change version: "${version}" of device "${id}"` },
      refuses: (_each, has) => outside(has, version),
    });
  }
  for (const capability of requires) {
    demands.push({
      rule: { id: `requires:${id}:${capability}`, fix: `take "${capability}" out of requires of device "${id}"` },
      refuses: (each) => lacks(each, capability),
    });
  }
  return demands;
}

function demandsOfNeed(need: Need, id: string, by: Implementation, parameter: string): readonly Demand[] {
  const fix = `take another implementation than "${by.name}" for device "${id}"`;
  const demands: Demand[] = [];
  const { version } = need;
  if (version !== undefined) {
    demands.push({
      rule: { id: `need:${id}:${by.name}:${parameter}:version`, fix },
      refuses: (_each, has) => {
        const why = outside(has, version);
        return why === undefined ? undefined : `${why} that "${by.name}" (device "${id}") needs`;
      },
    });
  }
  for (const capability of need.requires ?? []) {
    demands.push({
      rule: { id: `need:${id}:${by.name}:${parameter}:${capability}`, fix },
      refuses: (each) => {
        const why = lacks(each, capability);
        return why === undefined ? undefined : `${why}, which "${by.name}" (device "${id}") needs`;
      },
    });
  }
  return demands;
}

function outside(version: string, range: string): string | undefined {
  return semver.satisfies(version, range, { includePrerelease: true })
    ? undefined
    : `is version ${version}, outside the range ${range}`;
}

function lacks(implementation: Implementation, capability: string): string | undefined {
  return implementation.provides?.includes(capability) === true ? undefined : `is not ${capability}`;
}

function dependsOnItself(id: string, chosen: ReadonlyMap<string, Chosen>): boolean {
  const seen = new Set<string>();
  const visit = (each: string): boolean => {
    for (const next of Object.values(chosen.get(each)?.needs ?? {})) {
      if (next === id) return true;
      if (seen.has(next)) continue;
      seen.add(next);
      if (visit(next)) return true;
    }
    return false;
  };
  return visit(id);
}

/** Each device after what it needs, otherwise in the order of declaration. There is no cycle. */
function inOrder(chosen: ReadonlyMap<string, Chosen>): readonly Chosen[] {
  const done = new Set<string>();
  const order: Chosen[] = [];
  const visit = (device: Chosen): void => {
    if (done.has(device.id)) return;
    done.add(device.id);
    for (const id of Object.values(device.needs)) {
      const needed = chosen.get(id);
      if (needed !== undefined) visit(needed);
    }
    order.push(device);
  };
  for (const device of chosen.values()) visit(device);
  return order;
}

function explain(problem: Problem, failed: Search): Solution {
  const unknown = problem.wanted.find((each) => !problem.implementations.some((one) => one.kind === each.kind));
  if (unknown !== undefined) {
    const kinds = new Set(problem.implementations.map((each) => each.kind));
    return {
      ok: false,
      device: unknown.id,
      message: `nothing implements kind "${unknown.kind}"${didYouMean(unknown.kind, kinds)}`,
      fixes: [`add an implementation of kind "${unknown.kind}" to implementations`],
    };
  }
  // Leaves out rules one by one as long as it still fails: those that stay are at fault together.
  const dropped = new Set<string>();
  const kept = new Map<string, Rule>();
  let last = failed;
  for (let pending = [...failed.rules.values()]; pending.length > 0;) {
    for (const rule of pending) {
      const search = new Search(problem, new Set([...dropped, rule.id]));
      if (search.run() !== undefined) kept.set(rule.id, rule);
      else dropped.add(rule.id);
    }
    last = new Search(problem, dropped);
    last.run();
    pending = [...last.rules.values()].filter((rule) => !kept.has(rule.id) && !dropped.has(rule.id));
  }
  const fixes: string[] = [];
  for (const rule of kept.values()) {
    if (rule.id !== "target") fixes.push(rule.fix);
    else {
      const others = problem.targets.filter((target) => new Search({ ...problem, target }, dropped).run());
      if (others.length > 0) fixes.push(`build for ${others.map((each) => `--target ${each}`).join(" or ")}`);
    }
  }
  // What the search for the fault leaves out may take away a reason: say then what stood in the way at first.
  const { node, reasons } = last.deadEnd ?? failed.deadEnd ?? { node: undefined, reasons: [] };
  const id = node?.wanted?.id ?? node?.neededBy ?? node?.id ?? "";
  const what = `device "${node?.id ?? ""}"${node?.wanted === undefined ? ` of kind "${node?.kind ?? ""}", which "${id}" needs,` : ""}`;
  const message = `nothing fits ${what} on target ${problem.target}: ${reasons.length === 0 ? "there is no implementation" : list(reasons)}`;
  return { ok: false, device: id, message, fixes };
}

function list(parts: readonly string[]): string {
  return parts.length < 2 ? (parts[0] ?? "") : `${parts.slice(0, -1).join(", ")}, and ${parts.at(-1) ?? ""}`;
}
