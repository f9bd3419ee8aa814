import { describeType, flagOf, type KeyPlan } from "./key.ts";
import { didYouMean } from "./nearest.ts";

/** A flag of the target or of a tool, beside the keys of the image. */
export interface FlagPlan {
  /** In kebab-case, without the dashes. */
  readonly name: string;
  /** What stands for the value in the help (`FILE`); absent: the flag has no value. */
  readonly value?: string;
  readonly doc: string;
}

export type ParsedArguments =
  | {
      readonly ok: true;
      /** The texts of the keys given, by key name. */
      readonly keys: Readonly<Record<string, string>>;
      /** The flags given, by flag name; `""` for a flag without a value. */
      readonly flags: Readonly<Record<string, string>>;
      /** What is not a flag. */
      readonly rest: readonly string[];
      /** Whether `--help` was given. */
      readonly help: boolean;
    }
  | { readonly ok: false; readonly message: string };

/**
 * Reads a command line: `--port 9000`, `--port=9000`, `--verbose`, `--verbose=false`, `--no-verbose`, `--` and what
 * is not a flag. Values are not parsed here: see `parseKeys`.
 *
 * The last of several mentions of one flag counts. A flag that is neither a key nor in `flags` is an error that names
 * the nearest.
 */
export function parseArguments(
  argv: readonly string[],
  keys: readonly KeyPlan[],
  flags: readonly FlagPlan[] = [],
): ParsedArguments {
  const given: Record<string, string> = {};
  const set: Record<string, string> = {};
  const rest: string[] = [];
  let help = false;
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (word === "--") {
      rest.push(...argv.slice(index + 1));
      break;
    }
    if (word === "--help" || word === "-h") {
      help = true;
      continue;
    }
    if (!word.startsWith("-") || word === "-") {
      rest.push(word);
      continue;
    }
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const attached = equals < 0 ? undefined : word.slice(equals + 1);
    const key = keys.find((each) => flagOf(each.name) === name);
    const negated = keys.find((each) => each.type.kind === "boolean" && `no-${flagOf(each.name)}` === name);
    const flag = flags.find((each) => each.name === name);
    if (!word.startsWith("--") || (key ?? negated ?? flag) === undefined) {
      const known = [
        ...keys.map((each) => `--${flagOf(each.name)}`),
        ...flags.map((each) => `--${each.name}`),
        "--help",
      ];
      const shown = equals < 0 ? word : word.slice(0, equals);
      return { ok: false, message: `unknown flag "${shown}"${didYouMean(shown, known)}; --help lists them all` };
    }
    if (negated !== undefined && key === undefined && flag === undefined) {
      if (attached !== undefined) return { ok: false, message: `--${name} takes no value` };
      given[negated.name] = "false";
      continue;
    }
    let value = attached;
    if (key === undefined ? flag?.value === undefined : key.type.kind === "boolean") {
      if (key === undefined && attached !== undefined) return { ok: false, message: `--${name} takes no value` };
      value ??= key === undefined ? "" : "true";
    } else if (value === undefined) {
      value = argv[++index];
      if (value === undefined) {
        const wanted = key === undefined ? (flag?.value ?? "") : describeType(key.type);
        return { ok: false, message: `--${name} needs a value: ${wanted}` };
      }
    }
    if (key !== undefined) given[key.name] = value;
    else set[name] = value;
  }
  return { ok: true, keys: given, flags: set, rest, help };
}

/** The lines of a help text that list keys and flags, one each, aligned. */
export function describeKeys(keys: readonly KeyPlan[], flags: readonly FlagPlan[] = []): string {
  const rows = [
    ...keys.map((key) => {
      const usual = key.default === undefined ? "required" : `default ${key.default === "" ? '""' : key.default}`;
      const value = key.type.kind === "boolean" ? "" : ` ${key.type.kind.toUpperCase()}`;
      const allowed = key.type.kind === "boolean" || key.type.kind === "string" ? "" : `${describeType(key.type)}; `;
      return [`--${flagOf(key.name)}${value}`, `${key.doc} (${allowed}${usual})`] as const;
    }),
    ...flags.map((flag) => [`--${flag.name}${flag.value === undefined ? "" : ` ${flag.value}`}`, flag.doc] as const),
  ];
  const width = Math.min(32, Math.max(0, ...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
