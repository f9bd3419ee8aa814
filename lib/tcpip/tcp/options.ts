import type { TcpConnectOptions, TcpListenOptions } from "@tesserae/device/tcp";
import { type CongestionName, congestionNames } from "./congestion-choice.ts";
import type { TcpLimits } from "./context.ts";

/** What only our own TCP lets one choose for a connection, or for those of a listener. */
export interface OwnTcpOptions {
  /** Default: `congestion` of the whole TCP. */
  readonly congestion?: CongestionName;
}

export interface OwnConnectOptions extends TcpConnectOptions, OwnTcpOptions {}
export interface OwnListenOptions extends TcpListenOptions, OwnTcpOptions {}

/** What a connection is opened with, by either side: all choices made. */
export interface ConnectionOptions {
  readonly keepAlive: number | undefined;
  readonly noDelay: boolean;
  readonly congestion: CongestionName;
}

/** @throws RangeError for a choice that there is not. */
export function connectionOptions(options: OwnConnectOptions | OwnListenOptions, limits: TcpLimits): ConnectionOptions {
  const { keepAlive, noDelay = false, congestion = limits.congestion } = options;
  if (keepAlive !== undefined && !(keepAlive > 0)) {
    throw new RangeError(`keepAlive ${String(keepAlive)} is not above 0`);
  }
  checkChoice("congestion", congestion, congestionNames);
  return { keepAlive, noDelay, congestion };
}

/** @throws RangeError when `value` is none of `allowed`. */
export function checkChoice(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new RangeError(`${name} "${value}" is none of ${allowed.join(", ")}`);
}
