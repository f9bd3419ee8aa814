import type { Timers } from "@tesserae/device/clock";
import type { Tcp } from "@tesserae/device/tcp";
import type { Datagram, Udp, UdpSocket } from "@tesserae/device/udp";
import { withTimeout } from "@tesserae/time/sleep";
import { MessageStream } from "../message-stream.ts";
import type { Exchange, ExchangeRequest } from "./upstream.ts";

export interface SocketExchangeOptions {
  readonly udp: Udp;
  readonly tcp: Tcp;
  readonly timers: Timers;
  /** Sockets and connections open at once, beyond which a query fails at once. Default 2,048. */
  readonly sockets?: number;
}

/** Queries over sockets: each over UDP has one of its own, whose port the stack chose at random (RFC 5452 §9.2). */
export function createSocketExchange(options: SocketExchangeOptions): Exchange {
  const { timers, sockets = 2048 } = options;
  let open = 0;
  return async (request) => {
    if (open >= sockets) return "unreachable";
    open++;
    const send = request.overTcp ? overTcp : overUdp;
    try {
      await withTimeout(timers, request.timeout, (signal) => send(options, request, signal), request.signal);
      return "accepted";
    } catch (error) {
      const isTimeout = error instanceof Error && (error.name === "TimeoutError" || request.signal.aborted);
      return isTimeout ? "timeout" : "unreachable";
    } finally {
      open--;
    }
  };
}

async function overUdp({ udp }: SocketExchangeOptions, request: ExchangeRequest, signal: AbortSignal): Promise<void> {
  const { server, query } = request;
  let socket: UdpSocket | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const gone = (): void => reject(new Error("aborted"));
      signal.addEventListener("abort", gone, { once: true });
      const receive = ({ bytes, offset, length, source, sourcePort }: Datagram): void => {
        if (sourcePort !== server.port || !source.equals(server.address)) return;
        if (request.accept(bytes, offset, length)) resolve();
      };
      udp.bind({}, receive).then((bound) => {
        socket = bound;
        if (signal.aborted) void bound.close();
        else if (!bound.send(query, 0, query.length, server.address, server.port)) reject(new Error("not sent"));
      }, reject);
    });
  } finally {
    await socket?.close();
  }
}

async function overTcp({ tcp }: SocketExchangeOptions, request: ExchangeRequest, signal: AbortSignal): Promise<void> {
  const { server, query } = request;
  const flow = await tcp.connect({ ...server, noDelay: true, signal });
  const abort = (): void => flow.abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    const stream = new MessageStream(flow);
    await stream.write(query);
    for (;;) {
      const message = await stream.read();
      if (message === undefined) throw new Error("the server ended the connection without an answer");
      if (request.accept(message, 0, message.length)) return;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    void flow.close();
  }
}
