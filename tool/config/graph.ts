import type { KeyPlan, KeyValue } from "@tesserae/image/key";
import { describeType, flagOf, parseKey } from "@tesserae/image/key";
import { didYouMean } from "@tesserae/image/nearest";
import semver from "semver";
import type { Config } from "./config.ts";
import type { Json, Slot } from "./device.ts";
import type { Diagnostic } from "./diagnostic.ts";
import type { Implementation } from "./implementation.ts";
import type { Key } from "./key.ts";
import type { Location } from "./location.ts";
import { solve, type Wanted } from "./solver.ts";
import { targets, type Target } from "./target.ts";

/** A configuration with an implementation for every device: all that an image is made from. */
export interface Graph {
  readonly name: string;
  readonly target: string;
  /** Each after what it needs. */
  readonly devices: readonly GraphDevice[];
  /** The property of main's argument → device id. */
  readonly bindings: Readonly<Record<string, string>>;
  readonly keys: readonly GraphKey[];
  /** The build-time keys, by name. */
  readonly constants: Readonly<Record<string, KeyValue>>;
}

export interface GraphDevice {
  readonly id: string;
  readonly kind: string;
  readonly implementation: Implementation;
  readonly version: string;
  readonly needs: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, GraphOption>>;
  /** Whether the application declared it; else another device needs it. */
  readonly declared: boolean;
}

export type GraphOption =
  | { readonly value: Json }
  | { readonly key: string }
  /** A folder, relative to the configuration, whose files are compiled in. */
  | { readonly files: string };

/** A run-time key, and who takes it. */
export interface GraphKey extends KeyPlan {
  /** `main`, or the id of a device. */
  readonly of: string;
  /** The default is this path, relative to the configuration's folder. */
  readonly path?: string;
}

export interface GraphRequest {
  readonly config: Config;
  readonly target: Target;
  /** Implementations in order of preference; those of the configuration are asked first. */
  readonly catalogue: readonly Implementation[];
  /** Device id or kind → the implementation to take, as given on the command line. */
  readonly choices?: Readonly<Record<string, string>>;
  /** The texts of build-time keys that were given, by name. */
  readonly constants?: Readonly<Record<string, string>>;
  versionOf(implementation: Implementation): string | undefined;
  /** The place of a declaration. */
  locate(trace: string): Location | undefined;
}

export type GraphResult =
  | { readonly ok: true; readonly graph: Graph }
  | {
      readonly ok: false;
      readonly diagnostics: readonly Diagnostic[];
      /** Whether every declaration is right by itself, and no choice of implementations fits them all. */
      readonly unsolvable: boolean;
    };

/** Checks a configuration, chooses its implementations, and joins it all. Everything wrong is reported at once. */
export function createGraph(request: GraphRequest): GraphResult {
  const { config, target } = request;
  const implementations = [...config.implementations, ...request.catalogue];
  const diagnostics = check(request, implementations);
  const constants = foldConstants(request, diagnostics);
  if (diagnostics.length > 0) return { ok: false, diagnostics, unsolvable: false };
  const slots = Object.entries(config.devices);
  const solution = solve({
    target: target.name,
    targets: targets.map((each) => each.name),
    wanted: slots.map(([id, slot]) => wantedOf(id, slot, request.choices ?? {})),
    implementations,
    versionOf: (each) => request.versionOf(each),
  });
  if (!solution.ok) {
    const trace = config.devices[solution.device]?.trace;
    const location = trace === undefined ? undefined : request.locate(trace);
    const { fixes, message } = solution;
    const fix = fixes.length === 0 ? undefined : `to fix it, ${fixes.join(";\nor ")}`;
    return { ok: false, diagnostics: [diagnostic(message, location, fix)], unsolvable: true };
  }
  const keys: GraphKey[] = Object.entries(config.keys)
    .filter(([, key]) => key.stage === "run")
    .map(([name, key]) => ({
      name,
      type: key.type,
      ...(key.default === undefined ? {} : { default: key.default }),
      doc: key.doc,
      of: "main",
    }));
  const devices = solution.devices.map((chosen): GraphDevice => {
    const { id, kind, implementation, version, needs, declared } = chosen;
    const slot = config.devices[id];
    const taken = new Set([...keys.map((each) => each.name), ...Object.keys(constants)]);
    const options = optionsOf(id, implementation, slot, taken, keys, (message, fix) =>
      diagnostics.push(diagnostic(message, slot === undefined ? undefined : request.locate(slot.trace), fix)),
    );
    return { id, kind, implementation, version, needs, options, declared };
  });
  if (diagnostics.length > 0) return { ok: false, diagnostics, unsolvable: false };
  const bindings = Object.fromEntries(slots.map(([id]) => [id, id]));
  return { ok: true, graph: { name: config.name, target: target.name, devices, bindings, keys, constants } };
}

function wantedOf(id: string, slot: Slot, choices: Readonly<Record<string, string>>): Wanted {
  const { kind, version, requires, with: wiring } = slot;
  const implementation = choices[id] ?? choices[kind] ?? slot.implementation;
  return { id, kind, implementation, version, requires, with: wiring };
}

function optionsOf(
  id: string,
  implementation: Implementation,
  slot: Slot | undefined,
  taken: ReadonlySet<string>,
  keys: GraphKey[],
  refuse: (message: string, fix?: string) => void,
): Readonly<Record<string, GraphOption>> {
  const options: Record<string, GraphOption> = {};
  const given = slot?.options ?? {};
  for (const [parameter, option] of Object.entries(implementation.options ?? {})) {
    if (option.from === "declaration") {
      const value = given[option.option] ?? option.default;
      if (value === undefined) refuse(`device "${id}" (${implementation.name}) needs the option "${option.option}"`);
      else options[parameter] = { value };
      continue;
    }
    if (option.from === "files" || option.from === "path") {
      const value = given[option.option];
      if (typeof value !== "string") {
        refuse(`device "${id}" (${implementation.name}) needs the option "${option.option}", a path`);
      } else if (option.from === "files") options[parameter] = { files: value };
      else {
        const name = unused(prefixed(id, option.key), id, taken);
        keys.push({ name, type: { kind: "string" }, doc: option.doc, of: id, path: value });
        options[parameter] = { key: name };
      }
      continue;
    }
    const name = unused(option.key, id, taken);
    const own = given[option.key] ?? given[parameter];
    const text = own === undefined ? option.default : typeof own === "string" ? own : JSON.stringify(own);
    const parsed = text === undefined ? undefined : parseKey(option.type, text);
    if (parsed?.ok === false) {
      refuse(`option "${parameter}" of device "${id}": ${parsed.message}`, `allowed: ${describeType(option.type)}`);
    }
    const { type, doc } = option;
    keys.push({ name, type, ...(text === undefined ? {} : { default: text }), doc, of: id });
    options[parameter] = { key: name };
  }
  return options;
}

/** A device's key keeps its plain name unless another has it: then the device's id goes in front. */
function unused(name: string, id: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  let longer = prefixed(id, name);
  for (let count = 2; taken.has(longer); count++) longer = `${prefixed(id, name)}${String(count)}`;
  return longer;
}

function prefixed(id: string, name: string): string {
  return id + name.charAt(0).toUpperCase() + name.slice(1);
}

function diagnostic(message: string, location: Location | undefined, fix?: string): Diagnostic {
  return { message, ...(location === undefined ? {} : { location }), ...(fix === undefined ? {} : { fix }) };
}

/** What TypeScript cannot know, or did not check. */
function check(request: GraphRequest, implementations: readonly Implementation[]): Diagnostic[] {
  const { config } = request;
  const found: Diagnostic[] = [];
  const refuse = (trace: string, message: string, fix?: string): void => {
    found.push(diagnostic(message, request.locate(trace), fix));
  };
  if (typeof config.name !== "string" || !/^[a-z][a-z0-9-]{0,62}$/.test(config.name)) {
    refuse(config.trace, `name "${config.name}" is not an image's name`, "write lower-case letters, digits and dashes");
  }
  if (typeof config.main !== "string") refuse(config.trace, "main is missing", `write main: "./main.ts"`);
  for (const [name, key] of Object.entries<Key | undefined>(config.keys)) {
    if (key?.declares !== "key")
      refuse(config.trace, `keys.${name} is not a key`, "write key.string({ … }) or the like");
    else if (!/^[a-z][A-Za-z0-9]*$/.test(name)) {
      refuse(key.trace, `"${name}" is not a key's name`, "write a lower-case letter, then letters and digits");
    } else if (name === "help") refuse(key.trace, `a key cannot be called "help": --help is taken`);
  }
  for (const [id, slot] of Object.entries<Slot | undefined>(config.devices)) {
    if (slot?.declares !== "device") {
      refuse(config.trace, `devices.${id} is not a device`, "write device.stack(), device.log() or the like");
      continue;
    }
    checkSlot(id, slot, implementations, (message, fix) => refuse(slot.trace, message, fix));
  }
  for (const each of config.implementations) {
    if (each.version !== undefined && semver.valid(each.version) === null) {
      refuse(each.trace ?? config.trace, `"${each.version}" is not a version`, "write it as 1.2.3");
    }
  }
  return found;
}

function checkSlot(
  id: string,
  slot: Slot,
  implementations: readonly Implementation[],
  refuse: (message: string, fix?: string) => void,
): void {
  if (!/^[A-Za-z_$][\w$]*$/.test(id)) {
    refuse(`"${id}" is not a device's name`, "write a letter, then letters and digits");
  } else if (id === "keys" || id === "signal") refuse(`main gets something else as "${id}"`, "rename the device");
  const same = implementations.filter((each) => each.kind === slot.kind);
  if (same.length === 0) {
    const hint = didYouMean(slot.kind, new Set(implementations.map((each) => each.kind)));
    refuse(`nothing implements kind "${slot.kind}"${hint}`, `add an implementation of it to implementations`);
  }
  if (slot.version !== undefined && semver.validRange(slot.version) === null) {
    refuse(`"${slot.version}" is not a range of versions`, `write it as in package.json: "^1.2"`);
  }
  const names = same.map((each) => each.name);
  if (slot.implementation !== undefined && names.length > 0 && !names.includes(slot.implementation)) {
    const known = names.map((each) => `"${each}"`).join(", ");
    const hint = didYouMean(slot.implementation, names);
    refuse(`kind "${slot.kind}" has no implementation "${slot.implementation}"${hint}`, `allowed: ${known}`);
  }
  const options = new Set<string>();
  for (const each of same) {
    for (const [parameter, option] of Object.entries(each.options ?? {})) {
      options.add(option.from === "key" ? option.key : option.option);
      if (option.from === "key") options.add(parameter);
    }
  }
  // The builders' own options are known whether or not an implementation here reads them.
  for (const known of builderOptions[slot.kind] ?? []) options.add(known);
  for (const option of Object.keys(slot.options)) {
    if (same.length === 0 || options.has(option)) continue;
    refuse(`kind "${slot.kind}" has no option "${option}"${didYouMean(option, options)}`);
  }
  const parameters = new Set(same.flatMap((each) => Object.keys(each.needs ?? {})));
  for (const parameter of Object.keys(slot.with)) {
    if (same.length === 0 || parameters.has(parameter)) continue;
    refuse(`no implementation of "${slot.kind}" needs "${parameter}"${didYouMean(parameter, parameters)}`);
  }
}

const builderOptions: Readonly<Record<string, readonly string[]>> = {
  stack: ["ipv4", "ipv6"],
  netif: ["name"],
  resolver: ["names"],
  files: ["folder"],
  block: ["path", "sectors", "sectorSize"],
  log: ["level"],
};

function foldConstants(request: GraphRequest, found: Diagnostic[]): Readonly<Record<string, KeyValue>> {
  const constants: Record<string, KeyValue> = {};
  const given = request.constants ?? {};
  for (const [name, key] of Object.entries<Key | undefined>(request.config.keys)) {
    if (key?.declares !== "key" || key.stage !== "build") continue;
    const text = given[name] ?? key.default;
    if (text === undefined) {
      const fix = `build with --${flagOf(name)}: ${describeType(key.type)}`;
      found.push(diagnostic(`the build-time key "${name}" has no value`, request.locate(key.trace), fix));
      continue;
    }
    const parsed = parseKey(key.type, text);
    if (parsed.ok) constants[name] = parsed.value;
    else found.push({ message: `--${flagOf(name)}: ${parsed.message}` });
  }
  return constants;
}
