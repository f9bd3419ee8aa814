import { encodeMessage, encodeStrings, messageType } from "@tesserae/xenstore/wire";

/** Seconds between two looks. */
const nap = 0.25;
/** Seconds for an answer of xenstore; without one nothing is known. */
const answerBound = 10;

/**
 * A shell script for dom0 that writes what a guest writes on its console, until its domain is gone.
 *
 * The shell does all but the copying itself, even the question to xenstore, of whose answer it reads one byte: to start
 * a program takes an emulated dom0 a tenth of a second and xenstore-exists half of one, so that to start some at each
 * look, for each guest, is all that it does and slows down every packet between guests.
 *
 * @param log where the console daemon puts it, a path without characters that mean something to a shell
 * @param domain the guest's number
 */
export function followScript(log: string, domain: number): string {
  const question = encodeMessage(messageType.read, 1, 0, encodeStrings(`/local/domain/${String(domain)}`));
  return [
    `refusal=$(printf '${escaped(Uint8Array.of(messageType.error))}')`,
    "is_there() {",
    "exec 5<> /dev/xen/xenbus",
    `printf '${escaped(question)}' >&5`,
    `answer=; IFS= read -r -t ${String(answerBound)} -n 1 answer <&5`,
    "exec 5>&-",
    '[ "$answer" != "$refusal" ]',
    "}",
    // Nobody writes to it.
    "never=$(mktemp -u); mkfifo $never; exec 3<> $never; rm $never",
    `rest() { read -r -t ${String(nap)} line <&3; }`,
    `until [ -e ${log} ]; do is_there || exit 0; rest; done`,
    `exec 4< ${log}`,
    "show() {",
    "if IFS= read -r line <&4; then printf '%s\\n' \"$line\"; cat <&4",
    'elif [ -n "$line" ]; then printf %s "$line"; cat <&4; fi',
    "}",
    "while is_there; do show; rest; done",
    // What the console daemon reads at the end.
    "rest; show",
  ].join("\n");
}

/** Bytes in the form that printf takes. */
function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}
