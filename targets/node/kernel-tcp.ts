import { connect as netConnect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { formatEndpoint, IpAddress, type Endpoint } from "@tesserae/device/address";
import { FlowError, type Flow } from "@tesserae/device/flow";
import type { Tcp, TcpConnectOptions, TcpListener, TcpListenOptions } from "@tesserae/device/tcp";
import { flowError, isWithoutIpv6 } from "./flow-fault.ts";
import { checkPort, endpointOf } from "./kernel-address.ts";
import { instance } from "./instance.ts";
import { KernelFlow } from "./kernel-flow.ts";
import { loadAddon } from "./native/addon.ts";
import { boundSocket, streamSocket } from "./native/bound-socket.ts";
import { SystemCalls } from "./native/system-calls.ts";

export interface KernelTcpOptions {
  /** How long a flow's `close` waits for the peer's end, in milliseconds. Default 10,000. */
  readonly linger?: number;
  /**
   * Whether other processes and threads may listen on the same ports, to share the load (SO_REUSEPORT). Default: where the
   * image runs as several instances.
   */
  readonly spread?: boolean;
  /** Gets what an accept handler threw or rejected with. Default: one line and the stack on stderr. */
  readonly report?: (error: unknown) => void;
}

/** TCP of the kernel. */
export class KernelTcp implements Tcp {
  readonly #linger: number;
  readonly #spread: boolean | undefined;
  readonly #report: (error: unknown) => void;
  readonly #flows = new Set<KernelFlow>();
  readonly #listeners = new Set<KernelListener>();
  readonly #connecting = new Set<() => void>();
  readonly #onOver: (flow: KernelFlow) => void;
  #closed = false;

  constructor(options: KernelTcpOptions = {}) {
    this.#linger = options.linger ?? 10_000;
    this.#spread = options.spread;
    this.#report = options.report ?? reportOnStderr;
    this.#onOver = (flow) => void this.#flows.delete(flow);
  }

  connect(options: TcpConnectOptions): Promise<Flow> {
    return new Promise((resolve, reject) => {
      const { address, port, signal, timeout } = options;
      checkPort(port, 1);
      const doing = `connecting to ${formatEndpoint({ address, port })}`;
      if (this.#closed) throw new FlowError("closed", `${doing}: the stack is closed`);
      if (signal?.aborted === true) throw new FlowError("aborted", `${doing}: aborted`, { cause: signal.reason });
      const socket = netConnect({
        host: address.toString(),
        port,
        allowHalfOpen: true,
        noDelay: options.noDelay ?? false,
        ...(options.keepAlive === undefined
          ? {}
          : { keepAlive: true, keepAliveInitialDelay: wholeSeconds(options.keepAlive) }),
      });
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.#connecting.delete(abandon);
        socket.removeAllListeners();
      };
      const giveUp = (error: FlowError): void => {
        settle();
        // A late error of a socket given up is of no interest, but must not end the process.
        socket.on("error", () => undefined);
        socket.destroy();
        reject(error);
      };
      const abort = (): void => giveUp(new FlowError("aborted", `${doing}: aborted`, { cause: signal?.reason }));
      const abandon = (): void => giveUp(new FlowError("aborted", `${doing}: the stack was closed`));
      const timer =
        timeout === undefined
          ? undefined
          : setTimeout(() => giveUp(new FlowError("timeout", `${doing}: no answer in ${timeout} ms`)), timeout);
      signal?.addEventListener("abort", abort, { once: true });
      this.#connecting.add(abandon);
      socket.once("error", (error) => giveUp(flowError(error, doing)));
      socket.once("connect", () => {
        settle();
        resolve(this.#adopt(socket));
      });
    });
  }

  listen(options: TcpListenOptions, accept: (flow: Flow) => void | Promise<void>): Promise<TcpListener> {
    return new Promise((resolve, reject) => {
      const { port, address, backlog = 511 } = options;
      checkPort(port, 0);
      if (!Number.isInteger(backlog) || backlog < 1 || backlog > 65535) {
        throw new RangeError(`backlog ${String(backlog)} is not an integer from 1 to 65535`);
      }
      const doing = `listening on ${address === undefined ? `port ${port}` : formatEndpoint({ address, port })}`;
      if (this.#closed) throw new FlowError("closed", `${doing}: the stack is closed`);
      const server = createServer({
        allowHalfOpen: true,
        noDelay: options.noDelay ?? false,
        ...(options.keepAlive === undefined
          ? {}
          : { keepAlive: true, keepAliveInitialDelay: wholeSeconds(options.keepAlive) }),
      });
      server.on("connection", (socket) => void this.#accept(socket, accept));
      server.once("error", (error) => reject(flowError(error, doing)));
      const where =
        port !== 0 && (this.#spread ?? instance().count > 1)
          ? { fd: sharedPort(port, address, doing) }
          : { port, ...(address === undefined ? {} : { host: address.toString() }) };
      server.listen({ ...where, backlog }, () => {
        server.removeAllListeners("error");
        // Out of descriptors, most likely: the server goes on, and the connection waits in the backlog.
        server.on("error", (error) => this.#report(flowError(error, "accepting a connection")));
        const listener = new KernelListener(server, () => void this.#listeners.delete(listener));
        this.#listeners.add(listener);
        resolve(listener);
      });
    });
  }

  /** Aborts every flow and stops every listener. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const abandon of [...this.#connecting]) abandon();
    for (const flow of [...this.#flows]) flow.abort();
    await Promise.all([...this.#listeners].map((listener) => listener.close()));
  }

  /** Open flows. */
  get flows(): number {
    return this.#flows.size;
  }

  async #accept(socket: Socket, accept: (flow: Flow) => void | Promise<void>): Promise<void> {
    // Gone before it could be looked at: nobody is owed a flow.
    if (socket.remoteAddress === undefined) {
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    const flow = this.#adopt(socket);
    try {
      await accept(flow);
    } catch (error) {
      flow.abort();
      this.#report(error);
    }
  }

  #adopt(socket: Socket): KernelFlow {
    const flow = new KernelFlow(socket, this.#linger, this.#onOver);
    this.#flows.add(flow);
    return flow;
  }
}

/** A socket on a port that others may have, too. @throws FlowError */
function sharedPort(port: number, address: IpAddress | undefined, doing: string): number {
  const outcome = loadAddon();
  if (!outcome.ok) {
    throw new FlowError("address-not-available", `${doing} with others needs the native piece: ${outcome.why}`);
  }
  const calls = new SystemCalls(outcome.addon);
  const bind = (at: IpAddress): number => boundSocket(calls, { type: streamSocket, at, port, spread: true }, doing);
  if (address !== undefined) return bind(address);
  try {
    return bind(IpAddress.any6);
  } catch (error) {
    if (isWithoutIpv6(error)) return bind(IpAddress.any4);
    throw error;
  }
}

class KernelListener implements TcpListener {
  readonly local: Endpoint;
  readonly #server: Server;
  readonly #onClose: () => void;
  #closed = false;

  constructor(server: Server, onClose: () => void) {
    // as: it listens on a TCP port, not on a pipe, so the address is no string and not null.
    const address = server.address() as AddressInfo;
    this.local = endpointOf(address.address, address.port);
    this.#server = server;
    this.#onClose = onClose;
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      // Its callback waits for the connections too; the port is free as soon as the call returns.
      this.#server.close();
      this.#onClose();
    }
    return Promise.resolve();
  }
}

/** The kernel counts keep-alive idle time in seconds, and Node rounds down; at least one. */
function wholeSeconds(ms: number): number {
  if (!(ms > 0)) throw new RangeError(`keepAlive ${String(ms)} is not above 0`);
  return Math.max(1, Math.ceil(ms / 1000)) * 1000;
}

/** Prints an error that nobody waits for, with its stack. */
export function reportOnStderr(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}
