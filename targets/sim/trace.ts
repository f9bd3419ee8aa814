import type { FrameEvent, Observer } from "./event.ts";
import { frameText } from "./frame-text.ts";

const verbs = {
  sent: "sends",
  received: "gets",
  dropped: "drops",
  corrupted: "corrupts",
  duplicated: "doubles",
  delayed: "delays",
  marked: "marks",
} as const;

/** What a {@link DropReason} means, in words. */
const reasons = {
  loss: "lost",
  queue: "queue full",
  early: "dropped early",
  down: "wire cut",
  mtu: "too long",
  partition: "partition",
  page: "no page",
  deaf: "nobody listens",
} as const;

/**
 * The trace of a run as text: one line an event, with the virtual time, who, and what.
 *
 *     0.000000 client sends #1 ARP who-has 10.0.0.1 tell 10.0.0.2
 *     50.000000 client>lan drops #4 (lost) TCP 10.0.0.2:40000 > 10.0.0.1:80 [S] seq=1 win=65535 len=0
 */
export class TextTrace implements Observer {
  readonly #write: (line: string) => void;

  /** @param write gets each line, without its end */
  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  frame(event: FrameEvent): void {
    const reason = event.reason === undefined ? "" : ` (${reasons[event.reason]})`;
    const text = frameText(event.bytes, event.offset, event.length);
    this.#write(`${instant(event.time)} ${event.place} ${verbs[event.kind]} #${event.frame}${reason} ${text}`);
  }

  note(time: number, host: string, text: string): void {
    // Whatever a host wrote, it is one line.
    const line = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
    this.#write(`${instant(time)} ${host === "" ? "world" : host} | ${line}`);
  }
}

/** Milliseconds with six decimals: nanoseconds. */
export function instant(time: number): string {
  return time.toFixed(6);
}
