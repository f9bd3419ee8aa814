import { differences, isOpening, type Observed, observe, printObserved } from "./observed.ts";
import { buildIcmp, buildSegment, type Ends, type Origins, readSent, type SentSegment } from "./packet.ts";
import { flagAck, type IcmpSpec, type Script, type ScriptLine, type SegmentSpec } from "./script.ts";
import type { Subject } from "./subject.ts";

/** How much of an expected time a subject may be off by, beside its slack. */
const tolerance = 0.05;

/** While a window is filled: how long to wait for an answer, milliseconds, and how often. */
const fillStep = 50;
const fillPatience = 6;

/** A segment of the peer's without anything special. */
const plainSegment: SegmentSpec = {
  what: "segment",
  peer: 1,
  flags: flagAck,
  seq: 1,
  end: 1,
  ack: 1,
  window: undefined,
  urgent: undefined,
  options: undefined,
  ecn: undefined,
  malformed: { badChecksum: false, dataOffset: undefined, truncate: undefined, zeroPort: false, from: undefined },
};

/** What became of one script played to one subject. */
export interface Played {
  /** What was not as the script has it, in order: `12: …`, the line of the script in front. */
  readonly problems: readonly string[];
  /** Everything that happened, a line each. */
  readonly trace: readonly string[];
  /** The segments that answered the lines which expect one, by their place in the script. */
  readonly answers: ReadonlyMap<ScriptLine, Observed>;
  readonly disturbance: number;
}

/** Plays a script to a subject. Goes on after a problem, so that a trace shows as much as possible. */
export async function play(script: Script, subject: Subject): Promise<Played> {
  const player = new Player(script, subject);
  for (const line of script.lines) {
    if (line.only === undefined || line.only.subject === subject.name) await player.step(line);
  }
  await player.finish();
  return { ...player.result(), disturbance: subject.disturbance };
}

class PeerState {
  origins: Origins;
  readonly sent: SentSegment[] = [];
  /** The subject's window scale. */
  scale = 0;

  constructor(peerSequence: number) {
    this.origins = { subjectSequence: 0, subjectStamp: 0, lastStamp: 0, peerSequence, peerOffset: 0 };
  }
}

class Player {
  readonly #script: Script;
  readonly #subject: Subject;
  readonly #problems: string[] = [];
  readonly #trace: string[] = [];
  readonly #answers = new Map<ScriptLine, Observed>();
  readonly #peers = new Map<number, PeerState>();
  readonly #began: number;
  /** When what went before happened, on the subject's clock. */
  #last: number;

  constructor(script: Script, subject: Subject) {
    this.#script = script;
    this.#subject = subject;
    this.#began = subject.now();
    this.#last = this.#began;
  }

  result(): Omit<Played, "disturbance"> {
    return { problems: this.#problems, trace: this.#trace, answers: this.#answers };
  }

  async step(line: ScriptLine): Promise<void> {
    const { action } = line;
    if (action.what === "expect") {
      await this.#expect(line, action.segment);
      return;
    }
    await this.#silence(this.#last + line.after, line);
    this.#last = this.#subject.now();
    if (action.what === "inject") {
      this.#note(line.text);
      await this.#subject.inject(this.#build(action.packet));
      return;
    }
    const outcome =
      action.name === "quiet"
        ? "ok"
        : action.name === "fill"
          ? await this.#fill(action.value)
          : await this.#subject.call(action);
    this.#note(`${line.text}${outcome === "ok" ? "" : ` → ${outcome}`}`);
    if (outcome !== action.outcome) this.#problem(line, `it came to "${outcome}", not "${action.outcome}"`);
  }

  /** Nothing must have been sent that the script does not have. */
  async finish(): Promise<void> {
    await this.#silence(this.#subject.now(), this.#script.lines.at(-1));
  }

  /** Waits until then; whatever is sent meanwhile was not expected. */
  async #silence(deadline: number, line: ScriptLine | undefined): Promise<void> {
    for (;;) {
      await this.#subject.wait(deadline);
      const observed = this.#take();
      if (observed !== undefined) this.#problem(line, `before it, unexpected: ${describe(observed)}`);
      else if (this.#subject.now() >= deadline) return;
    }
  }

  async #expect(line: ScriptLine, segment: SegmentSpec): Promise<void> {
    const { slack } = this.#subject;
    const latest = this.#last + line.until + line.until * tolerance + slack;
    let observed = this.#take();
    while (observed === undefined && this.#subject.now() < latest) {
      await this.#subject.wait(latest);
      observed = this.#take();
    }
    if (observed === undefined) {
      this.#problem(line, `it did not come: ${line.text}`);
      return;
    }
    this.#answers.set(line, observed);
    const wrong = differences(segment, observed, slack * 2 + 1);
    if (observed.after < line.after - line.after * tolerance - slack) {
      wrong.push(`${seconds(observed.after)} s after what went before, not ${seconds(line.after)}`);
    } else if (observed.after > line.until + line.until * tolerance + slack) {
      wrong.push(`${seconds(observed.after)} s after what went before, not ${seconds(line.until)}`);
    }
    if (wrong.length > 0) this.#problem(line, `${wrong.join("; ")}: ${describe(observed)}`);
  }

  /**
   * Sends segments of so many bytes, and what is left over, until the subject's window is shut. The byte behind them
   * has the number 1 from then on.
   */
  async #fill(size: number): Promise<string> {
    const state = this.#peer(1);
    const window = (): number => {
      const sent = state.sent.at(-1);
      if (sent === undefined) return 0;
      const left = (sent.acknowledgement + sent.window * 2 ** state.scale - state.origins.peerSequence) | 0;
      return Math.max(0, left - next);
    };
    let next = 1;
    for (let silence = 0; silence < fillPatience;) {
      const length = Math.min(size, window());
      if (length > 0) {
        const segment = { ...plainSegment, seq: next, end: next + length };
        next += length;
        await this.#subject.inject(this.#build(segment));
      } else {
        await this.#subject.wait(this.#subject.now() + fillStep);
      }
      const heard = state.sent.length;
      while (this.#take() !== undefined);
      silence = length > 0 || state.sent.length > heard ? 0 : silence + 1;
    }
    const { origins } = state;
    const filled = next - 1;
    const { peerSequence, peerOffset } = origins;
    state.origins = { ...origins, peerSequence: peerSequence + filled, peerOffset: peerOffset + filled };
    this.#last = this.#subject.now();
    return state.sent.at(-1)?.window === 0 ? "ok" : "an open window";
  }

  /** The next segment that was sent, in relative numbers. */
  #take(): Observed | undefined {
    for (;;) {
      const emitted = this.#subject.take();
      if (emitted === undefined) return undefined;
      const sent = readSent(emitted.packet);
      if (sent === undefined) continue;
      const peer = this.#peerOf(sent);
      const state = this.#peer(peer);
      this.#learn(state, sent);
      const observed = observe(sent, peer, state.origins, emitted.time - this.#last);
      this.#last = emitted.time;
      this.#trace.push(`${this.#clock(emitted.time)}  > ${printObserved(observed)}`);
      return observed;
    }
  }

  #peerOf(sent: SentSegment): number {
    for (let peer = 1; peer < 1000; peer++) if (this.#subject.peerPort(peer) === sent.peerPort) return peer;
    return 0;
  }

  #learn(state: PeerState, sent: SentSegment): void {
    state.sent.push(sent);
    const isNew = isOpening(sent) && sent.sequence !== state.origins.subjectSequence;
    const stamp = sent.options.find((option) => option.kind === "TS");
    const value = stamp?.kind === "TS" && typeof stamp.value === "number" ? stamp.value : undefined;
    const scale = sent.options.find((option) => option.kind === "wscale");
    if (scale?.kind === "wscale" && typeof scale.shift === "number") state.scale = scale.shift;
    const { origins } = state;
    state.origins = {
      ...origins,
      ...(isNew ? { subjectSequence: sent.sequence } : {}),
      ...(value !== undefined && (isNew || origins.lastStamp === 0) ? { subjectStamp: value } : {}),
      ...(value !== undefined ? { lastStamp: value } : {}),
    };
  }

  #peer(peer: number): PeerState {
    let state = this.#peers.get(peer);
    if (state === undefined) {
      state = new PeerState(this.#script.settings.peerSequence);
      this.#peers.set(peer, state);
    }
    return state;
  }

  #build(packet: SegmentSpec | IcmpSpec): Uint8Array {
    const subject = this.#subject;
    const ends: Ends = {
      family: subject.family,
      subject: subject.address,
      subjectPort: subject.port,
      peer: subject.peerAddress,
      peerPort: subject.peerPort(packet.peer),
    };
    const { origins, sent } = this.#peer(packet.peer);
    if (packet.what === "segment") return buildSegment(packet, ends, origins);
    const wanted = (origins.subjectSequence + packet.quoting) >>> 0;
    return buildIcmp(packet, ends, origins, sent.findLast(({ sequence }) => sequence === wanted)?.packet);
  }

  #problem(line: ScriptLine | undefined, problem: string): void {
    this.#problems.push(`${String(line?.line ?? 0)}: ${problem}`);
    this.#trace.push(`${" ".repeat(9)}  ! ${problem}`);
  }

  #note(text: string): void {
    this.#trace.push(`${this.#clock(this.#subject.now())}  ${text}`);
  }

  #clock(time: number): string {
    return seconds(time - this.#began).padStart(9);
  }
}

function describe(observed: Observed): string {
  return `+${seconds(observed.after)} > ${printObserved(observed)}`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}
