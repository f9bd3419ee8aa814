// What a subject sent, in the relative numbers of a script, and how it is compared.
import { printFlags, patternByte, type Origins, type SentSegment } from "./packet.ts";
import { flagAck, flagPsh, flagSyn, type OptionSpec, type SegmentSpec, type StampValue } from "./script.ts";

/** One segment that a subject sent. */
export interface Observed {
  /** Milliseconds after what went before it in the script. */
  readonly after: number;
  readonly peer: number;
  readonly flags: number;
  readonly seq: number;
  readonly end: number;
  readonly ack: number | undefined;
  readonly window: number;
  readonly urgent: number;
  /** Without padding. TSvals are relative to the first one, SACK blocks to the peer's initial number. */
  readonly options: readonly OptionSpec[];
  readonly ecn: number;
  readonly dontFragment: boolean;
  /** Whether the payload is what the application wrote there. */
  readonly isIntact: boolean;
}

export function observe(sent: SentSegment, peer: number, origins: Origins, after: number): Observed {
  const seq = (sent.sequence - origins.subjectSequence) | 0;
  const relative = (number: number): number => (number - origins.peerSequence) | 0;
  return {
    after,
    peer,
    flags: sent.flags,
    seq,
    end: seq + sent.payload.length,
    ack: (sent.flags & flagAck) === 0 ? undefined : relative(sent.acknowledgement),
    window: sent.window,
    urgent: sent.urgent,
    options: sent.options.map((option): OptionSpec => {
      if (option.kind === "TS" && typeof option.value === "number") {
        return { ...option, value: (option.value - origins.subjectStamp) >>> 0 };
      }
      if (option.kind === "sack") {
        return { kind: "sack", blocks: option.blocks.map(([left, right]) => [relative(left), relative(right)]) };
      }
      return option;
    }),
    ecn: sent.ecn,
    dontFragment: sent.dontFragment,
    // A probe of one byte before the stream, as keep-alives are, has any content.
    isIntact: seq < 1 || sent.payload.every((byte, index) => byte === patternByte(seq - 1 + index)),
  };
}

/** As a script would have it. */
export function printObserved(observed: Observed): string {
  const { flags, seq, end, ack, window, options, ecn, peer } = observed;
  return [
    peer === 1 ? "" : `:${peer}`,
    printFlags(flags),
    `${seq}:${end}(${end - seq})`,
    ack === undefined ? "" : `ack ${ack}`,
    `win ${window}`,
    options.length === 0 ? "" : `<${options.map(printOption).join(", ")}>`,
    ecn === 0 ? "" : `ecn ${["", "ect1", "ect0", "ce"][ecn] ?? ""}`,
  ]
    .filter((part) => part !== "")
    .join(" ");
}

export function printOption(option: OptionSpec): string {
  switch (option.kind) {
    case "mss":
      return `mss ${option.value}`;
    case "wscale":
      return `wscale ${option.shift === "any" ? "*" : option.shift}`;
    case "TS":
      return `TS val ${printStamp(option.value)} ecr ${printStamp(option.echo)}`;
    case "sack":
      return `sack ${option.blocks.map(([left, right]) => `${left}:${right}`).join(" ")}`;
    case "raw":
      return `raw ${Buffer.from(option.bytes).toString("hex")}`;
    default:
      return option.kind;
  }
}

function printStamp(stamp: StampValue): string {
  return stamp === "any" ? "*" : String(stamp);
}

/** What is not as the script has it, in words; empty when all is. `stampSlack`: milliseconds a TSval may be off. */
export function differences(expected: SegmentSpec, found: Observed, stampSlack: number): string[] {
  const wrong: string[] = [];
  const compare = (what: string, wanted: unknown, had: unknown): void => {
    if (wanted !== had) wrong.push(`${what} ${String(had)} instead of ${String(wanted)}`);
  };
  compare("peer", expected.peer, found.peer);
  // RFC 9293 §3.9.1: PSH has to be on the last segment of what was written, and may be on any other.
  const flags = (expected.flags & flagPsh) !== 0 ? found.flags : found.flags & ~flagPsh;
  compare("flags", printFlags(expected.flags), printFlags(flags));
  compare("sequence", `${expected.seq}:${expected.end}`, `${found.seq}:${found.end}`);
  compare("ack", expected.ack, found.ack);
  const { window } = expected;
  if (window !== undefined && (window.orMore ? found.window < window.value : found.window !== window.value)) {
    wrong.push(`window ${found.window} instead of ${window.value}${window.orMore ? " or more" : ""}`);
  }
  if (expected.urgent !== undefined) compare("urgent pointer", expected.urgent, found.urgent);
  if (expected.ecn !== undefined) compare("ECN bits", expected.ecn, found.ecn);
  if (expected.options !== undefined) wrong.push(...optionDifferences(expected.options, found.options, stampSlack));
  if (!found.isIntact) wrong.push("the payload is not what was written there");
  return wrong;
}

function optionDifferences(
  expected: readonly OptionSpec[],
  found: readonly OptionSpec[],
  stampSlack: number,
): string[] {
  const wrong: string[] = [];
  const wanted = expected.filter(({ kind }) => kind !== "nop" && kind !== "eol");
  const left = [...found];
  for (const option of wanted) {
    const at = left.findIndex((each) => isLike(option, each, stampSlack));
    if (at < 0) wrong.push(`no option "${printOption(option)}"`);
    else left.splice(at, 1);
  }
  for (const option of left) wrong.push(`option "${printOption(option)}" too much`);
  return wrong;
}

function isLike(expected: OptionSpec, found: OptionSpec, stampSlack: number): boolean {
  if (expected.kind === "wscale" && found.kind === "wscale") {
    return expected.shift === "any" || expected.shift === found.shift;
  }
  if (expected.kind === "TS" && found.kind === "TS") {
    const { value, echo } = expected;
    const isValue = typeof value !== "number" || Math.abs(value - Number(found.value)) <= stampSlack;
    return isValue && (typeof echo !== "number" || echo === found.echo);
  }
  return printOption(expected) === printOption(found);
}

/**
 * How two subjects' answers to the same line differ, beyond what a script says of it: options, ECN, whether the window
 * is open. Not compared, by rule: the order and padding of options, the size of a window and its scale, TSval.
 */
export function pairDifferences(linux: Observed, ours: Observed): string[] {
  const wrong: string[] = [];
  const kinds = (observed: Observed): string => observed.options.map(loosely).sort().join(", ");
  const compare = (what: string, a: string, b: string): void => {
    if (a !== b) wrong.push(`${what}: "${a}" of Linux, "${b}" of ours`);
  };
  compare("options", kinds(linux), kinds(ours));
  compare("ECN bits", String(linux.ecn), String(ours.ecn));
  compare("don't fragment", String(linux.dontFragment), String(ours.dontFragment));
  // A reset's window means nothing.
  if ((linux.flags & 0x04) === 0) {
    compare("window", linux.window === 0 ? "shut" : "open", ours.window === 0 ? "shut" : "open");
  }
  return wrong;
}

function loosely(option: OptionSpec): string {
  if (option.kind === "wscale") return "wscale";
  if (option.kind === "TS") return `TS ecr ${printStamp(option.echo)}`;
  return printOption(option);
}

/** Whether the segment begins a connection, so that numbers count from it. */
export function isOpening(sent: SentSegment): boolean {
  return (sent.flags & flagSyn) !== 0;
}
