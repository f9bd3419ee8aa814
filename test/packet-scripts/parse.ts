import { stateNames } from "@tesserae/tcpip/tcp/state";
import {
  type Action,
  type CallName,
  callNames,
  type CallSpec,
  flagLetters,
  flagPsh,
  type IcmpKind,
  type IcmpSpec,
  type Malformation,
  type OptionSpec,
  type Script,
  ScriptError,
  type ScriptLine,
  type SegmentSpec,
  type Settings,
  type StampValue,
  type SubjectName,
} from "./script.ts";

const icmpKinds: readonly IcmpKind[] = [
  "host",
  "port",
  "network",
  "protocol",
  "prohibited",
  "too-big",
  "time-exceeded",
];
const ecnNames = ["not-ect", "ect1", "ect0", "ce"];
/** The longest a script may wait for one thing, seconds. */
const longestWait = 1000;
/** `each` makes at most so many segments of one line. */
const mostSegments = 1000;

/** Thrown inside one line; the line number is added where it is caught. */
class Problem extends Error {}

/**
 * Reads a script.
 *
 * @param name the path of its file, without the extension, for messages
 * @throws ScriptError naming the line.
 */
export function parseScript(name: string, text: string): Script {
  const settings: Settings = {
    mtu: 1500,
    family: 4,
    peerSequence: 0,
    congestion: "reno",
    receiveBuffer: 0,
    sendBuffer: 0,
    sysctls: new Map(),
    limits: new Map(),
  };
  const lines: ScriptLine[] = [];
  const title: string[] = [];
  let inTitle = true;
  for (const [index, raw] of text.split("\n").entries()) {
    const comment = raw.indexOf("#");
    const line = (comment < 0 ? raw : raw.slice(0, comment)).trim();
    if (inTitle && line === "" && comment >= 0) title.push(raw.slice(comment + 1).trim());
    else inTitle = false;
    if (line === "") continue;
    try {
      const words = new Words(line);
      if (words.accept("set")) {
        if (lines.length > 0) throw new Problem(`"set" comes before everything that happens`);
        readSetting(words, settings);
      } else {
        for (const each of readEvent(words)) lines.push({ ...each, line: index + 1, text: line });
      }
      words.finish();
    } catch (error) {
      if (error instanceof Problem) throw new ScriptError(name, index + 1, error.message);
      throw error;
    }
  }
  return { name, title: title.join(" "), settings, lines };
}

/** The words of one line, taken from the left. */
class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(line: string) {
    this.#words = line.match(/[<>,]|[^\s<>,]+/g) ?? [];
  }

  get next(): string | undefined {
    return this.#words[this.#at];
  }

  take(what: string): string {
    const word = this.#words[this.#at];
    if (word === undefined) throw new Problem(`${what} is missing at the end of the line`);
    this.#at++;
    return word;
  }

  accept(word: string): boolean {
    if (this.next !== word) return false;
    this.#at++;
    return true;
  }

  expect(word: string): void {
    const found = this.take(`"${word}"`);
    if (found !== word) throw new Problem(`"${word}" should be where "${found}" is`);
  }

  integer(what: string, least: number, most: number): number {
    const word = this.take(what);
    const value = /^-?\d{1,12}$/.test(word) ? Number(word) : NaN;
    if (!(value >= least && value <= most)) throw new Problem(`${what} "${word}" is not ${least} to ${most}`);
    return value;
  }

  choice<T extends string>(what: string, among: readonly T[]): T {
    const word = this.take(what);
    const found = among.find((each) => each === word);
    if (found === undefined) throw new Problem(`${what} "${word}" is none of ${among.join(", ")}`);
    return found;
  }

  finish(): void {
    if (this.next !== undefined) throw new Problem(`"${this.next}" is too much`);
  }
}

const most32 = 0xffff_ffff;

function readSetting(words: Words, settings: Settings): void {
  const what = words.choice("the setting", [
    "mtu",
    "family",
    "peer-sequence",
    "congestion",
    "receive-buffer",
    "send-buffer",
    "sysctl",
    "limit",
  ]);
  if (what === "mtu") settings.mtu = words.integer("the MTU", 256, 9000);
  else if (what === "family") settings.family = words.choice("the version", ["4", "6"]) === "6" ? 6 : 4;
  else if (what === "peer-sequence") settings.peerSequence = words.integer("the number", 0, most32);
  else if (what === "congestion") settings.congestion = words.choice("the control", ["reno", "cubic"]);
  else if (what === "receive-buffer") settings.receiveBuffer = words.integer("the size", 1, 1 << 23);
  else if (what === "send-buffer") settings.sendBuffer = words.integer("the size", 1, 1 << 23);
  else if (what === "sysctl") {
    const name = words.take("the name");
    if (!/^[a-z0-9_.]+$/.test(name)) throw new Problem(`"${name}" is no setting below net.ipv4`);
    const values = [words.take("the value")];
    while (words.next !== undefined) values.push(words.take("a value"));
    settings.sysctls.set(name, values.join(" "));
  } else {
    const name = words.take("the name");
    const value = words.take("the value");
    const read = value === "true" ? true : value === "false" ? false : /^\d+$/.test(value) ? Number(value) : value;
    settings.limits.set(name, read);
  }
}

type Event = Omit<ScriptLine, "line" | "text">;

function readEvent(words: Words): Event[] {
  const only = readOnly(words);
  const { after, until } = readTime(words);
  const direction = words.next;
  if (direction !== "<" && direction !== ">") {
    if (after !== until) throw new Problem(`only an expected segment has a time "from~to"`);
    return [{ only, after, until, action: readCall(words) }];
  }
  words.take("the direction");
  const isInjected = direction === "<";
  if (isInjected && after !== until) throw new Problem(`only an expected segment has a time "from~to"`);
  if (isInjected && words.accept("icmp")) {
    return [{ only, after, until, action: { what: "inject", packet: readIcmp(words) } }];
  }
  return readSegments(words, isInjected).map((segment, index): Event => {
    const action: Action = isInjected ? { what: "inject", packet: segment } : { what: "expect", segment };
    return index === 0 ? { only, after, until, action } : { only, after: 0, until: 0, action };
  });
}

function readOnly(words: Words): ScriptLine["only"] {
  const match = /^(linux|ours)\(([a-z0-9-]+)\)$/.exec(words.next ?? "");
  if (match === null) return undefined;
  words.take("the subject");
  const subject: SubjectName = match[1] === "linux" ? "linux" : "ours";
  return { subject, difference: match[2] ?? "" };
}

/** Seconds in the script, milliseconds here. */
function readTime(words: Words): { readonly after: number; readonly until: number } {
  const word = words.next ?? "";
  if (!word.startsWith("+")) return { after: 0, until: 0 };
  words.take("the time");
  const match = /^\+(\d*\.?\d+)(?:~(\d*\.?\d+))?$/.exec(word);
  const after = Number(match?.[1] ?? NaN) * 1000;
  const until = match?.[2] === undefined ? after : Number(match[2]) * 1000;
  if (!(after <= until && until <= longestWait * 1000)) {
    throw new Problem(`"${word}" is no time: +seconds or +from~to, at most ${longestWait} s`);
  }
  return { after, until };
}

function readPeer(words: Words): number {
  const match = /^:(\d{1,3})$/.exec(words.next ?? "");
  if (match === null) return 1;
  words.take("the peer");
  const peer = Number(match[1]);
  if (peer < 1) throw new Problem("peers are numbered from 1");
  return peer;
}

/** One segment; with `each`, as many as it takes. PSH is then on the last. */
function readSegments(words: Words, isInjected: boolean): SegmentSpec[] {
  const peer = readPeer(words);
  const flags = readFlags(words.take("the flags"));
  const { seq, end } = readRange(words.take("the sequence numbers"));
  const segment = {
    what: "segment" as const,
    peer,
    flags,
    seq,
    end,
    ack: words.accept("ack") ? words.integer("the acknowledgement", -most32, most32) : undefined,
    window: words.accept("win") ? readWindow(words, isInjected) : undefined,
    urgent: words.accept("urg") ? words.integer("the urgent pointer", 0, 65_535) : undefined,
    options: words.accept("<") ? readOptions(words, isInjected) : undefined,
    ecn: words.accept("ecn") ? ecnNames.indexOf(words.choice("the ECN bits", ecnNames)) : undefined,
  };
  const each = words.accept("each") ? words.integer("the size", 1, 65_535) : 0;
  const malformed = readMalformation(words, isInjected);
  if (each === 0 || end - seq <= each) return [{ ...segment, malformed }];
  if (end - seq > each * mostSegments) throw new Problem(`more than ${mostSegments} segments`);
  const all: SegmentSpec[] = [];
  for (let at = seq; at < end; at += each) {
    const isLast = at + each >= end;
    all.push({
      ...segment,
      seq: at,
      end: Math.min(end, at + each),
      flags: isLast ? flags : flags & ~flagPsh,
      malformed,
    });
  }
  return all;
}

function readFlags(word: string): number {
  let flags = 0;
  for (const each of word) {
    const found = flagLetters.find(([letter]) => letter === each);
    if (found === undefined && each !== "-") {
      throw new Problem(`"${word}" are no flags: ${flagLetters.map(([letter]) => letter).join("")}, or - for none`);
    }
    flags |= found?.[1] ?? 0;
  }
  return flags;
}

/** `1:1461(1460)`, `1:1461`, or `1` for nothing. */
function readRange(word: string): { readonly seq: number; readonly end: number } {
  const match = /^(-?\d{1,10})(?::(-?\d{1,10})(?:\((\d{1,6})\))?)?$/.exec(word);
  if (match === null) throw new Problem(`"${word}" are no sequence numbers: first:end(length)`);
  const seq = Number(match[1]);
  const end = match[2] === undefined ? seq : Number(match[2]);
  const length = match[3] === undefined ? end - seq : Number(match[3]);
  if (end < seq) throw new Problem(`${end} is before ${seq}`);
  if (length !== end - seq) throw new Problem(`from ${seq} to ${end} it is ${end - seq} bytes, not ${length}`);
  return { seq, end };
}

function readWindow(words: Words, isInjected: boolean): SegmentSpec["window"] {
  const word = words.take("the window");
  const match = /^(\d{1,5})(\+?)$/.exec(word);
  const value = Number(match?.[1] ?? NaN);
  if (!(value <= 65_535)) throw new Problem(`the window "${word}" is not 0 to 65535`);
  const orMore = match?.[2] === "+";
  if (orMore && isInjected) throw new Problem(`a window "${word}" can only be expected`);
  return { value, orMore };
}

function readOptions(words: Words, isInjected: boolean): OptionSpec[] {
  const options: OptionSpec[] = [];
  while (!words.accept(">")) {
    if (options.length > 0) words.expect(",");
    options.push(readOption(words, isInjected));
  }
  return options;
}

function readOption(words: Words, isInjected: boolean): OptionSpec {
  const kind = words.choice("the option", ["mss", "wscale", "sackOK", "TS", "sack", "nop", "eol", "raw"]);
  switch (kind) {
    case "mss":
      return { kind, value: words.integer("the segment size", 0, 65_535) };
    case "wscale":
      if (!isInjected && words.accept("*")) return { kind, shift: "any" };
      return { kind, shift: words.integer("the shift", 0, 255) };
    case "TS":
      words.expect("val");
      return { kind, ...readStamps(words, isInjected) };
    case "sack":
      return { kind, blocks: readBlocks(words) };
    case "raw": {
      const hex = words.take("the bytes");
      if (!/^([0-9a-f]{2})+$/.test(hex)) throw new Problem(`"${hex}" are no bytes: pairs of hexadecimal digits`);
      return { kind, bytes: Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)) };
    }
    default:
      return { kind };
  }
}

function readStamps(words: Words, isInjected: boolean): { readonly value: StampValue; readonly echo: StampValue } {
  const one = (isOwn: boolean): StampValue => {
    if (isInjected && !isOwn && words.accept("last")) return "last";
    if (isInjected && !isOwn && words.accept("first")) return "first";
    if (!isInjected && words.accept("*")) return "any";
    return words.integer("the time stamp", 0, most32);
  };
  const value = one(true);
  words.expect("ecr");
  return { value, echo: one(false) };
}

function readBlocks(words: Words): [number, number][] {
  const blocks: [number, number][] = [];
  while (/^-?\d{1,10}:-?\d{1,10}$/.test(words.next ?? "")) {
    const [left, right] = words.take("the block").split(":").map(Number);
    blocks.push([left ?? 0, right ?? 0]);
  }
  if (blocks.length > 4) throw new Problem(`${blocks.length} blocks: the header has room for four`);
  return blocks;
}

function readMalformation(words: Words, isInjected: boolean): Malformation {
  let badChecksum = false;
  let zeroPort = false;
  let dataOffset: number | undefined;
  let truncate: number | undefined;
  let from: Malformation["from"];
  while (isInjected && words.next !== undefined) {
    if (words.accept("bad-checksum")) badChecksum = true;
    else if (words.accept("zero-port")) zeroPort = true;
    else if (words.accept("offset")) dataOffset = words.integer("the data offset", 0, 15);
    else if (words.accept("truncate")) truncate = words.integer("the length", 0, 1500);
    else if (words.accept("from")) from = words.choice("the source", ["multicast", "broadcast", "subject"] as const);
    else break;
  }
  return { badChecksum, zeroPort, dataOffset, truncate, from };
}

function readIcmp(words: Words): IcmpSpec {
  const peer = readPeer(words);
  const kind = words.choice("the error", icmpKinds);
  const mtu = words.accept("mtu") ? words.integer("the MTU", 0, 65_535) : 0;
  words.expect("quoting");
  return { what: "icmp", kind, peer, mtu, quoting: words.integer("the sequence number", -most32, most32) };
}

const errorKinds = ["refused", "reset", "timeout", "unreachable", "closed", "aborted"] as const;

function readCall(words: Words): CallSpec {
  const name: CallName = words.choice("the call", callNames);
  const call = (value = 0, outcome = "ok", values: readonly number[] = []): CallSpec => ({
    what: "call",
    name,
    value,
    values,
    outcome,
  });
  if (words.accept("fails")) return call(1, `fails ${words.choice("the error", errorKinds)}`);
  switch (name) {
    case "write":
      return call(words.integer("the length", 1, 1 << 24));
    case "read": {
      if (words.accept("end")) return call(1, "end");
      if (words.accept("nothing")) return call(1, "nothing");
      const length = words.integer("the length", 1, 1 << 24);
      return call(length, String(length));
    }
    case "fill":
      return call(words.integer("the size", 1, 65_535));
    case "accept":
    case "connected":
      return words.accept("nothing") ? call(0, "nothing") : call();
    case "nodelay":
    case "cork":
      return call(words.choice("the value", ["on", "off"]) === "on" ? 1 : 0);
    case "keepalive": {
      const value = (what: string): number => words.integer(what, 1, 32_767);
      return call(0, "ok", [value("the idle time"), value("the interval"), value("the count")]);
    }
    case "user-timeout":
      return call(words.integer("milliseconds", 1, 1_000_000));
    case "state":
      return call(0, words.choice("the state", stateNames));
    default:
      return call();
  }
}
