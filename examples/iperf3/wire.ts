// What iperf3 says on its control connection: single bytes for its states, and JSON with its length in front.
import type { Flow } from "@tesserae/device/flow";

/** The states that either side announces. */
export const state = {
  testStart: 1,
  testRunning: 2,
  testEnd: 4,
  paramExchange: 9,
  createStreams: 10,
  serverTerminate: 11,
  exchangeResults: 13,
  displayResults: 14,
  iperfDone: 16,
  accessDenied: 255,
} as const;

/** Every connection begins with one: 36 characters and a NUL, the same for all connections of a test. */
export const cookieLength = 37;
const longestJson = 65_536;

/** What a client asks for, as far as we know it. */
export interface TestParameters {
  /** Seconds that are not counted. */
  readonly omit: number;
  /** Streams each way. */
  readonly parallel: number;
  /** Bytes in one write. */
  readonly length: number;
  /** We send. */
  readonly reverse: boolean;
  /** Both send. */
  readonly bidirectional: boolean;
}

export const mostStreams = 128;
const longestBlock = 1_048_576;

/**
 * Reads what a client asks for.
 *
 * @throws RangeError naming what cannot be done here.
 */
export function parseParameters(json: unknown): TestParameters {
  const parameters = typeof json === "object" && json !== null ? json : {};
  const read = (name: string): unknown => Object.entries(parameters).find(([key]) => key === name)?.[1];
  const whole = (name: string, standard: number, least: number, most: number): number => {
    const value = read(name) ?? standard;
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new RangeError(`${name} ${JSON.stringify(value)} is not an integer from ${least} to ${most}`);
  };
  if (read("tcp") !== true) throw new RangeError("only TCP is served");
  return {
    omit: whole("omit", 0, 0, 60),
    parallel: whole("parallel", 1, 1, mostStreams),
    length: whole("len", 131_072, 1, longestBlock),
    reverse: read("reverse") === true || read("reverse") === 1,
    bidirectional: read("bidirectional") === true || read("bidirectional") === 1,
  };
}

/** What one stream came to. */
export interface StreamResult {
  readonly id: number;
  /** Without those of the omitted seconds. */
  readonly bytes: number;
  readonly seconds: number;
}

export function results(streams: readonly StreamResult[], senders: boolean): Uint8Array {
  return frameJson({
    cpu_util_total: 0,
    cpu_util_user: 0,
    cpu_util_system: 0,
    sender_has_retransmits: senders ? 0 : -1,
    streams: streams.map(({ id, bytes, seconds }) => ({
      id,
      bytes,
      retransmits: -1,
      jitter: 0,
      errors: 0,
      packets: 0,
      start_time: 0,
      end_time: seconds,
    })),
  });
}

/** JSON with its length in front. */
export function frameJson(value: unknown): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value));
  const bytes = new Uint8Array(4 + text.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, 4);
  return bytes;
}

/** Exactly so many bytes. @throws TypeError (rejects) when the peer ends before. */
export async function readExactly(flow: Flow, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const got = await flow.read(bytes.subarray(at));
    if (got === 0) throw new TypeError(`the peer ended after ${at} of ${length} bytes`);
    at += got;
  }
  return bytes;
}

/** @throws RangeError (rejects) when it is too long; SyntaxError when it is no JSON. */
export async function readJson(flow: Flow): Promise<unknown> {
  const head = await readExactly(flow, 4);
  const length = new DataView(head.buffer).getUint32(0);
  if (length === 0 || length > longestJson) throw new RangeError(`${length} bytes of JSON`);
  return JSON.parse(new TextDecoder().decode(await readExactly(flow, length)));
}
