import type { Connection } from "./connection.ts";
import { defaultMss, type TcpContext } from "./context.ts";
import type { Segment } from "./segment.ts";
import { fastOpenSize, maxOptions, synOptionsSize, userTimeoutSize } from "./wire.ts";

const noCookie = new Uint8Array(0);

/** A connection that its client wants to open with data (RFC 7413 §4.2.1): what its SYNs have of that. */
export class FastOpenClient {
  readonly #context: TcpContext;
  readonly #connection: Connection;
  #asksCookie = false;
  #carriesData = false;

  constructor(context: TcpContext, connection: Connection) {
    this.#context = context;
    this.#connection = connection;
  }

  /**
   * The first SYN asks for a cookie, or has one and data behind it; those sent again are as without Fast Open, in case
   * that was why it got lost.
   *
   * @returns how many bytes go with the SYN that leaves next.
   */
  prepare(): number {
    const { transmitter, fastOpenPeers, timers } = this.#context;
    const { sender, receiver, remote, ownMss } = this.#connection;
    if (sender.retransmission.count > 0) return 0;
    const known = fastOpenPeers.get(remote, timers.now());
    const options = synOptionsSize(receiver.shift, receiver.selective, receiver.timestamps);
    // The user timeout goes, where there is no room for both.
    const cookie = known?.cookie ?? noCookie;
    if (options + fastOpenSize(cookie.length) + userTimeoutSize > maxOptions) transmitter.userTimeout = 0;
    if (options + fastOpenSize(cookie.length) > maxOptions) return 0;
    if (known === undefined) {
      this.#asksCookie = true;
      transmitter.fastOpen = 0;
      return 0;
    }
    const early = Math.min(sender.buffer.length, Math.min(known.mss, ownMss) - maxOptions);
    if (cookie.length === 0 || early <= 0) return 0;
    this.#carriesData = true;
    transmitter.fastOpen = cookie.length;
    transmitter.fastOpenCookie.set(cookie);
    return early;
  }

  /** What the answer to our SYN says of it (§4.1.3, §4.2.1), the connection being established. */
  settle(segment: Segment, retransmitted: boolean): void {
    const { fastOpenPeers, counters } = this.#context;
    const { sender, remote } = this.#connection;
    const taken = sender.takenEarly(segment.acknowledgement);
    if (taken > 0) counters.fastOpenActive++;
    else if (this.#carriesData) counters.fastOpenActiveFails++;
    if (!this.#asksCookie && !this.#carriesData) return;
    const { fastOpen, fastOpenCookie, mss } = segment.options;
    if (fastOpen > 0) fastOpenPeers.learn(remote, fastOpenCookie, fastOpen, mss > 0 ? mss : defaultMss(remote));
    // Nothing was given, or the SYN got through only without it.
    else if (this.#asksCookie || (taken === 0 && retransmitted)) fastOpenPeers.refuse(remote, segment.time);
  }
}
