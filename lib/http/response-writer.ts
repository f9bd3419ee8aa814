import type { Flow } from "@tesserae/device/flow";
import { HttpError } from "./fault.ts";
import { OutputBuffer } from "./output-buffer.ts";
import { type PhaseTimer, phaseWrite } from "./phase-timer.ts";

/** What a peer must take within the time for a write: a long body is written in slices of this size. */
const writeSlice = 262_144;
const none = new Uint8Array(0);

/** Writes what a connection says to its flow: what is small is gathered first, what is long is not copied. */
export class ResponseWriter {
  /** What is gathered. A write under way owns it: nothing is added until {@link ResponseWriter.writing} is over. */
  readonly out: OutputBuffer;
  /** Whether the connection is over: whoever waits for a write is told so. */
  over = false;
  readonly #flow: Flow;
  readonly #phases: PhaseTimer;
  readonly #lose: (error: unknown) => void;
  #writing: Promise<void> | undefined = undefined;

  /**
   * @param bytes are its own until {@link ResponseWriter.release}
   * @param lose is told why a write that nobody waits for has failed
   */
  constructor(flow: Flow, bytes: Uint8Array, phases: PhaseTimer, lose: (error: unknown) => void) {
    this.#flow = flow;
    this.out = new OutputBuffer(bytes);
    this.#phases = phases;
    this.#lose = lose;
  }

  /** The write of gathered octets that is under way. Never rejects. */
  get writing(): Promise<void> | undefined {
    return this.#writing;
  }

  /** Starts writing what was gathered; what comes next waits for it. */
  send(more = false): void {
    // The octets in the buffer are on their way already; nothing is added to them until they have gone.
    if (this.#writing !== undefined) return;
    const writing = this.#flow.write(this.out.view(), more).then(this.#written, this.#writeFailed);
    this.#writing = writing;
  }

  readonly #written = (): void => {
    this.#writing = undefined;
    this.out.clear();
  };

  readonly #writeFailed = (error: unknown): void => {
    this.#written();
    this.#lose(error);
  };

  /** Writes what was gathered and waits until it is taken. @throws HttpError (rejects) when the connection is over */
  async flush(more = false): Promise<void> {
    if (this.#writing === undefined && this.out.length > 0) this.send(more);
    if (this.#writing === undefined) return;
    this.#phases.enter(phaseWrite);
    await this.#writing;
    if (this.over) throw new HttpError("closed", "the connection is over");
  }

  /** Writes what was gathered, then `bytes` without a copy. Rejects as `Flow.write`. */
  async writeBehind(bytes: Uint8Array): Promise<void> {
    this.#phases.enter(phaseWrite);
    if (this.out.length > 0) await this.#flow.write(this.out.view(), true);
    this.out.clear();
    let at = 0;
    for (; bytes.length - at > writeSlice; at += writeSlice) {
      await this.#flow.write(bytes.subarray(at, at + writeSlice), true);
      this.#phases.enter(phaseWrite);
    }
    await this.#flow.write(at === 0 ? bytes : bytes.subarray(at));
  }

  /** The flow is over, and all its calls with it. @returns the buffer, which is the caller's */
  release(): Uint8Array {
    const { bytes } = this.out;
    this.out.bytes = none;
    this.out.length = 0;
    return bytes;
  }
}
