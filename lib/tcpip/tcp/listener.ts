import type { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { FastOpenPlaces } from "./fast-open.ts";
import type { ConnectionOptions } from "./options.ts";
import type { Counters } from "./statistics.ts";

/** One listening port. */
export class TcpListenerState {
  readonly port: number;
  /** One of our addresses, or `undefined` for all of them. */
  readonly address: IpAddress | undefined;
  readonly backlog: number;
  /** What its connections are opened with. */
  readonly options: ConnectionOptions;
  readonly accept: (flow: Flow) => void | Promise<void>;
  /** For connections that are opened by data in a SYN; `null` where none are. */
  readonly fastOpen: FastOpenPlaces | null;
  readonly #counters: Counters;
  /** Half-open connections now. */
  halfOpen = 0;
  /** Until when returning ACKs may be cookies, milliseconds: two ticks of their clock after the last was sent. */
  cookiesUntil = -Infinity;

  constructor(
    port: number,
    address: IpAddress | undefined,
    backlog: number,
    options: ConnectionOptions,
    accept: (flow: Flow) => void | Promise<void>,
    counters: Counters,
    fastOpen: FastOpenPlaces | null = null,
  ) {
    this.port = port;
    this.address = address;
    this.backlog = backlog;
    this.options = options;
    this.accept = accept;
    this.#counters = counters;
    this.fastOpen = fastOpen;
  }

  /** A handshake came to nothing. */
  failed(): void {
    this.#counters.attemptFails++;
  }

  /** Whether it listens on that address. */
  covers(local: IpAddress): boolean {
    return this.address === undefined || this.address.equals(local);
  }
}

/** The listening ports. */
export class ListenerTable {
  readonly #byPort = new Map<number, TcpListenerState[]>();

  /** The listener for a SYN to that address and port: one for just this address before one for all. */
  find(local: IpAddress, port: number): TcpListenerState | undefined {
    const list = this.#byPort.get(port);
    if (list === undefined) return undefined;
    return list.find((each) => each.address?.equals(local) === true) ?? list.find((each) => each.covers(local));
  }

  /** Whether a listener for `address` (all when `undefined`) would clash with one that is there. */
  clashes(port: number, address: IpAddress | undefined): boolean {
    const list = this.#byPort.get(port) ?? [];
    return list.some((each) => address === undefined || each.covers(address) || each.address === undefined);
  }

  uses(port: number): boolean {
    return this.#byPort.has(port);
  }

  add(listener: TcpListenerState): void {
    const list = this.#byPort.get(listener.port);
    if (list === undefined) this.#byPort.set(listener.port, [listener]);
    else list.push(listener);
  }

  /** @returns false when it was not there. */
  remove(listener: TcpListenerState): boolean {
    const list = this.#byPort.get(listener.port) ?? [];
    const at = list.indexOf(listener);
    if (at < 0) return false;
    list.splice(at, 1);
    if (list.length === 0) this.#byPort.delete(listener.port);
    return true;
  }

  all(): TcpListenerState[] {
    return [...this.#byPort.values()].flat();
  }
}
