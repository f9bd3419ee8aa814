import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Tcp } from "@tesserae/device/tcp";
import type { Datagram, Udp, UdpSocket } from "@tesserae/device/udp";
import { withTimeout } from "@tesserae/time/sleep";
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
    // RFC 7766 §8: the length and the message in one segment.
    const framed = new Uint8Array(query.length + 2);
    framed.set([query.length >>> 8, query.length & 255]);
    framed.set(query, 2);
    await flow.write(framed);
    for (;;) {
      const prefix = await readExactly(flow, 2);
      const message = await readExactly(flow, ((prefix[0] ?? 0) << 8) | (prefix[1] ?? 0));
      if (request.accept(message, 0, message.length)) return;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    void flow.close();
  }
}

async function readExactly(flow: Flow, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const count = await flow.read(bytes.subarray(at));
    if (count === 0) throw new Error("the connection ended in the middle of a message");
    at += count;
  }
  return bytes;
}
