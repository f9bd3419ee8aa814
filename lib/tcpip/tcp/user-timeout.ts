/**
 * The user timeout of one connection: how long data may stay unacknowledged before the connection is given up (R2 of
 * RFC 9293 §3.8.3), and the option by which each side tells the other its own (RFC 5482). Milliseconds.
 */

/** L_LIMIT and U_LIMIT (RFC 5482 §3.1): what a peer may make of it. The lower one is RFC 1122's for R2. */
export const leastUserTimeout = 100_000;
export const mostUserTimeout = 3_600_000;

/** The granularity bit: the other fifteen count minutes. */
const minutes = 0x8000;
const mostCount = 0x7fff;

/** The sixteen bits of the option; rounded up, and to minutes where seconds do not suffice. */
export function encodeUserTimeout(timeout: number): number {
  const seconds = Math.max(1, Math.ceil(timeout / 1000));
  return seconds <= mostCount ? seconds : minutes | Math.min(mostCount, Math.ceil(seconds / 60));
}

/** The time that the sixteen bits tell; 0 is none, and to be ignored (RFC 5482 §3.2). */
export function decodeUserTimeout(bits: number): number {
  return (bits & mostCount) * ((bits & minutes) === 0 ? 1000 : 60_000);
}

export class UserTimeout {
  /** USER_TIMEOUT. */
  value: number;
  /** ADV_UTO: what the peer is told, −1 when nothing is. */
  advertised: number;
  /** CHANGEABLE: the application has not set it. */
  #changeable: boolean;
  /** ENABLED: whether the option is sent and heeded. */
  readonly #enabled: boolean;
  /** Whether the option has been sent or heeded. */
  isNegotiated = false;

  /** @param chosen by the application; `undefined` takes `standard` */
  constructor(chosen: number | undefined, standard: number, enabled: boolean) {
    this.value = chosen ?? standard;
    this.#changeable = chosen === undefined;
    this.#enabled = enabled;
    this.advertised = enabled && chosen !== undefined ? chosen : -1;
    this.isNegotiated = this.advertised >= 0;
  }

  /** The application sets it. @returns whether the peer is to be told. @throws RangeError when it is not above 0. */
  set(timeout: number): boolean {
    checkUserTimeout(timeout);
    this.value = timeout;
    this.#changeable = false;
    if (!this.#enabled) return false;
    this.advertised = timeout;
    this.isNegotiated = true;
    return true;
  }

  /** The peer's option says `timeout`, −1 when there was none. */
  received(timeout: number): void {
    if (timeout <= 0 || !this.#enabled || !this.#changeable) return;
    this.value = Math.min(mostUserTimeout, Math.max(this.advertised, timeout, leastUserTimeout));
    this.isNegotiated = true;
  }
}

/** @throws RangeError when `timeout` is not above 0. */
export function checkUserTimeout(timeout: number): void {
  if (!(timeout > 0)) throw new RangeError(`userTimeout ${String(timeout)} is not above 0`);
}
