import { parseArguments, type FlagPlan, type ParsedArguments } from "@tesserae/image/arguments";
import { describeType, flagOf, type KeyPlan } from "@tesserae/image/key";
import { didYouMean } from "@tesserae/image/nearest";
import { withoutStoreStart } from "./xen/store-start.ts";

/** What boot loaders, hypervisors and habits put on a kernel's command line, and what the boot kernel itself reads. */
const foreignWords: readonly RegExp[] = [
  /^kernel\./,
  /^(virtio_mmio\.device|console|earlyprintk|reboot|panic|pci|root|rootfstype|rootflags|init|initrd|swiotlb|tsc)=/,
  /^(BOOT_IMAGE|nomodules?|quiet|splash|ro|rw|rootwait|noapic|nolapic|nokaslr|acpi=\w+|loglevel=\d)(=|$)/,
  /^(i8042|8250|random|net|systemd)\./,
];

/**
 * The words of a boot command line: separated by blanks; double quotes keep blanks together, anywhere in a word, and
 * within them `\"` and `\\` stand for a quote and a backslash. An open quote ends with the text.
 */
export function splitWords(text: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quoted = false;
  let begun = false;
  for (let index = 0; index < text.length; index++) {
    const letter = text.charAt(index);
    if (letter === '"') {
      quoted = !quoted;
      begun = true;
    } else if (quoted && letter === "\\" && /["\\]/.test(text.charAt(index + 1))) {
      word += text.charAt(++index);
    } else if (!quoted && isBlank(letter)) {
      if (begun) words.push(word);
      word = "";
      begun = false;
    } else {
      word += letter;
      begun = true;
    }
  }
  if (begun) words.push(word);
  return words;
}

/** A word as it has to be written on the command line for {@link splitWords} to find it. */
export function quoteWord(word: string): string {
  if (word !== "" && !/["\s\0]/.test(word)) return word;
  const name = word.slice(0, word.indexOf("=") + 1);
  const equals = /["\s\0]/.test(name) ? 0 : name.length;
  return `${word.slice(0, equals)}"${word.slice(equals).replaceAll(/["\\]/g, "\\$&")}"`;
}

/**
 * Reads a boot command line: `port=9000`, `verbose`, `verbose=false`, `no-verbose`, `help`; dashes in front are passed
 * over. What machines add is left alone, unless the image has a key of that name.
 *
 * A word that is neither is an error that names the nearest.
 */
export function parseCommandLine(
  text: string,
  keys: readonly KeyPlan[],
  flags: readonly FlagPlan[] = [],
): ParsedArguments {
  const named: string[] = [];
  for (const written of splitWords(withoutStoreStart(text))) {
    const word = written.replace(/^--?/, "");
    const name = word.replace(/=.*$/s, "");
    const key = keys.find((each) => flagOf(each.name) === name);
    const negated = keys.some((each) => each.type.kind === "boolean" && `no-${flagOf(each.name)}` === name);
    const flag = flags.find((each) => each.name === name);
    if (key === undefined && !negated && flag === undefined) {
      if (name === "help" || name === "h") named.push("--help");
      else if (word !== "" && !foreignWords.some((each) => each.test(word))) {
        const known = [...keys.map((each) => flagOf(each.name)), ...flags.map((each) => each.name), "help"];
        const message = `unknown key "${name}"${didYouMean(name, known)}; the word help lists them all`;
        return { ok: false, message };
      }
      continue;
    }
    const wants = key === undefined ? flag?.value : key.type.kind === "boolean" ? undefined : describeType(key.type);
    if (wants !== undefined && !word.includes("=")) return { ok: false, message: `${name} needs a value: ${wants}` };
    named.push(`--${word}`);
  }
  const parsed = parseArguments(named, keys, flags);
  return parsed.ok ? parsed : { ok: false, message: parsed.message.replace(/^--/, "") };
}

/** The lines of a help text that list keys and flags as words of the command line. */
export function describeWords(keys: readonly KeyPlan[], flags: readonly FlagPlan[] = []): string {
  const rows = [
    ...keys.map((key) => {
      const usual = key.default === undefined ? "required" : `default ${key.default === "" ? '""' : key.default}`;
      const value = key.type.kind === "boolean" ? "" : `=${key.type.kind.toUpperCase()}`;
      const allowed = key.type.kind === "boolean" || key.type.kind === "string" ? "" : `${describeType(key.type)}; `;
      return [`${flagOf(key.name)}${value}`, `${key.doc} (${allowed}${usual})`] as const;
    }),
    ...flags.map((flag) => [`${flag.name}${flag.value === undefined ? "" : `=${flag.value}`}`, flag.doc] as const),
  ];
  const width = Math.min(32, Math.max(0, ...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}

function isBlank(letter: string): boolean {
  return letter === " " || letter === "\t" || letter === "\n" || letter === "\r" || letter === "\0";
}
