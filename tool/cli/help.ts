import { targets } from "@tesserae/config/target";
import { commands, synopsis, type Command } from "./command.ts";

/** What `tesserae help` prints. */
export function helpText(version: string): string {
  const width = Math.max(...commands.map((each) => `${each.name} ${each.argument ?? ""}`.length));
  return [
    `tesserae ${version}: a library operating system for TypeScript`,
    "",
    "usage: tesserae COMMAND [DIRECTORY] [FLAGS]",
    "",
    ...commands.map((each) => `  ${`${each.name} ${each.argument ?? ""}`.padEnd(width)}  ${each.doc}`),
    "",
    "targets:",
    ...targets.map((each) => `  ${each.name.padEnd(width)}  ${each.doc}`),
    "",
    "tesserae help COMMAND says more.",
  ].join("\n");
}

/** What `tesserae help build` prints. */
export function commandHelp(command: Command): string {
  const rows = command.flags.map((flag) => {
    const allowed = flag.values === undefined ? "" : ` (${flag.values.join(", ")})`;
    return [`--${flag.name}${flag.value === undefined ? "" : ` ${flag.value}`}`, `${flag.doc}${allowed}`] as const;
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  const lines = [`usage: ${synopsis(command)}`, "", command.doc];
  if (rows.length > 0) lines.push("", ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`));
  if (command.imageFlags === true) {
    const image =
      command.name === "build" || command.name === "describe"
        ? "Image flags set the build-time keys of the configuration: --debug, --limit 5."
        : "Image flags are the keys of the configuration (--port 9000), and those of the target:";
    lines.push("", image);
    const isSimulated = command.name.startsWith("sim ");
    if (command.name === "run" || command.name === "dev" || isSimulated) {
      for (const target of targets) {
        if (isSimulated && target.name !== "sim") continue;
        const flags = Object.entries(target.flags).map(
          ([name, value]) => `--${name}${value === "" || value.startsWith("[") ? value : ` ${value}`}`,
        );
        if (flags.length > 0) lines.push(`  ${target.name}: ${flags.join(" ")}`);
      }
      lines.push(`tesserae ${command.name} [DIRECTORY] -- --help lists those of an application.`);
    }
  }
  return lines.join("\n");
}
