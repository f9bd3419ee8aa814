import type { FrameEvent, Observer } from "./event.ts";
import { frameText, tcpFacts, type TcpFacts } from "./frame-text.ts";

/** What a frame is drawn as. */
export const frameKinds = ["data", "ack", "control", "reset", "other", "arp"] as const;

/** One frame on a {@link PageRecord}: short names, as there are many. */
export interface PageFrame {
  /** The number of the frame. */
  readonly n: number;
  /** When it was sent, in virtual milliseconds, and by which lane. */
  readonly t: number;
  readonly f: number;
  /** An index of {@link frameKinds}. */
  readonly k: number;
  readonly x: string;
  /** 1 for a segment whose bytes were sent before. */
  readonly r: 0 | 1;
  /** Where it was to go, or did: a lane; −1 when that is not known. */
  to: number;
  /** When it arrived; −1: it did not. */
  a: number;
  /** Why not, in a word; else what happened to it on the way. */
  w: string;
}

export interface PageNote {
  readonly t: number;
  /** The lane of the host, or −1 for the world. */
  readonly f: number;
  readonly x: string;
}

export interface PageBand {
  readonly x: string;
  readonly t: number;
  /** −1: it was not over when the run was. */
  e: number;
}

/** What a page about a run is made from. */
export interface PageRecord {
  readonly lanes: readonly string[];
  readonly frames: readonly PageFrame[];
  readonly notes: readonly PageNote[];
  readonly bands: readonly PageBand[];
  /** Frames and notes that there was no room for, between the first and the last ones. */
  readonly left: number;
}

export interface PageLimits {
  /** Frames kept: the first half of them, and the last. Default 20,000. */
  readonly frames?: number;
  /** Notes and bands kept, the first ones of each. Default 5000. */
  readonly notes?: number;
}

/** Frames on their way that are remembered. */
const mostOpen = 8192;
const mostLanes = 256;
const longestText = 200;

interface Way {
  /** Behind the highest number sent. */
  last: number;
  first: number;
}

/** Records a run for a page: frames from lane to lane, what hosts said, and what lasted. */
export class PageRecorder implements Observer {
  readonly #most: number;
  readonly #mostNotes: number;
  readonly #lanes: string[] = [];
  readonly #laneOf = new Map<string, number>();
  readonly #owners = new Map<string, number>();
  readonly #head: PageFrame[] = [];
  readonly #tail: PageFrame[] = [];
  readonly #open = new Map<number, PageFrame>();
  readonly #ways = new Map<string, Way>();
  readonly #notes: PageNote[] = [];
  readonly #bands: PageBand[] = [];
  #left = 0;

  /** @throws RangeError when a limit is below 2. */
  constructor(limits: PageLimits = {}) {
    this.#most = limits.frames ?? 20_000;
    this.#mostNotes = limits.notes ?? 5000;
    if (!(this.#most >= 2 && this.#mostNotes >= 2))
      throw new RangeError("a page has room for two frames and notes at least");
  }

  get record(): PageRecord {
    const frames = [...this.#head, ...this.#tail];
    return { lanes: this.#lanes, frames, notes: this.#notes, bands: this.#bands, left: this.#left };
  }

  frame(event: FrameEvent): void {
    if (event.kind === "sent") {
      this.#sent(event);
      return;
    }
    const known = this.#open.get(event.frame);
    if (known === undefined) return;
    if (event.kind === "received") {
      if (known.a >= 0) return;
      known.to = this.#lane(event.place);
      known.a = event.time;
      if (known.w !== "" && !known.w.startsWith("dup")) return;
      this.#open.delete(event.frame);
    } else {
      const what = event.kind === "dropped" ? (event.reason ?? "lost") : event.kind;
      // A copy that is dropped where another has arrived is no loss.
      if (known.a < 0 && !known.w.includes(what)) known.w = known.w === "" ? what : `${known.w}, ${what}`;
    }
  }

  note(time: number, host: string, text: string): void {
    // Tasks and what lasts are told otherwise.
    if (host === "" && /^(begin|end|lose|on:|off:) ?/.test(text)) return;
    if (this.#notes.length >= this.#mostNotes) {
      this.#left++;
      return;
    }
    this.#notes.push({ t: time, f: host === "" ? -1 : this.#lane(host), x: text.slice(0, longestText) });
  }

  condition(time: number, text: string, on: boolean): void {
    if (on) {
      if (this.#bands.length < this.#mostNotes) this.#bands.push({ x: text.slice(0, longestText), t: time, e: -1 });
      return;
    }
    const band = this.#bands.findLast((each) => each.e < 0 && each.x === text.slice(0, longestText));
    if (band !== undefined) band.e = time;
  }

  #sent(event: FrameEvent): void {
    const facts = tcpFacts(event.bytes, event.offset, event.length);
    const lane = this.#lane(event.place);
    if (facts !== undefined) this.#owners.set(facts.source.toString(), lane);
    const isRepeated = facts !== undefined && this.#isRepeated(facts);
    const text = facts === undefined ? frameText(event.bytes, event.offset, event.length) : this.#segmentText(facts);
    const frame: PageFrame = {
      n: event.frame,
      t: event.time,
      f: lane,
      k: facts === undefined ? (text.startsWith("ARP") ? 5 : 4) : kindOf(facts),
      x: text.slice(0, longestText),
      r: isRepeated ? 1 : 0,
      to: facts === undefined ? -1 : (this.#owners.get(facts.destination.toString()) ?? -1),
      a: -1,
      w: "",
    };
    this.#open.set(event.frame, frame);
    if (this.#open.size > mostOpen) forgetOldest(this.#open);
    const half = this.#most >> 1;
    if (this.#head.length < half) {
      this.#head.push(frame);
      return;
    }
    this.#tail.push(frame);
    if (this.#tail.length > half * 2) this.#left += this.#tail.splice(0, half).length;
  }

  #isRepeated({ source, sourcePort, destination, destinationPort, sequence, length, flags }: TcpFacts): boolean {
    const span = length + (flags.includes("S") ? 1 : 0) + (flags.includes("F") ? 1 : 0);
    const key = `${source.toString()}:${sourcePort}>${destination.toString()}:${destinationPort}`;
    if (span === 0 && this.#ways.has(key)) return false;
    const end = (sequence + span) | 0;
    const way = this.#ways.get(key);
    if (way === undefined || (flags.includes("S") && way.first !== (sequence | 0))) {
      this.#ways.set(key, { first: sequence | 0, last: end });
      if (this.#ways.size > mostOpen) forgetOldest(this.#ways);
      return false;
    }
    if (((end - way.last) | 0) <= 0) return true;
    way.last = end;
    return false;
  }

  /** Numbers count from the first one seen each way. */
  #segmentText(facts: TcpFacts): string {
    const { flags, sequence, length, window, acknowledgement, hasAcknowledgement, sourcePort, destinationPort } = facts;
    const near = `${facts.source.toString()}:${sourcePort}`;
    const far = `${facts.destination.toString()}:${destinationPort}`;
    const from = (sequence - (this.#ways.get(`${near}>${far}`)?.first ?? 0)) >>> 0;
    const back = (acknowledgement - (this.#ways.get(`${far}>${near}`)?.first ?? 0)) >>> 0;
    const range = length === 0 ? String(from) : `${from}-${from + length}`;
    const ack = hasAcknowledgement ? ` ack=${back}` : "";
    return `[${flags}] ${range}${ack} win=${window}${facts.options} ${sourcePort}>${destinationPort}`;
  }

  #lane(name: string): number {
    let lane = this.#laneOf.get(name);
    if (lane !== undefined) return lane;
    // All that there is no room for share the last.
    lane = Math.min(this.#lanes.length, mostLanes - 1);
    if (this.#lanes.length < mostLanes) this.#lanes.push(name);
    else this.#lanes[lane] = "others";
    this.#laneOf.set(name, lane);
    return lane;
  }
}

function forgetOldest(map: Map<unknown, unknown>): void {
  const oldest = map.keys().next();
  if (oldest.done !== true) map.delete(oldest.value);
}

function kindOf({ flags, length }: TcpFacts): number {
  if (flags.includes("R")) return 3;
  if (flags.includes("S") || flags.includes("F")) return 2;
  return length > 0 ? 0 : 1;
}
