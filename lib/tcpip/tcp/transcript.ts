/**
 * A rig for tests that read like a packet trace: one TCP in virtual time, and a peer that is the test.
 *
 * Sequence numbers are relative: ours count from our initial sequence number, the peer's from 0.
 */

import { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Random } from "@tesserae/device/random";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { MemoryIp } from "./memory-ip.ts";
import type { OwnConnectOptions, OwnListenOptions } from "./options.ts";
import { createTcp, type TcpHost, type TcpNeeds } from "./tcp.ts";
import { pseudoHeaderSum } from "./transmitter.ts";
import {
  emitOptions,
  flagAck,
  flagCwr,
  flagEce,
  flagFin,
  flagPsh,
  flagRst,
  flagSyn,
  flagUrg,
  headerSize,
  type OptionsRecord,
  parseSegment,
  writeHeader,
} from "./wire.ts";

/** One segment, as a test writes it and as it is compared. */
export interface TranscriptSegment extends OptionsRecord {
  /** Some of S F R P A U E C. */
  readonly flags: string;
  readonly seq?: number;
  readonly ack?: number;
  /** As on the wire. */
  readonly win?: number;
  /** Bytes of payload: that many of `fill`, or these. */
  readonly length?: number;
  readonly data?: Uint8Array;
  /** The ECN bits of the IP header: default 0. */
  readonly ecn?: number;
}

const letters = [
  ["S", flagSyn],
  ["F", flagFin],
  ["R", flagRst],
  ["P", flagPsh],
  ["A", flagAck],
  ["U", flagUrg],
  ["E", flagEce],
  ["C", flagCwr],
] as const;

/** Always the same: what it makes unpredictable is not what a transcript looks at. */
class FixedRandom implements Random {
  fill(bytes: Uint8Array): void {
    bytes.fill(7);
  }

  uint32(): number {
    return 4;
  }
}

export const ownAddress: IpAddress = IpAddress.parse("192.0.2.1");
export const peerAddress: IpAddress = IpAddress.parse("192.0.2.2");

export class Transcript {
  readonly clock: VirtualClock = new VirtualClock();
  readonly errors: unknown[] = [];
  readonly scheduler: Scheduler = new Scheduler(this.clock, { onError: (error) => this.errors.push(error) });
  readonly ip: MemoryIp;
  readonly tcp: TcpHost;
  /** Our port and the peer's. */
  port = 80;
  peerPort = 40_000;
  /** Our initial sequence number, known from our first SYN on. */
  iss = 0;
  /** What we have sent and the test has not looked at yet. */
  readonly sent: { readonly bytes: Uint8Array; readonly time: number; readonly ecn: number }[] = [];
  /** Flows that were accepted. */
  readonly accepted: Flow[] = [];

  constructor(options: Partial<TcpNeeds> = {}) {
    this.ip = new MemoryIp(ownAddress, peerAddress, (bytes, offset, length, choices) => {
      const ecn = choices.ecn ?? 0;
      this.sent.push({ bytes: bytes.slice(offset, offset + length), time: this.clock.now(), ecn });
    });
    this.tcp = createTcp({
      ip: this.ip,
      timers: this.scheduler,
      random: new FixedRandom(),
      report: (error) => this.errors.push(error),
      timestamps: false,
      // Transcripts acknowledge in heaps, and look at what that allows.
      pacing: false,
      ...options,
    });
  }

  async listen(options: Partial<OwnListenOptions> = {}): Promise<void> {
    await this.tcp.listen({ port: this.port, ...options }, (flow) => void this.accepted.push(flow));
  }

  /** Starts connecting to the peer; the SYN is in `sent`. */
  connect(options: Partial<OwnConnectOptions> = {}): Promise<Flow> {
    this.peerPort = 80;
    const connecting = this.tcp.connect({ address: peerAddress, port: 80, ...options });
    const syn = this.sent.at(-1)?.bytes;
    if (syn !== undefined) this.port = ((syn[0] ?? 0) << 8) | (syn[1] ?? 0);
    return connecting;
  }

  /** A segment of the peer's arrives. */
  receive(segment: TranscriptSegment): void {
    const bytes = this.build(segment);
    this.ip.deliver(bytes, 0, bytes.length, peerAddress, segment.ecn);
  }

  /** The bytes of a segment of the peer's. */
  build(segment: TranscriptSegment): Uint8Array {
    // SACK blocks are of our numbers.
    const sack = segment.sack?.map(([left, right]) => [this.iss + left, this.iss + right] as const);
    const options = emitOptions({ ...segment, ...(sack === undefined ? {} : { sack }) });
    const payload = segment.data ?? new Uint8Array(segment.length ?? 0).fill(120);
    const headerLength = headerSize + options.length;
    const bytes = new Uint8Array(headerLength + payload.length);
    let flags = 0;
    for (const [letter, mask] of letters) if (segment.flags.includes(letter)) flags |= mask;
    const ack = segment.ack === undefined ? 0 : this.iss + segment.ack;
    writeHeader(bytes, 0, this.peerPort, this.port, segment.seq ?? 0, ack, headerLength, flags, segment.win ?? 65_535);
    bytes.set(options, headerSize);
    bytes.set(payload, headerLength);
    const sum = checksum(bytes, 0, bytes.length, pseudoHeaderSum(peerAddress, ownAddress, bytes.length));
    bytes[16] = sum >>> 8;
    bytes[17] = sum;
    return bytes;
  }

  /**
   * The oldest segment we sent that was not taken yet, in relative numbers; `undefined` when there is none. Throws
   * when it is malformed or its checksum is wrong.
   */
  take(): (TranscriptSegment & { readonly seq: number; readonly win: number; readonly length: number }) | undefined {
    this.tcp.flush();
    const next = this.sent.shift();
    if (next === undefined) return undefined;
    const { bytes } = next;
    if (checksum(bytes, 0, bytes.length, pseudoHeaderSum(ownAddress, peerAddress, bytes.length)) !== 0) {
      throw new Error("a segment with a wrong checksum was sent");
    }
    const parsed = parseSegment(bytes);
    if (!parsed.ok) throw new Error(parsed.error.message);
    const { header, options, payload } = parsed.value;
    if ((header.flags & flagSyn) !== 0) this.iss = header.sequence;
    const isAck = (header.flags & flagAck) !== 0;
    return {
      flags: letters.flatMap(([letter, mask]) => ((header.flags & mask) === 0 ? [] : [letter])).join(""),
      seq: (header.sequence - this.iss) >>> 0,
      ...(isAck ? { ack: header.acknowledgement } : {}),
      win: header.window,
      length: payload.length,
      ...(payload.length > 0 ? { data: payload } : {}),
      ...(next.ecn === 0 ? {} : { ecn: next.ecn }),
      ...options,
    };
  }

  /** Everything we have sent and the test has not taken, each as `PA 1:1461 ack 1` or `A 1 ack 1 sack 1001:2001`. */
  takeAll(): string[] {
    const lines: string[] = [];
    for (let next = this.take(); next !== undefined; next = this.take()) {
      const end = next.seq + next.length;
      lines.push(
        `${next.flags} ${String(next.seq)}${end > next.seq ? `:${String(end)}` : ""}` +
          (next.ack === undefined ? "" : ` ack ${String(next.ack)}`) +
          (next.sack ?? []).map(([left, right]) => ` sack ${String(left)}:${String(right)}`).join(""),
      );
    }
    return lines;
  }

  /** Lets `ms` milliseconds pass, timers firing at their times, promises running in between. */
  async advance(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    for (;;) {
      await this.turn();
      const next = this.scheduler.nextDeadline();
      if (next > end) break;
      if (next > this.clock.now()) this.clock.advanceTo(next);
      this.scheduler.run();
    }
    this.clock.advanceTo(end);
    await this.turn();
  }

  /** Lets promises that can go on go on. */
  async turn(): Promise<void> {
    for (let round = 0; round < 20; round++) await Promise.resolve();
  }

  /**
   * A connection that the peer has opened to us and that is established: SYN 0 with `options`, next number 1 on both
   * sides, the peer's window `win`. It takes `roundTrip` milliseconds.
   */
  async established(
    options: OptionsRecord & { readonly win?: number; readonly roundTrip?: number } = {},
    listen: Partial<OwnListenOptions> = {},
  ): Promise<Flow> {
    await this.listen(listen);
    const { win = 65_535, roundTrip = 0, ...synOptions } = options;
    this.receive({ flags: "S", mss: 1460, ...synOptions, win: Math.min(win, 65_535) });
    this.take();
    if (roundTrip > 0) await this.advance(roundTrip);
    this.receive({ flags: "A", seq: 1, ack: 1, win });
    this.tcp.flush();
    const flow = this.accepted.shift();
    if (flow === undefined) throw new Error("the connection was not accepted");
    return flow;
  }
}
