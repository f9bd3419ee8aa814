import { targets } from "@tesserae/config/target";
import { commands, type Command } from "./command.ts";

/** The shells that {@link completionScript} knows. */
export const shells = ["bash", "zsh", "fish"] as const;

/** A script that teaches the shell the commands, their flags and the values of these. */
export function completionScript(shell: (typeof shells)[number]): string {
  if (shell === "fish") return fish();
  const bash = bashScript();
  return shell === "bash" ? bash : `autoload -U +X bashcompinit && bashcompinit\n${bash}`;
}

/** The flags of a command, with those of the targets where it runs an image. */
function flagsOf(command: Command): readonly string[] {
  const own = command.flags.map((flag) => `--${flag.name}`);
  const isSimulated = command.name.startsWith("sim ");
  if (command.name !== "run" && command.name !== "dev" && !isSimulated) return own;
  const where = targets.filter((target) => !isSimulated || target.name === "sim");
  const more = where.flatMap((target) => Object.keys(target.flags).map((name) => `--${name}`));
  return [...new Set([...own, ...more])];
}

/** `sim` of `sim swarm` and `sim replay`. */
function firstWords(): readonly string[] {
  return [...new Set(commands.map((each) => each.name.split(" ")[0] ?? ""))];
}

function secondWords(first: string): readonly string[] {
  return commands.flatMap((each) => (each.name.startsWith(`${first} `) ? [each.name.slice(first.length + 1)] : []));
}

function flagCase(first: string): string {
  const flags = commands.filter((each) => each.name.split(" ")[0] === first).flatMap(flagsOf);
  const all = [...new Set(flags), "--help"].join(" ");
  return `        ${first}) COMPREPLY=($(compgen -W "${all}" -- "$word")) ;;`;
}

function bashScript(): string {
  const names = firstWords().join(" ");
  const seconds = firstWords().flatMap((first) => {
    const all = secondWords(first);
    return all.length === 0 ? [] : [`    ${first}) COMPREPLY=($(compgen -W "${all.join(" ")}" -- "$word")); return ;;`];
  });
  const values = new Map(
    commands.flatMap((each) => each.flags.filter((flag) => flag.values).map((flag) => [flag.name, flag.values ?? []])),
  );
  return `# bash completion for tesserae
_tesserae() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${names}" -- "$word"))
    return
  fi
  case "$before" in
${seconds.join("\n")}
${[...values].map(([flag, all]) => `    --${flag}) COMPREPLY=($(compgen -W "${all.join(" ")}" -- "$word")); return ;;`).join("\n")}
    --pcap) COMPREPLY=($(compgen -f -- "$word")); return ;;
    completion) COMPREPLY=($(compgen -W "${shells.join(" ")}" -- "$word")); return ;;
    help) COMPREPLY=($(compgen -W "${names}" -- "$word")); return ;;
  esac
  case "$word" in
    -*)
      case "\${COMP_WORDS[1]}" in
${firstWords().map(flagCase).join("\n")}
      esac ;;
    *) COMPREPLY=($(compgen -d -- "$word")) ;;
  esac
}
complete -o filenames -F _tesserae tesserae
`;
}

function fish(): string {
  const lines = ["# fish completion for tesserae", "complete -c tesserae -f"];
  const quote = (text: string): string => `'${text.replaceAll("'", "\\'")}'`;
  for (const command of commands) {
    const { name, doc, argument } = command;
    const [first = name, second] = name.split(" ");
    if (second === undefined) {
      lines.push(`complete -c tesserae -n __fish_use_subcommand -a ${name} -d ${quote(doc)}`);
    } else {
      lines.push(`complete -c tesserae -n __fish_use_subcommand -a ${first}`);
      lines.push(`complete -c tesserae -n '__fish_seen_subcommand_from ${first}' -a ${second} -d ${quote(doc)}`);
    }
    const when = `-n '__fish_seen_subcommand_from ${second ?? name}'`;
    if (argument === "[DIRECTORY]") lines.push(`complete -c tesserae ${when} -a '(__fish_complete_directories)'`);
    for (const flag of command.flags) {
      const values = flag.values === undefined ? "" : ` -x -a ${quote(flag.values.join(" "))}`;
      lines.push(`complete -c tesserae ${when} -l ${flag.name}${values} -d ${quote(flag.doc)}`);
    }
  }
  lines.push(`complete -c tesserae -n '__fish_seen_subcommand_from completion' -a '${shells.join(" ")}'`);
  return `${lines.join("\n")}\n`;
}
