import { targets } from "@tesserae/config/target";
import { didYouMean } from "@tesserae/image/nearest";
import { formats } from "@tesserae/vm-image/formats/format";
import { usage } from "./failure.ts";

/** A flag of a command. */
export interface Flag {
  readonly name: string;
  /** What stands for the value in the help; absent: the flag has none. */
  readonly value?: string;
  /** The only values there are. */
  readonly values?: readonly string[];
  /** May be given several times, or with several values with commas between them; the value has commas then. */
  readonly repeat?: boolean;
  /** The only targets that it is for. */
  readonly only?: readonly string[];
  readonly doc: string;
}

export interface Command {
  readonly name: string;
  /** `[DIRECTORY]`, `NAME`. */
  readonly argument?: string;
  readonly doc: string;
  readonly flags: readonly Flag[];
  /** Whether flags that the tool does not know belong to the image. */
  readonly imageFlags?: boolean;
}

const targetNames = targets.map((target) => target.name);
const target: Flag = { name: "target", value: "TARGET", values: targetNames, doc: "where it runs; default node" };
/** The targets of which a machine is made. */
export const machineTargets: readonly string[] = ["vm", "xen"];
const json: Flag = { name: "json", doc: "write JSON" };
const files: Flag = {
  name: "files",
  value: "HOW",
  values: ["compiled", "directory"],
  doc: "device.files: compiled into the image, or served from the folder",
};
const building: readonly Flag[] = [
  target,
  { name: "release", doc: "make the image small: no readable names" },
  { name: "no-check", doc: "do not check types" },
  files,
  {
    name: "node",
    value: "NODE",
    only: machineTargets,
    doc: "vm, xen: a version of Node.js, or the file of one for Linux on x86-64",
  },
  {
    name: "sysroot",
    value: "DIRECTORY",
    only: machineTargets,
    doc: "vm, xen: where shared libraries are taken from; default this system",
  },
  {
    name: "icu",
    value: "LANGUAGES",
    only: machineTargets,
    doc: "vm, xen: languages to keep data for, with commas, or full; default en",
  },
];
const format: Flag = {
  name: "format",
  value: "FORMAT",
  values: formats,
  repeat: true,
  only: machineTargets,
  doc: "vm, xen: what to write beside kernel and image; may be repeated",
};

/** Every command of the tool: help, parsing and completion are made from this. */
export const commands: readonly Command[] = [
  { name: "create", argument: "NAME", doc: "make a new project that runs at once", flags: [] },
  {
    name: "describe",
    argument: "[DIRECTORY]",
    doc: "show the devices, their implementations and the keys",
    flags: [target, files, { name: "dot", doc: "write a graph for Graphviz" }, json],
    imageFlags: true,
  },
  {
    name: "build",
    argument: "[DIRECTORY]",
    doc: "make the image: one file, with its manifest; for vm and xen what a hypervisor boots",
    flags: [...building, format, json],
    imageFlags: true,
  },
  { name: "run", argument: "[DIRECTORY]", doc: "build and run the image", flags: building, imageFlags: true },
  {
    name: "dev",
    argument: "[DIRECTORY]",
    doc: "run it, and again whenever a file changes",
    flags: building,
    imageFlags: true,
  },
  {
    name: "sim swarm",
    argument: "[DIRECTORY]",
    doc: "run the application's scenario with seed after seed, and shrink what fails",
    flags: [
      { name: "minutes", value: "N", doc: "how long to look for failures; default 1" },
      { name: "seeds", value: "FROM..TO", doc: "run these, and not random ones" },
      { name: "enough", value: "COUNTER=N", doc: "stop when a counter of the scenario has come to N" },
      { name: "jobs", value: "N", doc: "processes; default one for each processor" },
      { name: "timeout", value: "SECONDS", doc: "real time that one run may take; default 120" },
      { name: "keep-going", doc: "go on after a failure, and show one of each kind" },
      { name: "no-check", doc: "do not check types" },
    ],
    imageFlags: true,
  },
  {
    name: "sim replay",
    argument: "SEED",
    doc: "run a seed again that sim swarm found in the application of this folder",
    flags: [{ name: "no-check", doc: "do not check types" }],
    imageFlags: true,
  },
  { name: "clean", argument: "[DIRECTORY]", doc: "remove what build wrote", flags: [] },
  { name: "completion", argument: "bash|zsh|fish", doc: "write a completion script for a shell", flags: [] },
  { name: "help", argument: "[COMMAND]", doc: "say what a command does", flags: [] },
];

/** A command line after parsing. */
export interface Invocation {
  readonly command: Command;
  readonly argument: string | undefined;
  /** By name; `""` for flags without a value. */
  readonly flags: Readonly<Record<string, string>>;
  /** What goes to the image: flags unknown to the tool and what follows the first of them, or `--`. */
  readonly image: readonly string[];
  readonly help: boolean;
}

/**
 * Reads the arguments after the name of the tool.
 *
 * @throws Failure with status 2.
 */
export function parseCommand(argv: readonly string[]): Invocation {
  const { command, words } = findCommand(argv);
  const flags: Record<string, string> = {};
  const image: string[] = [];
  let argument: string | undefined;
  let help = false;
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (word === "--") {
      if (command.imageFlags !== true) throw usage(`tesserae ${command.name} takes nothing after --`);
      image.push(...words.slice(index + 1));
      break;
    }
    if (word === "--help" || word === "-h") {
      help = true;
      continue;
    }
    const [written = "", attached] = split(word);
    const flag = command.flags.find((each) => `--${each.name}` === written);
    if (flag !== undefined) {
      let value = attached;
      if (flag.value === undefined) {
        if (value !== undefined) throw usage(`${written} takes no value`);
        value = "";
      } else {
        value ??= words[++index];
        checkValue(flag, value);
      }
      const before = flag.repeat === true ? flags[flag.name] : undefined;
      flags[flag.name] = before === undefined ? (value ?? "") : `${before},${value ?? ""}`;
    } else if (image.length > 0) image.push(word);
    else if (!word.startsWith("-") || word === "-") {
      if (command.argument === undefined || argument !== undefined) {
        throw usage(`unexpected argument "${word}"`, `usage: ${synopsis(command)}`);
      }
      argument = word;
    } else if (command.imageFlags === true) image.push(word);
    else {
      const known = command.flags.map((each) => `--${each.name}`);
      throw usage(`unknown flag "${written}"${didYouMean(written, known)}`, `usage: ${synopsis(command)}`);
    }
  }
  const where = flags["target"] ?? "node";
  const stray = command.flags.find((each) => each.only?.includes(where) === false && each.name in flags);
  if (stray !== undefined && !help) {
    throw usage(`--${stray.name} is for target ${stray.only?.join(" and ") ?? ""}, not for ${where}`);
  }
  return { command, argument, flags, image, help };
}

/** The command that the first words name: one, or two as in `sim swarm`. */
function findCommand(argv: readonly string[]): { readonly command: Command; readonly words: readonly string[] } {
  const [name = "", second = ""] = argv;
  const single = commands.find((each) => each.name === name);
  if (single !== undefined) return { command: single, words: argv.slice(1) };
  const double = commands.find((each) => each.name === `${name} ${second}`);
  if (double !== undefined) return { command: double, words: argv.slice(2) };
  const seconds = commands.filter((each) => each.name.startsWith(`${name} `)).map((each) => each.name);
  if (seconds.length > 0) {
    const what =
      second === "" || second.startsWith("-") ? `${name} needs another word` : `unknown command "${name} ${second}"`;
    throw usage(`${what}${didYouMean(`${name} ${second}`, seconds)}`, `commands: ${seconds.join(", ")}`);
  }
  const known = commands.map((each) => each.name);
  throw usage(`unknown command "${name}"${didYouMean(name, known)}`, `commands: ${known.join(", ")}`);
}

/** `tesserae build [DIRECTORY] [--target TARGET] …`. */
export function synopsis(command: Command): string {
  const flags = command.flags.map((flag) => ` [--${flag.name}${flag.value === undefined ? "" : ` ${flag.value}`}]`);
  const argument = command.argument === undefined ? "" : ` ${command.argument}`;
  return `tesserae ${command.name}${argument}${flags.join("")}${command.imageFlags === true ? " [IMAGE FLAGS]" : ""}`;
}

function split(word: string): readonly string[] {
  const equals = word.indexOf("=");
  return equals < 0 ? [word] : [word.slice(0, equals), word.slice(equals + 1)];
}

function checkValue(flag: Flag, value: string | undefined): void {
  const allowed = flag.values?.join(", ") ?? flag.value ?? "";
  if (value === undefined || value === "") throw usage(`--${flag.name} needs a value`, `allowed: ${allowed}`);
  for (const each of flag.repeat === true ? value.split(",") : [value]) {
    if (flag.values?.includes(each) !== false) continue;
    const what = `"${each}" is not a value of --${flag.name}${didYouMean(each, flag.values)}`;
    throw usage(what, `allowed: ${allowed}`);
  }
}
