import { greatestQuota, isQuotaName, quotaNames, type Quotas } from "./quotas.ts";

/** What control commands are about. */
export interface Controlled {
  readonly quotas: Quotas;
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
    quotas.set(name, value);
    return "OK";
  }
  if (!/^\d{1,5}$/.test(first)) return undefined;
  const domain = Number(first);
  const usage = controlled.usage(domain);
  if (usage === undefined) return undefined;
  const lines = [...usage].map(([each, count]) => `${each.padEnd(17)}: ${String(count).padStart(8)}\n`);
  return `Domain ${domain}:\n${lines.join("")}`;
}

/** The value of a quota in a request; undefined when it is none. */
export function parseQuota(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  return Number(text) <= greatestQuota ? Number(text) : undefined;
}
