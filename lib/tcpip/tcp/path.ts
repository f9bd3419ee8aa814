import type { Connection } from "./connection.ts";
import { defaultMss, mssFor, smallestMss, type TcpContext } from "./context.ts";
import { PathSearch } from "./path-search.ts";
import { canSend } from "./state.ts";
import { headerSize, timestampSize } from "./wire.ts";

/**
 * How long the segments of one connection may be: what the peer takes, what routers say (RFC 1191, RFC 8201), and what
 * gets through (RFC 4821).
 */
export class Path {
  /** Whether routers may not cut our packets. */
  dontFragment = true;
  /** The peer's MSS option. */
  #peerMss = 0;
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
    return sender.search === null ? known : Math.min(known, sender.mss + this.#overhead);
  }

  /** The peer has told its MSS. @returns the payload of a full segment (RFC 6691 §2). */
  start(peerMss: number): number {
    const { sender, remote, ownMss } = this.#connection;
    const { narrowPaths, timers } = this.#context;
    this.#peerMss = peerMss;
    const size = Math.min(Math.max(peerMss, smallestMss), ownMss) - this.#options;
    const known = narrowPaths.get(remote, timers.now()) - this.#overhead;
    if (known >= size) return size;
    sender.search = new PathSearch(known, this.#overhead, timers.now());
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
    sender.search ??= new PathSearch(mss, this.#overhead, now);
    sender.search.told(mss, now);
    sender.reduceMss(mss);
    this.#context.schedule(this.#connection);
  }

  /** Segments disappear, and those of `size` bytes should not. */
  blackHole(size: number): void {
    const { sender, remote } = this.#connection;
    const { counters, narrowPaths, timers } = this.#context;
    counters.blackHoles++;
    sender.search ??= new PathSearch(size, this.#overhead, timers.now());
    sender.search.narrowed(size);
    if (size < sender.mss) sender.reduceMss(size);
    narrowPaths.set(remote, size + this.#overhead, timers.now());
  }

  /** Segments of `size` bytes get through. */
  found(size: number): void {
    const { narrowPaths, timers } = this.#context;
    const { remote } = this.#connection;
    if (size >= this.most) narrowPaths.delete(remote);
    else narrowPaths.set(remote, size + this.#overhead, timers.now());
  }
}
