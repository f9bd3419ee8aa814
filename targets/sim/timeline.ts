import type { DropReason, FrameEvent, Observer } from "./event.ts";
import { frameText, tcpFacts, type TcpFacts } from "./frame-text.ts";

export interface TimelineOptions {
  /** How many lines are kept: the first half of them, and the last. Default 2000. */
  readonly limit?: number;
  /** Columns of the picture. Default 120. */
  readonly width?: number;
  /** Whether only TCP segments are drawn. Default true. */
  readonly onlyTcp?: boolean;
}

interface Row {
  readonly kind: "frame";
  readonly time: number;
  readonly frame: number;
  readonly from: string;
  readonly text: string;
  /** For a frame nobody got yet: to whom it is addressed, when that host has sent something before. */
  readonly destination: string;
  to: string;
  arrived: number;
  /** What became of it on the way: lost, corrupted … */
  readonly marks: string[];
}

interface NoteRow {
  readonly kind: "note";
  readonly time: number;
  readonly host: string;
  readonly text: string;
}

/** What became of a frame that was dropped. */
const fates: Readonly<Record<DropReason, string>> = {
  loss: "lost",
  queue: "queue full",
  early: "dropped early",
  down: "cut",
  mtu: "too long",
  partition: "cut off",
  page: "lost",
  deaf: "lost",
};

/** Sequence numbers count from the first one seen each way. */
interface Connection {
  first: number;
  last: number;
}

/**
 * A run as a ladder for people: one rung a frame from the host that sent it to the host that got it, TCP sequence
 * numbers counted from the connection's first, losses marked.
 */
export class Timeline implements Observer {
  readonly #limit: number;
  readonly #width: number;
  readonly #onlyTcp: boolean;
  readonly #head: (Row | NoteRow)[] = [];
  readonly #tail: (Row | NoteRow)[] = [];
  readonly #open = new Map<number, Row>();
  readonly #hosts: string[] = [];
  readonly #owners = new Map<string, string>();
  readonly #connections = new Map<string, Connection>();
  #left = 0;

  constructor(options: TimelineOptions = {}) {
    this.#limit = options.limit ?? 2000;
    this.#width = options.width ?? 120;
    this.#onlyTcp = options.onlyTcp ?? true;
    if (!(this.#limit >= 2)) throw new RangeError(`limit ${String(this.#limit)} is below 2`);
    if (!(this.#width >= 60)) throw new RangeError(`width ${String(this.#width)} is below 60`);
  }

  frame(event: FrameEvent): void {
    if (event.kind === "sent") {
      this.#sent(event);
      return;
    }
    const row = this.#open.get(event.frame);
    if (row === undefined) return;
    if (event.kind === "received") {
      if (row.to !== "") {
        row.marks.push(`again at ${clock(event.time)}`);
        return;
      }
      row.to = event.place;
      row.arrived = event.time;
      if (!this.#hosts.includes(event.place)) this.#hosts.push(event.place);
      // Copies come soon if at all; the table is for frames on their way.
      if (this.#open.size > 4096) this.#forgetOldest();
    } else {
      row.marks.push(event.kind === "dropped" ? fates[event.reason ?? "loss"] : event.kind);
    }
  }

  note(time: number, host: string, text: string): void {
    if (host !== "") this.#keep({ kind: "note", time, host, text });
  }

  /** The picture, without a line end at its end. */
  toString(): string {
    const lines: string[] = [];
    const pair = this.#hosts.length === 2;
    if (pair) lines.push(this.#titles());
    const draw = (row: Row | NoteRow): void => {
      if (row.kind === "note") lines.push(`${clock(row.time)} ${row.host}: ${row.text}`);
      else lines.push(pair ? this.#rung(row) : line(row));
    };
    this.#head.forEach(draw);
    if (this.#left > 0) lines.push(`${" ".repeat(12)} … ${this.#left} more …`);
    this.#tail.forEach(draw);
    return lines.join("\n");
  }

  #sent(event: FrameEvent): void {
    const facts = tcpFacts(event.bytes, event.offset, event.length);
    if (facts === undefined && this.#onlyTcp) return;
    if (!this.#hosts.includes(event.place)) this.#hosts.push(event.place);
    if (facts !== undefined) this.#owners.set(facts.source.toString(), event.place);
    const text = facts === undefined ? frameText(event.bytes, event.offset, event.length) : this.#relative(facts);
    const row: Row = {
      kind: "frame",
      time: event.time,
      frame: event.frame,
      from: event.place,
      text,
      destination: facts === undefined ? "" : (this.#owners.get(facts.destination.toString()) ?? ""),
      to: "",
      arrived: 0,
      marks: [],
    };
    this.#open.set(event.frame, row);
    if (this.#open.size > 8192) this.#forgetOldest();
    this.#keep(row);
  }

  #forgetOldest(): void {
    const oldest = this.#open.keys().next();
    if (oldest.done !== true) this.#open.delete(oldest.value);
  }

  #keep(row: Row | NoteRow): void {
    const half = this.#limit >> 1;
    if (this.#head.length < half) {
      this.#head.push(row);
      return;
    }
    this.#tail.push(row);
    if (this.#tail.length > half * 2) this.#left += this.#tail.splice(0, half).length;
  }

  /** `S seq=0 win=65535 mss=1460`, numbers counted from the first of the connection. */
  #relative(facts: TcpFacts): string {
    const near = `${facts.source.toString()}:${facts.sourcePort}`;
    const far = `${facts.destination.toString()}:${facts.destinationPort}`;
    const out = this.#connection(`${near}>${far}`, facts.sequence, facts.flags.includes("S"));
    const back = facts.hasAcknowledgement
      ? this.#connection(`${far}>${near}`, facts.acknowledgement, false)
      : undefined;
    const sequence = (facts.sequence - out.first) >>> 0;
    const again = facts.length > 0 && ((sequence + facts.length - out.last) | 0) <= 0 ? " (again)" : "";
    if (facts.length > 0 && again === "") out.last = (sequence + facts.length) | 0;
    const range = facts.length > 0 ? `${sequence}-${sequence + facts.length}` : String(sequence);
    const acknowledged = back === undefined ? "" : ` ack=${(facts.acknowledgement - back.first) >>> 0}`;
    return `[${facts.flags}] seq=${range}${acknowledged} win=${facts.window}${facts.options}${again}`;
  }

  #connection(key: string, number: number, restart: boolean): Connection {
    let connection = this.#connections.get(key);
    if (connection === undefined || (restart && connection.first !== number)) {
      connection = { first: number, last: 0 };
      this.#connections.set(key, connection);
      if (this.#connections.size > 4096) {
        const oldest = this.#connections.keys().next();
        if (oldest.done !== true) this.#connections.delete(oldest.value);
      }
    }
    return connection;
  }

  #titles(): string {
    const [left = "", right = ""] = this.#hosts;
    return `${"ms".padStart(12)}  ${left.padEnd(this.#width - 28 - right.length)}${right}`;
  }

  /** `     12.345  |--- [P.] seq=1-1461 ack=1 ----------->|      62.345`. */
  #rung(row: Row): string {
    const forward = row.from === this.#hosts[0];
    const inner = this.#width - 30;
    const gone = row.to === "" && row.marks.length > 0;
    const marks = row.marks.length === 0 ? "" : ` ${row.marks.join(", ")}`;
    const label = ` ${row.text}${marks} `;
    const room = Math.max(0, inner - label.length - 4);
    const body = label.length > inner - 4 ? label.slice(0, inner - 4) : label;
    const dashes = "-".repeat(room);
    // A frame that was lost stops half way.
    const half = "-".repeat(room >> 1);
    const gap = " ".repeat(Math.max(0, room - (room >> 1) - 1));
    const tail = gone ? (forward ? `${half}X${gap}` : `${gap}X${half}`) : dashes;
    const arrow = forward ? `---${body}${tail}${gone ? " " : ">"}` : `${gone ? " " : "<"}${tail}${body}---`;
    const end = row.to === "" ? "" : clock(row.arrived);
    // Left of the ladder is the left host's time, right of it the right host's.
    const left = forward ? clock(row.time) : end.padStart(12);
    const right = forward ? end : clock(row.time);
    return `${left}  |${arrow}|${right}`.trimEnd();
  }
}

function line(row: Row): string {
  const to = row.to === "" ? row.destination : row.to;
  const fate = row.to === "" ? "" : ` (at ${clock(row.arrived).trim()})`;
  const marks = row.marks.length === 0 ? "" : ` ${row.marks.join(", ")}`;
  return `${clock(row.time)}  ${row.from} > ${to === "" ? "?" : to}${fate}  ${row.text}${marks}`;
}

function clock(time: number): string {
  return time.toFixed(3).padStart(12);
}
