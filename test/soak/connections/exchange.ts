import type { Choices } from "@tesserae/sim/choices";
import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Tcp } from "@tesserae/device/tcp";
import { sleep } from "@tesserae/time/sleep";

/** What a connection does. The client tells the server in its first bytes. */
export interface Exchange {
  readonly ending: Ending;
  /** Bytes from the client, its first ones not counted, and bytes from the server. */
  readonly up: number;
  readonly down: number;
  /** Bytes after which an abort or an early close happens. */
  readonly cut: number;
  /** Milliseconds that the client waits between reads. */
  readonly pause: number;
}

const endings = [
  /** The client sends all and ends; then the server answers and ends. */
  "in turn",
  /** Both send at once, each ends when it is done, and reads on. */
  "at once",
  /** The client resets the connection in the middle. */
  "client aborts",
  /** The server does. */
  "server aborts",
  /** The client closes and does not read the answer. */
  "client leaves",
] as const;
type Ending = (typeof endings)[number];

export const port = 7000;
const largest = 2 ** 20;
const usual = 2 ** 14;
const headerSize = 13;
const pieceSize = 16_384;
/** So that the dead are noticed by those that only read. */
const keepAlive = 20_000;

/** Bytes whose runs do not repeat, and how to begin at another place in each connection. */
const pattern = new Uint8Array(pieceSize + 256).map((_, at) => Math.imul(at + 1, 0x9e3779b1) >>> 24);

/** What one connection of a run does. */
export function drawExchange(choices: Choices, name: string): Exchange {
  const ending = choices.pick(`${name}.ending`, endings);
  // Most are short: there are to be many of them.
  const most = choices.chance(`${name}.long`, 0.05) ? largest : usual;
  return {
    ending,
    up: choices.size(`${name}.up`, 0, most),
    down: choices.size(`${name}.down`, 0, most),
    cut: ending.endsWith("aborts") ? choices.size(`${name}.cut`, 0, most) : 0,
    pause: choices.chance(`${name}.slow`, 0.05) ? choices.size(`${name}.pause`, 1, 2000) : 0,
  };
}

/**
 * The client's side. Resolves when all is as it should be, and rejects with what the flow rejects with.
 *
 * @throws Error (rejects) when the answer has another length than it should.
 */
export async function exchange(
  tcp: Tcp,
  timers: Timers,
  address: IpAddress,
  what: Exchange,
  started: (flow: Flow) => void,
): Promise<void> {
  const flow = await tcp.connect({ address, port, keepAlive });
  started(flow);
  try {
    await flow.write(header(what), true);
    const { ending, up, down, cut, pause } = what;
    if (ending === "client aborts") {
      await send(flow, Math.min(cut, up));
      flow.abort();
      return;
    }
    const sent = send(flow, up).then(() => flow.end());
    // Whoever reads hears of it too; this one may be the second to be told.
    sent.catch(() => undefined);
    if (ending === "client leaves") {
      await sent;
      await flow.close();
      return;
    }
    if (ending === "in turn") await sent;
    const got = await receive(flow, timers, pause);
    await sent;
    if (got !== down) throw new Error(`the client got ${got} bytes of ${down}, and then the end`);
    await flow.close();
  } catch (error) {
    flow.abort();
    throw error;
  }
}

/** The server's side. As {@link exchange}. */
export async function answer(flow: Flow, timers: Timers): Promise<void> {
  try {
    const what = await readHeader(flow);
    if (what === undefined) {
      await flow.close();
      return;
    }
    const { ending, up, down, cut } = what;
    if (ending === "server aborts") {
      await send(flow, Math.min(cut, down));
      flow.abort();
      return;
    }
    const answered = ending === "in turn" ? undefined : send(flow, down).then(() => flow.end());
    answered?.catch(() => undefined);
    const got = await receive(flow, timers, 0);
    if (got !== up) throw new Error(`the server got ${got} bytes of ${up}, and then the end`);
    if (answered === undefined) {
      await send(flow, down);
      await flow.end();
    } else await answered;
    await flow.close();
  } catch (error) {
    flow.abort();
    throw error;
  }
}

async function send(flow: Flow, bytes: number): Promise<void> {
  const from = flow.local.port & 255;
  for (let sent = 0; sent < bytes; sent += pieceSize) {
    await flow.write(pattern.subarray(from, from + Math.min(pieceSize, bytes - sent)));
  }
}

async function receive(flow: Flow, timers: Timers, pause: number): Promise<number> {
  const buffer = new Uint8Array(65_536);
  let got = 0;
  for (;;) {
    const length = await flow.read(buffer);
    if (length === 0) return got;
    got += length;
    if (pause > 0) await sleep(timers, pause);
  }
}

function header({ ending, up, down, cut }: Exchange): Uint8Array {
  const bytes = new Uint8Array(headerSize);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, endings.indexOf(ending));
  view.setUint32(1, up);
  view.setUint32(5, down);
  view.setUint32(9, cut);
  return bytes;
}

/** @returns undefined when the client has ended before it said anything, which it does not do. */
async function readHeader(flow: Flow): Promise<Exchange | undefined> {
  const bytes = new Uint8Array(headerSize);
  for (let got = 0; got < headerSize;) {
    const length = await flow.read(bytes.subarray(got));
    if (length === 0) {
      if (got === 0) return undefined;
      throw new Error(`the server got ${got} bytes of the first ${headerSize}, and then the end`);
    }
    got += length;
  }
  const view = new DataView(bytes.buffer);
  const ending = endings[view.getUint8(0)];
  if (ending === undefined) throw new Error("the server got another first byte than the client sends");
  return { ending, up: view.getUint32(1), down: view.getUint32(5), cut: view.getUint32(9), pause: 0 };
}
