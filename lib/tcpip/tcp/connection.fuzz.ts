import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import type { Flow } from "@tesserae/device/flow";
import { Transcript, type TranscriptSegment } from "./transcript.ts";

const flagLetters = [
  "A",
  "PA",
  "FA",
  "S",
  "SA",
  "R",
  "RA",
  "F",
  "",
  "UPA",
  "FSRPAU",
  "A",
  "A",
  "PA",
  "A",
  "A",
] as const;
const jumps = [
  0,
  0,
  0,
  1,
  -1,
  10,
  100,
  1460,
  -1460,
  5000,
  65_535,
  -65_535,
  2 ** 30,
  -(2 ** 30),
  2 ** 31,
  300_000,
] as const;

/** Reads the input as a program of segments, calls and delays. */
class Program {
  readonly #input: Uint8Array;
  #at = 0;

  constructor(input: Uint8Array) {
    this.#input = input;
  }

  get isOver(): boolean {
    return this.#at >= this.#input.length;
  }

  byte(): number {
    return this.#input[this.#at++] ?? 0;
  }
}

function check(t: Transcript): void {
  const { connections, bufferBytes } = t.tcp.statistics;
  if (connections < 0 || connections > 4) throw new Error(`${String(connections)} connections`);
  if (bufferBytes < 0 || bufferBytes > connections * 2 * 131_072 + 8 * 131_072) {
    throw new Error(`${String(bufferBytes)} bytes in buffers`);
  }
  for (const each of t.tcp.connections()) {
    const { inFlight, sendBuffered, receiveBuffered, receiveWindow, outOfOrderBytes } = each;
    // Everything in flight is in the buffer, a SYN and a FIN aside: snd.una ≤ snd.max ≤ snd.una + buffered + 2.
    if (inFlight < 0 || inFlight > sendBuffered + 2) throw new Error(`${String(inFlight)} in flight`);
    if (each.bytesAcknowledged > each.bytesSent) throw new Error("acknowledged what was never sent");
    if (receiveBuffered < 0 || receiveBuffered > 131_072) throw new Error(`${String(receiveBuffered)} unread`);
    if (receiveWindow < 0 || receiveWindow > 131_072) throw new Error(`a window of ${String(receiveWindow)}`);
    if (outOfOrderBytes < 0 || outOfOrderBytes > receiveWindow) throw new Error("early bytes beyond the window");
    if (!Number.isFinite(each.congestionWindow) || each.congestionWindow < 1) throw new Error("no congestion window");
    if (!(each.retransmissionTimeout >= 200 && each.retransmissionTimeout <= 60_000)) throw new Error("a bad timeout");
    if (each.mss < 1) throw new Error("no segment size");
    const { sacked, lost, repeating } = each;
    if (Math.min(sacked, lost, repeating) < 0) throw new Error("a count of bytes is negative");
    if (sacked + lost > inFlight)
      throw new Error(`of ${String(inFlight)} bytes ${String(sacked + lost)} SACKed or lost`);
    if (repeating > inFlight) throw new Error("more is sent again than is out");
    if (each.congestionWindow < each.mss && each.recovery !== "recovery") throw new Error("a window of no segment");
  }
  if (t.errors.length > 0) throw new Error(`thrown: ${String(t.errors[0])}`);
}

const ignore = (): undefined => undefined;

/** Arbitrary segments, calls and delays: nothing throws, nothing grows, and in the end nothing is left. */
export const fuzz: FuzzTarget = {
  name: "tcp-connection",
  seeds: [
    Uint8Array.of(0, 2, 3, 4, 5, 6, 7, 8, 9, 10),
    Uint8Array.of(1, 0, 0, 0, 0, 20, 5, 200, 7, 3, 0, 0, 0, 0, 100),
    Uint8Array.of(3, 7, 9, 0, 0, 0, 2, 0, 0, 0, 50, 8, 255, 8, 255),
    Uint8Array.of(
      0x20,
      4,
      200,
      4,
      200,
      0x20,
      0,
      3,
      0,
      200,
      10,
      10,
      40,
      60,
      5,
      8,
      20,
      0x50,
      0,
      0xf2,
      0,
      200,
      3,
      90,
      8,
      90,
    ),
    Uint8Array.of(
      0x21,
      4,
      255,
      0x60,
      0,
      1,
      0,
      255,
      15,
      90,
      8,
      16,
      0x60,
      0,
      1,
      0,
      255,
      15,
      90,
      8,
      30,
      0x10,
      0,
      0,
      0,
      255,
    ),
    Uint8Array.of(2, 4, 40, 5, 10, 6, 0, 2, 0, 0, 0, 0, 8, 100),
  ],
  async run(input) {
    const program = new Program(input);
    const mode = program.byte();
    const limits = { receiveBuffer: 65_536, maxReceiveBuffer: 131_072, sendBuffer: 65_536, maxSendBuffer: 131_072 };
    const t = new Transcript({ ...limits, maxConnections: 4, maxHalfOpen: 2, timestamps: (mode & 1) !== 0 });
    const timestamp = (mode & 1) === 0 ? {} : { timestamp: { value: 1, echo: 0 } };
    const flows: Flow[] = [];
    const arrive = (segment: TranscriptSegment): void => t.receive({ ...timestamp, ...segment });
    if ((mode & 2) === 0) {
      await t.listen(mode & 4 ? { keepAlive: 5000 } : {});
      arrive({ flags: "S", seq: 0, mss: 1460, windowShift: mode >>> 4, sackPermitted: (mode & 32) !== 0 });
      t.take();
      if ((mode & 8) === 0) arrive({ flags: "A", seq: 1, ack: 1 });
    } else {
      void t.connect().then((flow) => void flows.push(flow), ignore);
      t.take();
      if ((mode & 8) === 0) {
        arrive({ flags: "SA", seq: 0, ack: 1, mss: 1460, windowShift: mode >>> 4, sackPermitted: (mode & 32) !== 0 });
      }
    }
    let theirs = 1;
    for (let steps = 0; !program.isOver && steps < 200; steps++) {
      const operation = program.byte();
      flows.push(...t.accepted.splice(0));
      const flow = flows[0];
      switch (operation % 10) {
        case 0:
        case 1:
        case 2:
        case 3: {
          // Near the truth: numbers of the connection, moved by a jump.
          const info = t.tcp.connections()[0];
          const flags = flagLetters[program.byte() & 15] ?? "";
          const where = program.byte();
          const seq = theirs + (jumps[where & 15] ?? 0);
          const ack =
            1 + (info?.bytesAcknowledged ?? 0) + (operation & 16 ? (info?.inFlight ?? 0) : (jumps[where >>> 4] ?? 0));
          const length = program.byte() * 6;
          const sack: [number, number][] = [];
          if ((mode & 32) !== 0) {
            for (let block = where & 3; block > 0; block--) {
              const left = ack + (operation & 32 ? program.byte() * 97 : (jumps[program.byte() & 15] ?? 0));
              sack.push([left, left + (operation & 64 ? program.byte() * 97 : (jumps[program.byte() & 15] ?? 0))]);
            }
          }
          arrive({ flags, seq, ack, win: program.byte() * 257, length, sack });
          theirs = 1 + (t.tcp.connections()[0]?.bytesReceived ?? theirs - 1);
          break;
        }
        case 4:
          void flow?.write(new Uint8Array(program.byte() * 97), (operation & 16) !== 0).catch(ignore);
          break;
        case 5:
          void flow?.read(new Uint8Array(1 + program.byte() * 31)).catch(ignore);
          break;
        case 6:
          if (operation & 64) void flow?.close();
          else void flow?.end().catch(ignore);
          break;
        case 7:
          t.ip.deliverError(
            (["packet-too-big", "unreachable-port", "time-exceeded", "unreachable-host"] as const)[operation >>> 6]!,
            t.sent.at(-1)?.bytes.slice(0, 8) ?? new Uint8Array(8),
            program.byte() * 7,
          );
          break;
        case 8:
          t.ip.hasPages = (operation & 16) === 0 || (operation & 32) === 0;
          await t.advance(program.byte() ** 2);
          t.ip.hasPages = true;
          break;
        default:
          t.tcp.flush();
          await t.turn();
      }
      while (t.sent.length > 1) t.take();
      check(t);
    }
    await t.turn();
    await t.tcp.close();
    for (const flow of [...flows, ...t.accepted]) flow.abort();
    const { connections, halfOpen, timeWait, bufferBytes } = t.tcp.statistics;
    const left = { connections, halfOpen, timeWait, bufferBytes, timers: t.scheduler.pending, pages: t.ip.pagesOut };
    for (const [name, count] of Object.entries(left))
      if (count !== 0) throw new Error(`${name}: ${String(count)} left`);
  },
};
