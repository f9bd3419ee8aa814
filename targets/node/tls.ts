import { connect as tlsConnect, createServer, type TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";
import { formatEndpoint } from "@tesserae/device/address";
import { FlowError, type Flow } from "@tesserae/device/flow";
import type { Tcp, TcpConnectOptions, TcpListener, TcpListenOptions } from "@tesserae/device/tcp";
import { flowError } from "./flow-fault.ts";
import { checkPort, endpointOf } from "./kernel-address.ts";
import { KernelFlow } from "./kernel-flow.ts";
import { reportOnStderr } from "./kernel-tcp.ts";

export interface TlsOptions {
  /** Of the server: a chain of certificates and the private key, both in PEM. Without them nobody can listen. */
  readonly certificate?: string;
  readonly key?: string;
  /** Names of the protocol inside (RFC 7301), the preferred first. */
  readonly protocols?: readonly string[];
  /** Whom a client believes, in PEM. Default: whom Node believes. */
  readonly authority?: string;
  /** The name that a server's certificate must be for; without it nobody can connect. */
  readonly name?: string;
  /** Milliseconds for a handshake. Default 10,000. */
  readonly handshake?: number;
  /** Gets what an accept handler threw or rejected with. Default: one line and the stack on stderr. */
  readonly report?: (error: unknown) => void;
}

const lingerMs = 10_000;

/** TLS 1.2 and 1.3 over the kernel's TCP, as connections like any other. */
export function createTls(options: TlsOptions): Tcp {
  return {
    connect: (where) => connect(options, where),
    listen: (where, accept) => listen(options, where, accept),
  };
}

function connect(options: TlsOptions, { address, port, signal, timeout }: TcpConnectOptions): Promise<Flow> {
  return new Promise((resolve, reject) => {
    checkPort(port, 1);
    const { name, authority, protocols = [], handshake = 10_000 } = options;
    if (name === undefined) throw new TypeError("without a name no server can be believed");
    const doing = `connecting to ${formatEndpoint({ address, port })} (${name})`;
    if (signal?.aborted === true) throw new FlowError("aborted", `${doing}: aborted`, { cause: signal.reason });
    const socket = tlsConnect({
      ...{ host: address.toString(), port, servername: name, minVersion: "TLSv1.2", allowHalfOpen: true },
      ...(authority === undefined ? {} : { ca: authority }),
      ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
    });
    const giveUp = (error: FlowError): void => {
      settle();
      socket.on("error", () => undefined);
      socket.destroy();
      reject(error);
    };
    const abort = (): void => giveUp(new FlowError("aborted", `${doing}: aborted`, { cause: signal?.reason }));
    const failed = (error: Error): void => giveUp(tlsError(error, doing));
    const ready = (): void => {
      settle();
      resolve(flowOf(socket));
    };
    const ms = timeout ?? handshake;
    const timer = setTimeout(() => giveUp(new FlowError("timeout", `${doing}: no answer in ${ms} ms`)), ms);
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      socket.off("error", failed);
      socket.off("secureConnect", ready);
    };
    signal?.addEventListener("abort", abort, { once: true });
    socket.once("error", failed);
    socket.once("secureConnect", ready);
  });
}

function listen(
  options: TlsOptions,
  { port, address, backlog = 511 }: TcpListenOptions,
  accept: (flow: Flow) => void | Promise<void>,
): Promise<TcpListener> {
  return new Promise((resolve, reject) => {
    checkPort(port, 0);
    const { certificate, key, protocols = [], handshake = 10_000, report = reportOnStderr } = options;
    if (certificate === undefined || key === undefined) throw new TypeError("a server needs a certificate and a key");
    const doing = `listening on ${address === undefined ? `port ${port}` : formatEndpoint({ address, port })}`;
    const server = createServer({
      ...{ cert: certificate, key, minVersion: "TLSv1.2", allowHalfOpen: true, noDelay: true },
      handshakeTimeout: handshake,
      ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      if (socket.remoteAddress === undefined) {
        socket.on("error", () => undefined);
        socket.destroy();
        return;
      }
      const flow = flowOf(socket);
      void Promise.resolve()
        .then(() => accept(flow))
        .catch((error: unknown) => {
          flow.abort();
          report(error);
        });
    });
    // A handshake that fails is the client's affair.
    server.on("tlsClientError", () => undefined);
    server.once("error", (error) => reject(flowError(error, doing)));
    server.listen({ port, backlog, ...(address === undefined ? {} : { host: address.toString() }) }, () => {
      server.removeAllListeners("error");
      server.on("error", (error) => report(flowError(error, "accepting a connection")));
      // as: it listens on a TCP port, not on a pipe, so the address is no string and not null.
      const bound = server.address() as AddressInfo;
      const close = (): Promise<void> => {
        server.close();
        return Promise.resolve();
      };
      resolve({ local: endpointOf(bound.address, bound.port), close });
    });
  });
}

function flowOf(socket: TLSSocket): Flow {
  // A TLS socket cannot be reset: it ends in the middle, which the peer takes for the same.
  return new KernelFlow(Object.assign(socket, { resetAndDestroy: () => socket.destroy() }), lingerMs, () => undefined);
}

/** What TLS itself has against the peer is `protocol`. */
function tlsError(error: Error, doing: string): FlowError {
  const code = "code" in error ? String(error.code) : "";
  const isTls = /^ERR_(SSL|TLS)|CERT|SIGNATURE|ISSUER|EPROTO/.test(code);
  return isTls ? new FlowError("protocol", `${doing}: ${error.message}`, { cause: error }) : flowError(error, doing);
}
