/** Connecting to a host that has several addresses, some of which may lead nowhere (RFC 8305, "happy eyeballs"). */

import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { type Flow, FlowError } from "@tesserae/device/flow";
import type { Tcp, TcpConnectOptions } from "@tesserae/device/tcp";

export interface ConnectAnyOptions extends Omit<TcpConnectOptions, "address"> {
  readonly tcp: Tcp;
  readonly timers: Timers;
  /** Best first; at most 8 are tried. */
  readonly addresses: readonly IpAddress[];
  /** Milliseconds after which the next address is tried beside the ones before, 10–2000. Default 250 (RFC 8305 §8). */
  readonly attemptDelay?: number;
}

/** More would be an attack on somebody whose addresses a name server lists. */
const mostAttempts = 8;

/**
 * Connects to whichever address answers first. The next one is tried when the one before has failed or has not answered
 * within `attemptDelay`; families take turns. Attempts that come too late are given up.
 *
 * @throws FlowError (rejects) as `tcp.connect`: that of the address tried last; `unreachable` when there is no address.
 * RangeError when the delay is out of range.
 */
export function connectAny(options: ConnectAnyOptions): Promise<Flow> {
  const { tcp, timers, addresses, attemptDelay = 250, signal, ...connect } = options;
  if (!(attemptDelay >= 10 && attemptDelay <= 2000)) {
    throw new RangeError(`attemptDelay ${attemptDelay} is not from 10 to 2000`);
  }
  const waiting = interleave(addresses).slice(0, mostAttempts);
  return new Promise((resolve, reject) => {
    const running = new Set<AbortController>();
    let isOver = false;
    const finish = (): void => {
      isOver = true;
      timer.cancel();
      signal?.removeEventListener("abort", aborted);
      for (const attempt of running) attempt.abort();
    };
    const fail = (error: Error): void => {
      finish();
      reject(error);
    };
    const aborted = (): void => fail(new FlowError("aborted", "connecting was aborted", { cause: signal?.reason }));
    const attempt = (): void => {
      const address = waiting.shift();
      if (address === undefined) return;
      const controller = new AbortController();
      running.add(controller);
      if (waiting.length > 0) timer.set(timers.now() + attemptDelay);
      tcp.connect({ ...connect, address, signal: controller.signal }).then(
        (flow) => {
          running.delete(controller);
          // Another was faster, by less than it takes to hear of it.
          if (isOver) flow.abort();
          else {
            finish();
            resolve(flow);
          }
        },
        (error: unknown) => {
          running.delete(controller);
          if (isOver) return;
          if (waiting.length > 0) attempt();
          else if (running.size === 0) fail(error instanceof Error ? error : new FlowError("reset", String(error)));
        },
      );
    };
    const timer = timers.timer(attempt);
    if (signal?.aborted === true) {
      aborted();
      return;
    }
    if (waiting.length === 0) {
      fail(new FlowError("unreachable", "there is no address to connect to"));
      return;
    }
    signal?.addEventListener("abort", aborted, { once: true });
    attempt();
  });
}

/** The addresses with their families by turns, each family in its order (RFC 8305 §4). */
export function interleave(addresses: readonly IpAddress[]): IpAddress[] {
  const [first] = addresses;
  const same = addresses.filter(({ family }) => family === first?.family);
  const others = addresses.filter(({ family }) => family !== first?.family);
  return same
    .flatMap((address, place) => [address, ...others.slice(place, place + 1)])
    .concat(others.slice(same.length));
}
