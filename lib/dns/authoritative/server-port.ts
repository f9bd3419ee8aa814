import { type Endpoint, IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Tcp, TcpListener } from "@tesserae/device/tcp";
import type { Datagram, Udp, UdpSocket } from "@tesserae/device/udp";
import { dnsPort } from "../wire.ts";

export interface ServerPortOptions {
  readonly udp: Udp;
  readonly tcp: Tcp;
  /** Default 53; 0 takes a free one. */
  readonly port?: number;
  /** One of our addresses. Default: all of them. */
  readonly address?: IpAddress;
}

/** The same port of UDP and of TCP, as DNS servers have it (RFC 7766 §5). */
export class ServerPort {
  #listener: TcpListener | undefined = undefined;
  #socket: UdpSocket | undefined = undefined;

  /** Unspecified until {@link open} is done. */
  get local(): Endpoint {
    return this.#listener?.local ?? { address: IpAddress.any4, port: 0 };
  }

  /** @throws FlowError (rejects) when one of the two cannot be had: then neither is. */
  async open(
    { udp, tcp, port = dnsPort, address }: ServerPortOptions,
    flow: (flow: Flow) => Promise<void>,
    datagram: (datagram: Datagram) => void,
  ): Promise<void> {
    const where = address === undefined ? {} : { address };
    const listener = await tcp.listen({ port, noDelay: true, ...where }, flow);
    this.#listener = listener;
    try {
      this.#socket = await udp.bind({ port: listener.local.port, ...where }, datagram);
    } catch (error) {
      await listener.close();
      throw error;
    }
  }

  /** Sends `bytes[offset … offset + length)`; false when it was dropped at once. */
  send(bytes: Uint8Array, offset: number, length: number, client: IpAddress, port: number): boolean {
    return this.#socket?.send(bytes, offset, length, client, port) === true;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#listener?.close(), this.#socket?.close()]);
  }
}
