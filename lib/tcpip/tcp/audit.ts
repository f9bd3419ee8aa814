import { Connection } from "./connection.ts";
import type { TcpLimits } from "./context.ts";
import type { Demux } from "./demux.ts";
import { add, distance, isAfter, isBefore } from "./sequence.ts";
import * as states from "./state.ts";

/** The largest window there can be (RFC 7323 §2.3). */
const largestWindow = 65_535 * 2 ** 14;

/** How full the tables of a TCP are: what {@link TcpAudit} is told. One object is filled again and again. */
export class TableSizes {
  /** Connections, half-open ones and those in TIME-WAIT included. */
  all = 0;
  halfOpen = 0;
  timeWait = 0;
  bufferBytes = 0;
}

/** Looks for what must never be, some connections at a time. For simulations and tests: between two events only. */
export class TcpAudit {
  readonly #demux: Demux;
  /** All there were when it came round last; those that have ended since are looked at once more. */
  #list: Connection[] = [];
  #next = 0;

  constructor(demux: Demux) {
    this.#demux = demux;
  }

  /** @returns what is wrong with one of the next `count` connections, or with the tables. */
  look(count: number, limits: TcpLimits, sizes: TableSizes): string | undefined {
    if (this.#next >= this.#list.length) {
      const problem = auditTables(limits, sizes);
      if (problem !== undefined) return problem;
      this.#list = [];
      for (const entry of this.#demux.entries()) if (entry instanceof Connection) this.#list.push(entry);
      this.#next = 0;
    }
    const end = Math.min(this.#list.length, this.#next + count);
    for (; this.#next < end; this.#next++) {
      const connection = this.#list[this.#next];
      const problem = connection === undefined ? undefined : auditConnection(connection);
      if (connection === undefined || problem === undefined) continue;
      const { local, localPort, remote, remotePort } = connection;
      const pair = `${local.toString()}:${localPort} > ${remote.toString()}:${remotePort}`;
      return `${pair} (${states.stateName(connection.state)}): ${problem}`;
    }
    return undefined;
  }
}

function auditTables(limits: TcpLimits, sizes: TableSizes): string | undefined {
  const { all, halfOpen, timeWait, bufferBytes } = sizes;
  if (all < halfOpen + timeWait || all > limits.maxConnections) return `${all} connections of ${limits.maxConnections}`;
  if (halfOpen < 0 || halfOpen > limits.maxHalfOpen) return `${halfOpen} half-open of ${limits.maxHalfOpen}`;
  if (timeWait < 0 || timeWait > limits.maxTimeWait) return `${timeWait} in TIME-WAIT of ${limits.maxTimeWait}`;
  if (bufferBytes < 0) return `buffers of ${bufferBytes} bytes`;
  return undefined;
}

/** The numbers of one connection (RFC 9293 §3.3.1), its buffers and timers. @returns what is wrong. */
export function auditConnection(connection: Connection): string | undefined {
  const { state, sender, receiver } = connection;
  if (state === states.closed) return connection.armed ? "a timer of a closed connection is armed" : undefined;
  if (state === states.synSent || state === states.synReceived) {
    return connection.armed ? undefined : "a handshake without a timer";
  }
  const { una, max, end, highest, flight, buffer, congestion, finQueued, finSequence } = sender;
  if (isBefore(max, una)) return `SND.MAX is ${distance(una, max)} before SND.UNA`;
  if (isAfter(max, highest)) return `SND.MAX is ${distance(max, highest)} behind the highest number sent`;
  if (isAfter(max, end)) return `${distance(max, end)} numbers were sent for which there is nothing`;
  if (flight < 0 || flight > largestWindow + 2) return `${flight} bytes in flight`;
  if (finQueued && !sender.isFinAcknowledged && add(una, buffer.length) !== finSequence) {
    return `the FIN is ${distance(finSequence, add(una, buffer.length))} from the end of the data`;
  }
  // While a loss is repaired it may come down to 0 for a while (RFC 6937): the timer sees to the rest.
  if (!(congestion.window >= 0 && congestion.window < Infinity)) return `a congestion window of ${congestion.window}`;
  if (!(congestion.threshold > 0)) return `a slow start threshold of ${congestion.threshold}`;
  if (!(receiver.window >= 0 && receiver.window <= largestWindow)) return `a receive window of ${receiver.window}`;
  if (flight > 0 && !sender.armed) return `${flight} bytes in flight without a timer`;
  if (isAfter(end, max) && !sender.armed) return `${distance(end, max)} bytes wait to be sent without a timer`;
  return undefined;
}
