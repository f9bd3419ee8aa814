import { readFileSync } from "node:fs";
import path from "node:path";
import { encodeStrings, messageType } from "@tesserae/xenstore/wire";

/** One step of the life of a guest. */
export interface Step {
  /** `dom0` and `xenconsoled` are the same for all guests; the others come and go with it. */
  readonly who: string;
  readonly kind: "connect" | "leave" | "start" | "end" | "ask" | "remove-if-empty";
  /** Number of a transaction of `who`, or 0. */
  readonly transaction: number;
  /** Of {@link messageType}. */
  readonly type: number;
  readonly words: readonly string[];
  /** Of a write: what follows the path. */
  readonly value: string;
}

const types: Readonly<Record<string, number>> = {
  read: messageType.read,
  write: messageType.write,
  directory: messageType.directory,
  getdomain: messageType.getDomainPath,
  rm: messageType.remove,
  setperms: messageType.setPermissions,
  watch: messageType.watch,
  unwatch: messageType.unwatch,
  mkdir: messageType.makeDirectory,
  introduce: messageType.introduce,
  release: messageType.release,
  "reset-watches": messageType.resetWatches,
};

const kinds: Readonly<Record<string, Step["kind"]>> = {
  newconn: "connect",
  endconn: "leave",
  "t-start": "start",
  "t-end": "end",
};

/** The life of a guest, as it was recorded. */
export function readSequence(root: string): readonly Step[] {
  const file = path.join(root, "bench/xenstore/recorded.txt");
  const steps: Step[] = [];
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [who = "", transaction = "", operation = "", ...rest] = line.split(" ");
    const type = types[operation] ?? -1;
    const kind = kinds[operation] ?? "ask";
    if (kind === "ask" && type < 0) throw new Error(`recorded.txt: "${operation}" is no operation`);
    const value = type === messageType.write ? rest.slice(1).join(" ") : "";
    const words = type === messageType.write ? rest.slice(0, 1) : rest.filter((word) => word !== "");
    steps.push({ who, kind, transaction: Number(transaction), type, words, value });
  }
  return steps.map((step, index) => {
    // libxl removes what is left of a device's directories from below, as long as they have become empty.
    const before = steps.slice(0, index).findLast((each) => each.who === step.who);
    const isCleanup =
      step.type === messageType.remove &&
      before?.type === messageType.directory &&
      before.transaction === step.transaction &&
      before.words[0] === step.words[0];
    return isCleanup ? { ...step, kind: "remove-if-empty" } : step;
  });
}

/** Programs that serve all guests by one connection. */
export const shared = ["dom0", "xenconsoled"];

/** Where back ends are in domain 0, and where they are in {@link inRealDom0}. */
const ownBackends = "/local/domain/0/backend";
export const otherBackends = "/local/domain/32000/backend";

/**
 * A life where there is a real domain 0, whose kernel would serve back ends of its own: they are those of a domain that is
 * not there.
 *
 * @param isRing by Linux's device: all clients are one for the server, so that nobody resets its watches, which would take
 *   the kernel's away; and each has a file of its own, as Linux 6.1 stands still for ever when a watch is set by a file
 *   that waits for an answer
 */
export function inRealDom0(steps: readonly Step[], isRing: boolean): readonly Step[] {
  const move = (text: string): string => text.replaceAll(ownBackends, otherBackends);
  const own = (who: string): string => (isRing && shared.includes(who) ? `${who} for one` : who);
  const moved = steps.map((step): Step => ({
    ...step,
    who: own(step.who),
    words: step.words.map((word) => move(step.who === "dom0" ? word.replace(/^backend(?=\/|$)/, ownBackends) : word)),
    value: move(step.value),
  }));
  if (!isRing) return moved;
  const connect = { kind: "connect", transaction: 0, type: -1, words: [], value: "" } as const;
  const connects = shared.map((who): Step => ({ ...connect, who: own(who) }));
  return [...connects, ...moved.filter(({ type }) => type !== messageType.resetWatches)];
}

/** The bytes of a step for one guest. */
export function payloadOf(step: Step, domain: number): Uint8Array {
  const fill = (text: string): string => fillIn(text, domain);
  const words = step.words.map(fill);
  const [first = ""] = words;
  switch (step.type) {
    case messageType.watch:
    case messageType.unwatch:
      // Tokens of one program for several guests differ in the recording by addresses that mean nothing here.
      return encodeStrings(place(step.who, first, domain), `${words[1] ?? ""}-${domain}`);
    case messageType.write: {
      const value = encodeStrings(fill(step.value));
      // But the NUL behind it.
      return concatenate(encodeStrings(place(step.who, first, domain)), value.subarray(0, value.length - 1));
    }
    case messageType.introduce:
    case messageType.release:
    case messageType.getDomainPath:
      return encodeStrings(...words);
    case messageType.resetWatches:
      return encodeStrings("");
    default:
      return encodeStrings(place(step.who, first, domain), ...words.slice(1));
  }
}

function fillIn(text: string, domain: number): string {
  if (!text.includes("{")) return text;
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  return text
    .replaceAll("{domain}", String(domain))
    .replaceAll("{before}", String(domain - 1))
    .replaceAll("{uuid}", `6e64ff2b-1d62-4bf3-83dc-${domain.toString(16).padStart(12, "0")}`)
    .replaceAll("{mac}", `${hex(domain >>> 16)}:${hex((domain >>> 8) & 255)}:${hex(domain & 255)}`);
}

/** Relative paths of guests begin elsewhere than those of the socket that plays them. */
function place(who: string, text: string, domain: number): string {
  return who === "guest" && !text.startsWith("/") && !text.startsWith("@") ? `/local/domain/${domain}/${text}` : text;
}

function concatenate(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}
