import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Random } from "@tesserae/device/random";
import type { Tcp } from "@tesserae/device/tcp";
import { frameJson, readExactly, readJson, results, state } from "./wire.ts";

export interface IperfOptions {
  readonly address: IpAddress;
  readonly port: number;
  /** How long to send, in milliseconds. */
  readonly milliseconds: number;
  /** Streams at once. */
  readonly parallel: number;
}

/**
 * The client's side of iperf3's protocol: sends to a server, ours or the original.
 *
 * @returns how many bytes the server says it got
 * @throws TypeError (rejects) when the server does not do as it should; FlowError.
 */
export async function iperf(tcp: Tcp, timers: Timers, random: Random, options: IperfOptions): Promise<number> {
  const { address, port, milliseconds, parallel } = options;
  const cookie = makeCookie(random);
  const open = async (): Promise<Flow> => {
    const flow = await tcp.connect({ address, port });
    await flow.write(cookie);
    return flow;
  };
  const control = await open();
  const expect = async (wanted: number): Promise<void> => {
    const [said] = await readExactly(control, 1);
    if (said !== wanted) throw new TypeError(`the server is in state ${String(said)}, not ${wanted}`);
  };
  await expect(state.paramExchange);
  await control.write(frameJson({ tcp: true, omit: 0, time: milliseconds / 1000, parallel, len: blockSize }));
  await expect(state.createStreams);
  const flows: Flow[] = [];
  for (let index = 0; index < parallel; index++) flows.push(await open());
  await expect(state.testStart);
  await expect(state.testRunning);
  const end = timers.now() + milliseconds;
  const block = new Uint8Array(blockSize);
  const sent = await Promise.all(
    flows.map(async (flow, index) => {
      let bytes = 0;
      for (; timers.now() < end; bytes += block.length) await flow.write(block);
      return { id: index === 0 ? 1 : index + 2, bytes, seconds: milliseconds / 1000 };
    }),
  );
  await control.write(Uint8Array.of(state.testEnd));
  await expect(state.exchangeResults);
  await control.write(results(sent, true));
  const received = bytesOf(await readJson(control));
  await expect(state.displayResults);
  await control.write(Uint8Array.of(state.iperfDone));
  await Promise.all([control, ...flows].map((flow) => flow.close()));
  return received;
}

const blockSize = 65_536;

/** 36 characters, as iperf3 makes them, and a NUL. */
function makeCookie(random: Random): Uint8Array {
  const characters = "abcdefghijklmnopqrstuvwxyz234567";
  const bytes = new Uint8Array(37);
  random.fill(bytes.subarray(0, 36));
  for (let index = 0; index < 36; index++) bytes[index] = characters.charCodeAt((bytes[index] ?? 0) & 31);
  return bytes;
}

function bytesOf(json: unknown): number {
  if (typeof json !== "object" || json === null || !("streams" in json) || !Array.isArray(json.streams)) {
    throw new TypeError("the server's results have no streams");
  }
  let sum = 0;
  // as: an array is one of unknown things
  for (const stream of json.streams as readonly unknown[]) {
    if (typeof stream === "object" && stream !== null && "bytes" in stream) sum += Number(stream.bytes);
  }
  return sum;
}
