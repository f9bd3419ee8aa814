import { encodeStrings, messageType } from "@tesserae/xenstore/wire";
import { inRealDom0, otherBackends, payloadOf, shared, type Step } from "./sequence.ts";

/** A domain that is there, as the one who introduces it has to name it. */
export interface Introduction {
  readonly domain: number;
  /** Number, frame and port. */
  readonly words: readonly string[];
}

/** In the order of storm.c. */
const kinds: readonly Step["kind"][] = ["connect", "leave", "start", "end", "ask", "remove-if-empty"];

const ask = (who: string, type: number, ...words: readonly string[]): Step => ({
  ...{ who, kind: "ask", transaction: 0, type, words, value: "" },
});
const connect = (who: string): Step => ({ ...ask(who, -1), kind: "connect" });

/** What those who are the same for all guests do first. */
const prologue: readonly Step[] = [
  ...shared.map(connect),
  ...["@introduceDomain", "@releaseDomain"].map((path) => ask("xenconsoled", messageType.watch, path, "domlist")),
  ask("dom0", messageType.watch, otherBackends, "backend"),
];

/** Removes what a storm that was cut off has left. */
const cleaning: readonly Step[] = [
  connect("cleaner"),
  ask("cleaner", messageType.release, "{domain}"),
  ...["/local/domain/{domain}", "/libxl/{domain}", "/vm/{uuid}", otherBackends].map((path) =>
    ask("cleaner", messageType.remove, path),
  ),
];

/**
 * A plan for storm.c: the lives of these domains, in bytes. Numbers have 32 bits, least significant first: how many lives,
 * the bytes of each, then the lives, the first of which is of those who are the same for all. A step has a byte each for
 * what it is, who does it, the type of the message, and the transaction, a number of 32 bits for the length of its payload,
 * and this, up to the next multiple of four bytes.
 *
 * @param isRing whether all clients are dom0's kernel for the server
 */
export function planStorm(steps: readonly Step[], domains: readonly Introduction[], isRing: boolean): Uint8Array {
  return plan(inRealDom0(steps, isRing), domains);
}

/** A plan that removes what a storm on these domains has left. */
export function planCleaning(domains: readonly Introduction[]): Uint8Array {
  return plan(cleaning, domains);
}

function plan(steps: readonly Step[], domains: readonly Introduction[]): Uint8Array {
  const lives = [encodeLife(prologue, { domain: 0, words: [] }), ...domains.map((domain) => encodeLife(steps, domain))];
  return Buffer.concat([words([lives.length, ...lives.map(({ length }) => length)]), ...lives]);
}

function encodeLife(steps: readonly Step[], { domain, words: introduction }: Introduction): Uint8Array {
  // Those that are the same for all guests come first, as storm.c has it.
  const everybody = [...new Set([...shared, ...steps.map(({ who }) => who)])];
  const parts = steps.flatMap((step) => {
    const { who, kind, type, transaction } = step;
    const isAsked = kind === "ask" || kind === "remove-if-empty";
    const isIntroduction = isAsked && type === messageType.introduce;
    const payload = isIntroduction ? encodeStrings(...introduction) : isAsked ? payloadOf(step, domain) : nothing;
    const head = Uint8Array.of(kinds.indexOf(kind), everybody.indexOf(who), type, transaction);
    return [head, words([payload.length]), payload, new Uint8Array(-payload.length & 3)];
  });
  return Buffer.concat(parts);
}

const nothing = new Uint8Array(0);

function words(values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, 4 * index);
  return bytes;
}
