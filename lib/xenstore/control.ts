import { greatestQuota, isQuotaName, quotaNames, type QuotaName, type Quotas } from "./quotas.ts";
import { parseNumber } from "./request.ts";
import { done, encodeStrings, type ErrorName } from "./wire.ts";

/** What control commands are about. */
export interface Controlled {
  readonly quotas: Pick<Quotas, "value">;
  /** Sets a quota for one domain, or for all: −1. */
  setQuota(name: QuotaName, value: number, domain: number): void;
  /** Whether a domain was introduced. */
  isKnown(domain: number): boolean;
  /** What a domain has of each quota; undefined for a domain that nobody introduced. */
  usage(domain: number): ReadonlyMap<string, number> | undefined;
  /** Looks for what cannot be; one line each. */
  check(): string[];
  /** Counts of what there is. */
  report(): string;
  print(text: string): void;
}

/** Name, parameters as `help` tells them, and what it does; undefined: the parameters make no sense. */
interface Command {
  readonly parameters: string;
  run(controlled: Controlled, words: readonly string[]): string | undefined;
}

const commands: Readonly<Record<string, Command>> = {
  check: {
    parameters: "",
    run(controlled) {
      const wrong = controlled.check();
      return wrong.length === 0 ? "OK" : wrong.join("\n");
    },
  },
  kill: { parameters: "[<requests>]", run: () => undefined },
  "live-update": { parameters: "[-c <cmdline>] [-F] [-t <timeout>] <file>", run: () => undefined },
  memreport: { parameters: "", run: (controlled) => controlled.report() },
  print: {
    parameters: "<string>",
    run(controlled, [text]) {
      if (text === undefined) return undefined;
      controlled.print(text);
      return "OK";
    },
  },
  quota: { parameters: "[set <name> <val>|<domid>]", run: quota },
  help: {
    parameters: "",
    run: () =>
      Object.entries(commands)
        .map(([name, { parameters }]) => `${name}\t${parameters}\n`)
        .join(""),
  },
};

/** @returns the answer; undefined when there is no such command, or its parameters make no sense */
export function control(controlled: Controlled, [name = "", ...words]: readonly string[]): string | undefined {
  return Object.hasOwn(commands, name) ? commands[name]?.run(controlled, words) : undefined;
}

function quota(controlled: Controlled, words: readonly string[]): string | undefined {
  const [first, name, text] = words;
  const { quotas } = controlled;
  if (first === undefined) {
    const lines = quotaNames.map((each) => `${each.padEnd(17)}: ${String(quotas.value(each)).padStart(8)}\n`);
    return `Quota settings:\n${lines.join("")}`;
  }
  if (first === "set") {
    const value = parseQuota(text);
    if (name === undefined || !isQuotaName(name) || value === undefined) return undefined;
    controlled.setQuota(name, value, -1);
    return "OK";
  }
  if (!/^\d{1,5}$/.test(first)) return undefined;
  const domain = Number(first);
  const usage = controlled.usage(domain);
  if (usage === undefined) return undefined;
  const lines = [...usage].map(([each, count]) => `${each.padEnd(17)}: ${String(count).padStart(8)}\n`);
  return `Domain ${domain}:\n${lines.join("")}`;
}

/** The answer to `GET_QUOTA` (`[[domain] name]`) or `SET_QUOTA` (`[domain] name value`). */
export function quotaRequest(
  controlled: Controlled,
  strings: readonly string[],
  isSet: boolean,
): Uint8Array | ErrorName {
  const words = [...strings];
  if (!isSet && words.length === 0) return encodeStrings(quotaNames.join(" "));
  const value = isSet ? parseQuota(words.pop()) : 0;
  const name = words.pop();
  const [domainText] = words;
  const domain = domainText === undefined ? -1 : parseNumber(domainText);
  if (value === undefined || name === undefined || !isQuotaName(name) || domain === undefined) return "EINVAL";
  if (domainText !== undefined && !controlled.isKnown(domain)) return "ENOENT";
  if (!isSet) return encodeStrings(String(controlled.quotas.value(name, domain)));
  controlled.setQuota(name, value, domain);
  return done;
}

/** The value of a quota in a request; undefined when it is none. */
function parseQuota(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  return Number(text) <= greatestQuota ? Number(text) : undefined;
}
