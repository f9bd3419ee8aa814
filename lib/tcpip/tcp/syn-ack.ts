import type { TcpContext } from "./context.ts";
import { fastOpenCookieSize } from "./fast-open.ts";
import type { HalfOpen } from "./half-open.ts";
import { encodeUserTimeout } from "./user-timeout.ts";
import { flagAck, flagEce, flagSyn } from "./wire.ts";

/** Answers the SYN that `half` stands for, for the first time or again. `window` as on the wire: never scaled. */
export function sendSynAck(context: TcpContext, half: HalfOpen, acknowledgement: number, window: number): void {
  const { transmitter, numbers, timers, limits } = context;
  const { local, remote } = half;
  const now = timers.now();
  const offset = half.timestamps ? numbers.timestampOffset(local, remote) : 0;
  const { userTimeout } = half.listener.options;
  if (limits.userTimeoutOption && userTimeout !== undefined) transmitter.userTimeout = encodeUserTimeout(userTimeout);
  if (half.givesCookie) {
    transmitter.fastOpen = fastOpenCookieSize;
    context.fastOpenCookies.write(local, remote, now, transmitter.fastOpenCookie);
  }
  transmitter.syn(
    half,
    half.ecn ? flagSyn | flagAck | flagEce : flagSyn | flagAck,
    half.iss,
    acknowledgement,
    window,
    half.ownMss,
    half.scaled ? half.ownShift : -1,
    half.sack,
    half.timestamps,
    (Math.floor(now) + offset) | 0,
    half.recentTimestamp,
  );
}
