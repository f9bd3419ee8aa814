// What a packet script says, once it is read. The language is described in README.md.

/** Who plays a script: the Linux kernel, or our own stack. */
export type SubjectName = "linux" | "ours";

/** TCP header flags as the scripts write them, in the order in which they are printed. */
export const flagLetters = [
  ["S", 0x02],
  ["F", 0x01],
  ["R", 0x04],
  ["P", 0x08],
  [".", 0x10],
  ["U", 0x20],
  ["E", 0x40],
  ["W", 0x80],
] as const;

export const flagFin = 0x01;
export const flagSyn = 0x02;
export const flagRst = 0x04;
export const flagPsh = 0x08;
export const flagAck = 0x10;
export const flagUrg = 0x20;

/**
 * A time stamp. Of a segment that is injected, TSval is a number as it is on the wire; TSecr is a number of
 * milliseconds after the subject's first TSval, `last` for the one it sent last, 0 for 0. Of one that is expected, the
 * other way about, and `*` for whatever it is.
 */
export type StampValue = number | "first" | "last" | "any";

export type OptionSpec =
  | { readonly kind: "mss"; readonly value: number }
  | { readonly kind: "wscale"; readonly shift: number | "any" }
  | { readonly kind: "sackOK" }
  | { readonly kind: "TS"; readonly value: StampValue; readonly echo: StampValue }
  | { readonly kind: "sack"; readonly blocks: readonly (readonly [number, number])[] }
  | { readonly kind: "nop" }
  | { readonly kind: "eol" }
  /** These bytes, whatever they mean. */
  | { readonly kind: "raw"; readonly bytes: Uint8Array };

/** How a segment that is injected is wrong. */
export interface Malformation {
  readonly badChecksum: boolean;
  /** Data offset in words, instead of the right one. */
  readonly dataOffset: number | undefined;
  /** The packet ends after so many bytes of TCP. */
  readonly truncate: number | undefined;
  /** Source port 0. */
  readonly zeroPort: boolean;
  /** Sent from an address of many: the subject must not answer. */
  readonly from: "multicast" | "broadcast" | "subject" | undefined;
}

/** A segment to inject or to expect. Numbers are relative to each side's initial sequence number. */
export interface SegmentSpec {
  readonly what: "segment";
  /** Which of the peer's ports, from 1. */
  readonly peer: number;
  readonly flags: number;
  readonly seq: number;
  /** Behind the payload. */
  readonly end: number;
  readonly ack: number | undefined;
  /** As on the wire; when expected, exactly or at least. */
  readonly window: { readonly value: number; readonly orMore: boolean } | undefined;
  readonly urgent: number | undefined;
  /** `undefined`: when expected, not looked at by the script; when injected, none. */
  readonly options: readonly OptionSpec[] | undefined;
  /** The two ECN bits of IP. */
  readonly ecn: number | undefined;
  readonly malformed: Malformation;
}

export type IcmpKind = "host" | "port" | "network" | "protocol" | "prohibited" | "too-big" | "time-exceeded";

/** An ICMP error about a segment of the subject's, to inject. */
export interface IcmpSpec {
  readonly what: "icmp";
  readonly kind: IcmpKind;
  readonly peer: number;
  /** Of the next hop, with `too-big`. */
  readonly mtu: number;
  /** The number of the segment it quotes: the last one sent with it, or a forged one. */
  readonly quoting: number;
}

/** What the application does, and what must come of it. */
export interface CallSpec {
  readonly what: "call";
  readonly name: CallName;
  /** A number of bytes, an option's value. */
  readonly value: number;
  readonly values: readonly number[];
  /** What it must come to: `ok`, a number of bytes, `end`, `nothing`, `fails reset`, a state. */
  readonly outcome: string;
}

export const callNames = [
  "listen",
  "accept",
  "connect",
  "connected",
  "write",
  "read",
  "read-all",
  "fill",
  "shutdown",
  "close",
  "abort",
  "stop-listening",
  "nodelay",
  "cork",
  "keepalive",
  "user-timeout",
  "state",
  "quiet",
] as const;
export type CallName = (typeof callNames)[number];

export type Action =
  | { readonly what: "inject"; readonly packet: SegmentSpec | IcmpSpec }
  | { readonly what: "expect"; readonly segment: SegmentSpec }
  | CallSpec;

export interface ScriptLine {
  /** Counted from 1. */
  readonly line: number;
  /** Only this subject does this, and why: the name of a difference that docs/tcp.md lists. */
  readonly only: { readonly subject: SubjectName; readonly difference: string } | undefined;
  /** Milliseconds after what went before; an expected segment may come from `after` to `until`. */
  readonly after: number;
  readonly until: number;
  readonly action: Action;
  readonly text: string;
}

/** What is set before anything happens. */
export interface Settings {
  /** Of the link, in bytes. */
  mtu: number;
  /** The version of IP. */
  family: 4 | 6;
  /** The peer's initial sequence numbers. */
  peerSequence: number;
  congestion: "reno" | "cubic";
  /** Bytes that the application asks to have buffered; 0: the default. */
  receiveBuffer: number;
  sendBuffer: number;
  /** Kernel settings below `net.ipv4`. */
  readonly sysctls: Map<string, string>;
  /** Limits of our own TCP. */
  readonly limits: Map<string, number | boolean | string>;
}

export interface Script {
  /** The path of its file without the extension. */
  readonly name: string;
  /** The comment at its top. */
  readonly title: string;
  readonly settings: Settings;
  readonly lines: readonly ScriptLine[];
}

/** What is wrong in a script, and where. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
  readonly line: number;

  constructor(script: string, line: number, problem: string) {
    super(`${script}.packet:${line}: ${problem}`);
    this.line = line;
  }
}
