import type { Page } from "@tesserae/device/page";

/** One pair of rings and what is behind it: what {@link RingNetif} asks of a queue, at either end. */
export interface RingQueue {
  /** What the other end did wrong: the queue is over. */
  readonly violation: string | undefined;
  /** Frames refused by the other end. */
  readonly refused: number;
  /** Queues a frame; false: there is no room, and the page stays the caller's. */
  send(page: Page, offset: number, length: number): boolean;
  /** Hands on at most `most` frames; returns how many there were. */
  receive(most: number): number;
  /** Lets the other end see what was sent, offered and answered, and signals it if it wants that. */
  flush(): void;
  /** Takes back pages of frames that are sent. */
  reap(): void;
  /** Asks for an event at the next frame; false: there is one already. */
  arm(): boolean;
  /**
   * Gives up what is under way: pages go back, channels are closed.
   *
   * @param isVoid after a resume: channels and mappings are void, and left alone
   */
  close(isVoid: boolean): void;
}

/**
 * A number that is the same for all frames of one connection, for the choice of a queue: from the last bytes of the
 * addresses and from the ports, where those lie without options and extension headers.
 */
export function flowHash(bytes: Uint8Array, offset: number, length: number): number {
  const ip = offset + 14;
  let hash = 0;
  if (bytes[offset + 12] === 0x08 && bytes[offset + 13] === 0 && length >= 38) {
    hash = word(bytes, ip + 12) ^ word(bytes, ip + 16) ^ (bytes[ip + 9] ?? 0);
    if (bytes[ip] === 0x45) hash ^= word(bytes, ip + 20);
  } else if (bytes[offset + 12] === 0x86 && length >= 58) {
    hash = word(bytes, ip + 20) ^ word(bytes, ip + 36) ^ word(bytes, ip + 40) ^ (bytes[ip + 6] ?? 0);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x45d9f3b);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
