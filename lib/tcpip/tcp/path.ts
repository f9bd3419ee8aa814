import type { Connection } from "./connection.ts";
import { defaultMss, mssFor, smallestMss, type TcpContext } from "./context.ts";
import { fallbackSize, PathSearch } from "./path-search.ts";
import { distance, isAtLeast } from "./sequence.ts";
import { canSend } from "./state.ts";
import { headerSize, timestampSize } from "./wire.ts";

/**
 * How long the segments of one connection may be: what the peer takes, what routers say (RFC 1191, RFC 8201), and what
 * gets through (RFC 4821).
 */
export class Path {
  /** Whether routers may not cut our packets. */
  dontFragment = true;
  /** Looks for longer segments; `null` while they are as long as link and peer allow, as far as we know. */
  search: PathSearch | null = null;
  /** The peer's MSS option. */
  #peerMss = 0;
  /** The longest segment that was acknowledged. */
  #proven = 0;
  readonly #connection: Connection;
  readonly #context: TcpContext;

  constructor(connection: Connection, context: TcpContext) {
    this.#connection = connection;
    this.#context = context;
  }

  /** Bytes of a data segment's options. */
  get #options(): number {
    return this.#connection.receiver.timestamps ? timestampSize : 0;
  }

  /** Bytes of a packet that are not payload. */
  get #overhead(): number {
    return (this.#connection.remote.family === 4 ? 20 : 40) + headerSize + this.#options;
  }

  /** The longest payload that link, routers and peer allow now. */
  get most(): number {
    const { remote } = this.#connection;
    return Math.min(Math.max(this.#peerMss, smallestMss), mssFor(remote, this.#context.ip.mtu(remote))) - this.#options;
  }

  /** The path MTU that segments are sent for, bytes. */
  get mtu(): number {
    const { sender, remote } = this.#connection;
    const known = this.#context.ip.mtu(remote);
    return this.search === null ? known : Math.min(known, sender.mss + this.#overhead);
  }

  /** The peer has told its MSS. @returns the payload of a full segment (RFC 6691 §2). */
  start(peerMss: number): number {
    const { remote, ownMss } = this.#connection;
    const { narrowPaths, timers } = this.#context;
    this.#peerMss = peerMss;
    const size = Math.min(Math.max(peerMss, smallestMss), ownMss) - this.#options;
    const known = narrowPaths.get(remote, timers.now()) - this.#overhead;
    if (known >= size) return size;
    this.search = new PathSearch(known, this.#overhead, timers.now());
    return known;
  }

  /** A router has said what the path takes, 0 when it did not say; or IP has refused a segment (`Infinity`). */
  told(mtu: number): void {
    const { remote, sender, state } = this.#connection;
    const known = this.#context.ip.mtu(remote);
    const least = defaultMss(remote);
    const wanted = mssFor(remote, mtu === 0 ? known : Math.min(known, mtu));
    // Below what every path should take, forged or not: smaller segments would not help, fragments do.
    if (wanted < least) {
      this.dontFragment = false;
      sender.segmentation = 0;
    }
    const mss = Math.max(wanted, least) - this.#options;
    if (mss >= sender.mss || !canSend(state)) return;
    const now = this.#context.timers.now();
    this.search ??= new PathSearch(mss, this.#overhead, now);
    this.search.told(mss, now);
    sender.reduceMss(mss);
    this.#context.schedule(this.#connection);
  }

  /** The first segment that is out, and perhaps others up to `ack`, has arrived. */
  proves(ack: number): void {
    const { sender } = this.#connection;
    const { scoreboard } = sender.recovery;
    if (scoreboard.count === 0) return;
    const end = scoreboard.endOf(scoreboard.first);
    const length = Math.min(sender.mss, distance(end, sender.una));
    if (length > this.#proven && isAtLeast(ack, end)) this.#proven = length;
  }

  /** The probe for longer segments has arrived: all may be as long. */
  widen(): void {
    const { sender } = this.#connection;
    sender.recovery.probesPath = false;
    if (this.search === null || this.search.size === 0) return;
    this.search.arrived();
    const size = this.search.low;
    sender.mss = size;
    sender.recovery.mss = size;
    sender.congestion.setSegmentSize(size);
    const { narrowPaths, timers } = this.#context;
    const { remote } = this.#connection;
    if (size >= this.most) narrowPaths.delete(remote);
    else narrowPaths.set(remote, size + this.#overhead, timers.now());
  }

  /** RFC 4821 §7.7: segments that time out again and again may be too long for the path. */
  timedOut(): void {
    const { sender, remote } = this.#connection;
    const { scoreboard } = sender.recovery;
    if (scoreboard.count === 0) return;
    const { first } = scoreboard;
    const length = Math.min(sender.mss, distance(scoreboard.endOf(first), scoreboard.startOf(first)));
    const size = fallbackSize(remote.family, length, this.#proven, sender.retransmission.count);
    if (size < length) this.#blackHole(size);
  }

  /** Segments disappear, and those of `size` bytes should not. */
  #blackHole(size: number): void {
    const { sender, remote } = this.#connection;
    const { counters, narrowPaths, timers } = this.#context;
    counters.blackHoles++;
    this.search ??= new PathSearch(size, this.#overhead, timers.now());
    this.search.narrowed(size);
    if (size < sender.mss) sender.reduceMss(size);
    narrowPaths.set(remote, size + this.#overhead, timers.now());
  }
}
