import type { IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import { FlowError } from "@tesserae/device/flow";
import type { IpError } from "@tesserae/device/ip";
import type { Random } from "@tesserae/device/random";

export interface PingOptions {
  /** Payload bytes, 0–65,507. Default 56. */
  readonly size?: number;
  /** Milliseconds until it is given up. Default 5000. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** Waiting at once, at most. */
const mostPings = 256;

interface Ping {
  readonly address: IpAddress;
  readonly sent: number;
  readonly settle: (result: number | FlowError) => void;
}

/** The echo requests that wait for their replies. A ping's key is its identifier and sequence number as one number. */
export class Pings {
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #waiting = new Map<number, Ping>();

  constructor(timers: Timers, random: Random) {
    this.#timers = timers;
    this.#random = random;
  }

  /**
   * Begins to wait for a reply from `address`.
   *
   * @param send sends the request of that key with `size` bytes of payload; false when there is no way
   * @returns the milliseconds until the reply.
   * @throws FlowError (rejects) `timeout`, `unreachable`, `aborted`, or `exhausted` when too many wait.
   * RangeError when the size is out of range.
   */
  ping(address: IpAddress, options: PingOptions, send: (key: number, size: number) => boolean): Promise<number> {
    const { size = 56, timeout = 5000, signal } = options;
    if (!Number.isInteger(size) || size < 0 || size > 65_507) {
      throw new RangeError(`size ${size} is not an integer from 0 to 65507`);
    }
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(new FlowError("aborted", "ping aborted", { cause: signal.reason }));
        return;
      }
      if (this.#waiting.size >= mostPings) {
        reject(new FlowError("exhausted", `${mostPings} pings are waiting`));
        return;
      }
      let key = this.#random.uint32();
      while (this.#waiting.has(key)) key = this.#random.uint32();
      const aborted = (): void => settle(new FlowError("aborted", "ping aborted", { cause: signal?.reason }));
      const settle = (result: number | FlowError): void => {
        timer.cancel();
        signal?.removeEventListener("abort", aborted);
        this.#waiting.delete(key);
        if (typeof result === "number") resolve(result);
        else reject(result);
      };
      const timer: Timer = this.#timers.timer(() =>
        settle(new FlowError("timeout", `no echo from ${address.toString()} within ${timeout} ms`)),
      );
      const now = this.#timers.now();
      this.#waiting.set(key, { address, sent: now, settle });
      timer.set(now + timeout);
      signal?.addEventListener("abort", aborted);
      if (!send(key, size)) settle(new FlowError("unreachable", `no way to ${address.toString()}`));
    });
  }

  /** A reply has come: false when nobody waits for it from there. */
  answered(key: number, source: IpAddress): boolean {
    const ping = this.#waiting.get(key);
    // An IPv6 group answers from the addresses of its members.
    const isFromThere =
      ping?.address.equals(source) === true || (ping?.address.family === 6 && ping.address.isMulticast);
    if (ping === undefined || !isFromThere) return false;
    ping.settle(this.#timers.now() - ping.sent);
    return true;
  }

  /** The network says that a request did not arrive. */
  failed(key: number, error: IpError): void {
    const ping = this.#waiting.get(key);
    if (ping?.address.equals(error.destination) !== true) return;
    ping.settle(new FlowError("unreachable", `${error.kind}, says ${error.reporter.toString()}`));
  }

  /** Fails those that wait. */
  close(): void {
    for (const ping of [...this.#waiting.values()]) ping.settle(new FlowError("aborted", "the stack was closed"));
  }
}
