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
  if (command.name !== "run" && command.name !== "dev") return own;
  const more = targets.flatMap((target) => Object.keys(target.flags).map((name) => `--${name}`));
  return [...new Set([...own, ...more])];
}

function bashScript(): string {
  const names = commands.map((each) => each.name).join(" ");
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
${[...values].map(([flag, all]) => `    --${flag}) COMPREPLY=($(compgen -W "${all.join(" ")}" -- "$word")); return ;;`).join("\n")}
    --pcap) COMPREPLY=($(compgen -f -- "$word")); return ;;
    completion) COMPREPLY=($(compgen -W "${shells.join(" ")}" -- "$word")); return ;;
    help) COMPREPLY=($(compgen -W "${names}" -- "$word")); return ;;
  esac
  case "$word" in
    -*)
      case "\${COMP_WORDS[1]}" in
${commands.map((each) => `        ${each.name}) COMPREPLY=($(compgen -W "${[...flagsOf(each), "--help"].join(" ")}" -- "$word")) ;;`).join("\n")}
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
    lines.push(`complete -c tesserae -n __fish_use_subcommand -a ${name} -d ${quote(doc)}`);
    const when = `-n '__fish_seen_subcommand_from ${name}'`;
    if (argument === "[DIRECTORY]") lines.push(`complete -c tesserae ${when} -a '(__fish_complete_directories)'`);
    for (const flag of command.flags) {
      const values = flag.values === undefined ? "" : ` -x -a ${quote(flag.values.join(" "))}`;
      lines.push(`complete -c tesserae ${when} -l ${flag.name}${values} -d ${quote(flag.doc)}`);
    }
  }
  lines.push(`complete -c tesserae -n '__fish_seen_subcommand_from completion' -a '${shells.join(" ")}'`);
  return `${lines.join("\n")}\n`;
}
