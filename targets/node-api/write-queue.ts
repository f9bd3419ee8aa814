import type { Flow } from "@tesserae/device/flow";
import type { Errno } from "./errno.ts";
import { reportUncaught } from "./host.ts";
import { isPromptFlow, type PromptFlow } from "./prompt-stack.ts";

/** Gets 0 or a negative errno, never inside the call that it was given to. */
export type Completion = (status: number) => void;

/** A write that waits for room in the flow. */
interface Waiting {
  readonly chunks: readonly Uint8Array[];
  readonly count: number;
  index: number;
  offset: number;
  readonly complete: Completion;
}

const nothing = new Uint8Array(0);

/** How much of a large write is given to the flow at a time, bytes: what is left can be called back when we close. */
const largestPart = 65_536;

/**
 * Writes to a flow: at once as far as there is room, then part by part. Holds references to what waits, no copies;
 * Node's streams have one write under way at a time, so what waits is the user's own chunk.
 */
export class WriteQueue {
  /** Bytes accepted, whether or not they have been taken by the flow. */
  bytes = 0;
  /** Bytes accepted and not yet taken by the flow. */
  queued = 0;
  readonly #flow: Flow;
  readonly #prompt: PromptFlow | undefined;
  readonly #errno: Errno;
  readonly #onChange: () => void;
  readonly #waiting: Waiting[] = [];
  #shutdown: Completion | undefined;
  #isCancelled = false;

  /** @param onChange is told after `pending` may have changed by itself */
  constructor(flow: Flow, errno: Errno, onChange: () => void) {
    this.#flow = flow;
    this.#prompt = isPromptFlow(flow) ? flow : undefined;
    this.#errno = errno;
    this.#onChange = onChange;
  }

  /** Whether a write or the end is under way. */
  get pending(): boolean {
    return this.#waiting.length > 0 || this.#shutdown !== undefined;
  }

  /**
   * Writes `chunks`, which are the queue's until `complete`.
   *
   * @param isBorrowed the chunks are the queue's during this call only: what must wait is copied.
   * @returns 0 when all was taken at once, and `complete` is not called; 1 when it will be; else a negative errno.
   */
  write(chunks: readonly Uint8Array[], complete: Completion, isBorrowed = false): number {
    let total = 0;
    // How many there are up to the last that is not empty: behind it nothing more is to come.
    let count = 0;
    for (let at = 0; at < chunks.length; at++) {
      const { length } = chunks[at] ?? nothing;
      total += length;
      if (length > 0) count = at + 1;
    }
    let write: Waiting = { chunks, count, index: 0, offset: 0, complete };
    try {
      if (this.#waiting.length === 0 && this.#takeNow(write)) {
        this.bytes += total;
        return 0;
      }
    } catch (error) {
      return this.#errno.of(error);
    }
    this.bytes += total;
    // Not `slice`, which for a Buffer would be a view.
    if (isBorrowed) write = { ...write, chunks: chunks.map((chunk) => new Uint8Array(chunk)) };
    this.#waiting.push(write);
    this.queued = this.#count();
    if (this.#waiting.length === 1) this.#feed(write);
    return 1;
  }

  /** Ends the flow behind what waits. */
  shutdown(complete: Completion): void {
    this.#shutdown = complete;
    if (this.#waiting.length === 0) this.#end();
  }

  /** Writes no more: what waits completes with ECANCELED, from the event loop. */
  cancel(): void {
    this.#isCancelled = true;
    this.queued = 0;
    const canceled = this.#errno.number("ECANCELED");
    const all = this.#waiting.splice(0).map((each) => each.complete);
    if (this.#shutdown !== undefined) all.push(this.#shutdown);
    this.#shutdown = undefined;
    if (all.length === 0) return;
    setImmediate(() => {
      for (const complete of all) finish(complete, canceled);
    });
  }

  /** Takes what there is room for. @returns whether that was all. @throws FlowError */
  #takeNow(write: Waiting): boolean {
    const { chunks, count } = write;
    for (; write.index < count; write.index++, write.offset = 0) {
      const chunk = chunks[write.index];
      if (chunk === undefined || chunk.length === 0) continue;
      if (this.#prompt === undefined) return false;
      const rest = write.offset === 0 ? chunk : chunk.subarray(write.offset);
      write.offset += this.#prompt.writeNow(rest, write.index + 1 < count);
      if (write.offset < chunk.length) return false;
    }
    return true;
  }

  /** Waits until the flow has taken the next part. */
  #feed(write: Waiting): void {
    const chunk = write.chunks[write.index];
    if (chunk === undefined) return;
    const part = chunk.subarray(write.offset, write.offset + largestPart);
    const isLast = write.index + 1 === write.count && write.offset + part.length === chunk.length;
    this.#flow.write(part, !isLast).then(
      () => this.#taken(write, part.length),
      (error: unknown) => this.#fail(error),
    );
  }

  #taken(write: Waiting, length: number): void {
    if (this.#isCancelled) return;
    write.offset += length;
    if (write.offset === write.chunks[write.index]?.length) {
      write.index++;
      write.offset = 0;
    }
    let isDone: boolean;
    try {
      isDone = this.#takeNow(write);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.queued = this.#count();
    if (!isDone) {
      this.#feed(write);
      return;
    }
    this.#waiting.shift();
    const next = this.#waiting[0];
    if (next !== undefined) this.#feed(next);
    else if (this.#shutdown !== undefined) this.#end();
    finish(write.complete, 0);
    this.#onChange();
  }

  #count(): number {
    let total = 0;
    for (const { chunks, index, offset } of this.#waiting) {
      for (let at = index; at < chunks.length; at++) total += chunks[at]?.length ?? 0;
      total -= offset;
    }
    return total;
  }

  #end(): void {
    this.#flow.end().then(
      () => this.#ended(0),
      (error: unknown) => this.#ended(this.#errno.of(error)),
    );
  }

  #ended(status: number): void {
    const complete = this.#shutdown;
    if (complete === undefined) return;
    this.#shutdown = undefined;
    finish(complete, status);
    this.#onChange();
  }

  #fail(error: unknown): void {
    if (this.#isCancelled) return;
    const status = this.#errno.of(error);
    const all = this.#waiting.splice(0);
    this.queued = 0;
    for (const each of all) finish(each.complete, status);
    if (this.#shutdown !== undefined) this.#end();
    this.#onChange();
  }
}

function finish(complete: Completion, status: number): void {
  try {
    complete(status);
  } catch (error) {
    reportUncaught(error);
  }
}
