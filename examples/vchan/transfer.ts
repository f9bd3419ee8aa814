import type { Timers } from "@tesserae/device/clock";
import type { Crypto } from "@tesserae/device/crypto";
import type { Flow } from "@tesserae/device/flow";
import type { Random } from "@tesserae/device/random";

// Bytes one way over any flow, timed by the end that asks. A request is 5 bytes: what, and how many bytes (network order).
//   send:     request, bytes →; ← one byte, when all are there; ← their digest
//   receive:  request →; ← digest; one byte →; ← bytes
// Digests (SHA-256) are made before and after what is timed.

/** Bytes of a transfer at most: both ends hold them. */
export const mostBytes = 2 ** 25;
const requests = { send: 1, receive: 2 } as const;
const requestBytes = 5;
const digestBytes = 32;
/** Bytes of a write. */
const chunk = 65_536;

export type Direction = keyof typeof requests;

/** What an end needs of its devices. */
export interface Tools {
  readonly timers: Timers;
  readonly random: Random;
  readonly crypto: Crypto;
}

/** What came of a transfer, as the end that asked knows it. */
export interface Outcome {
  readonly milliseconds: number;
  /** Of what was sent and what was received: the same, or the flow has changed bytes. */
  readonly sent: string;
  readonly received: string;
}

/** Serves requests until there are no more. @throws FlowError, TypeError (rejects) for a request that is none. */
export async function answer(flow: Flow, { random, crypto }: Tools, onDone: (text: string) => void): Promise<void> {
  for (;;) {
    const request = new Uint8Array(requestBytes);
    const first = await flow.read(request);
    if (first === 0) return;
    await fill(flow, request, first);
    const size = new DataView(request.buffer).getUint32(1);
    if (size > mostBytes) throw new TypeError(`${size} bytes are asked for`);
    const bytes = new Uint8Array(size);
    if (request[0] === requests.send) {
      await fill(flow, bytes);
      await flow.write(new Uint8Array(1));
      const digest = crypto.hash("sha256", bytes);
      await flow.write(digest);
      onDone(`received ${size} bytes, sha256 ${hexadecimal(digest)}`);
    } else if (request[0] === requests.receive) {
      random.fill(bytes);
      const digest = crypto.hash("sha256", bytes);
      await flow.write(digest);
      await fill(flow, request.subarray(0, 1));
      await send(flow, bytes);
      onDone(`sent ${size} bytes, sha256 ${hexadecimal(digest)}`);
    } else throw new TypeError(`there is no request ${request[0] ?? 0}`);
  }
}

/** One transfer. @throws FlowError, RangeError (rejects) for more than {@link mostBytes}. */
export async function ask(flow: Flow, tools: Tools, direction: Direction, size: number): Promise<Outcome> {
  if (!(size >= 0 && size <= mostBytes)) throw new RangeError(`${size} bytes are not from 0 to ${mostBytes}`);
  const { timers, random, crypto } = tools;
  const request = new Uint8Array(requestBytes);
  request[0] = requests[direction];
  new DataView(request.buffer).setUint32(1, size);
  const bytes = new Uint8Array(size);
  const theirs = new Uint8Array(digestBytes);
  if (direction === "send") random.fill(bytes);
  let start = timers.now();
  await flow.write(request);
  if (direction === "send") {
    await send(flow, bytes);
    await fill(flow, new Uint8Array(1));
  } else {
    await fill(flow, theirs);
    start = timers.now();
    await flow.write(new Uint8Array(1));
    await fill(flow, bytes);
  }
  const milliseconds = timers.now() - start;
  if (direction === "send") await fill(flow, theirs);
  const [own, other] = [hexadecimal(crypto.hash("sha256", bytes)), hexadecimal(theirs)];
  return direction === "send"
    ? { milliseconds, sent: own, received: other }
    : { milliseconds, sent: other, received: own };
}

async function send(flow: Flow, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += chunk) await flow.write(bytes.subarray(at, at + chunk));
}

/** Reads all of `into[offset …)`. @throws TypeError (rejects) when the flow ends before. */
async function fill(flow: Flow, into: Uint8Array, offset = 0): Promise<void> {
  for (let at = offset; at < into.length;) {
    const count = await flow.read(into.subarray(at));
    if (count === 0) throw new TypeError(`the other end left after ${at} of ${into.length} bytes`);
    at += count;
  }
}

function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
