import type { Clock } from "@tesserae/device/clock";
import { Memo } from "../authoritative/memo.ts";
import { rcode } from "../wire.ts";
import type { Resolution } from "./recursive.ts";

/** Of answers, within the memory for what was learnt; a power of two. */
const memoBytes = 4 * 2 ** 20;

/**
 * Remembers answers over UDP by the bytes of their queries, until the next second begins: so long times to live stay what
 * they are. Only answers whose records last longer than that are remembered, so none outlives them.
 */
export class ReplyMemo {
  readonly #memo = new Memo(memoBytes);
  readonly #clock: Clock;
  #second = -1;
  #forgotten = 0;
  #generation = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Where {@link at} is. Valid until the next call; not to be written to. */
  get bytes(): Uint8Array {
    return this.#memo.bytes;
  }

  get at(): number {
    return this.#memo.at;
  }

  get hits(): number {
    return this.#memo.hits;
  }

  /**
   * Finds what was remembered for the query, and gives it the query's identifier.
   *
   * @param forgotten another number when what was remembered before counts no more
   * @returns the length of the answer, which is at {@link at} of {@link bytes}; 0 when there is none.
   */
  recall(query: Uint8Array, offset: number, length: number, forgotten: number): number {
    const second = Math.floor(this.#clock.now() / 1000);
    if (second !== this.#second || forgotten !== this.#forgotten) {
      this.#second = second;
      this.#forgotten = forgotten;
      this.#generation = (this.#generation + 1) >>> 0;
    }
    return length < 12 ? 0 : this.#memo.recall(query, offset, length, 0, 0, this.#generation);
  }

  /** Remembers the answer to the query that {@link recall} was last asked for, if it may. */
  remember(query: Uint8Array, offset: number, length: number, reply: Uint8Array, resolution: Resolution): void {
    if (length < 12 || !lastsASecond(resolution)) return;
    this.#memo.remember(query, offset, length, 0, 0, this.#generation, reply, 0, reply.length);
  }
}

function lastsASecond({ rcode: code, answers, authorities }: Resolution): boolean {
  if (code !== rcode.noError && code !== rcode.nameError) return false;
  if (answers.length + authorities.length === 0) return false;
  // Seconds are rounded up.
  return answers.every(({ ttl }) => ttl > 1) && authorities.every(({ ttl }) => ttl > 1);
}
