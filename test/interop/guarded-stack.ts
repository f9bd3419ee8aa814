// Our stack on a tap device in a namespace of its own, serving, for programs of the kernel's side to try their worst on.
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Netif } from "@tesserae/device/netif";
import { serve } from "@tesserae/http/server";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers, type ProcessTimers } from "@tesserae/node/timers";
import { createTap } from "@tesserae/tap/netif";
import { createStack, type IpStack, type SingleStackOptions } from "@tesserae/tcpip/stack/stack";
import { Namespace } from "../namespace/namespace.ts";

export const kernelAddress = "10.1.0.1";
export const ownAddress = "10.1.0.2";
export const httpPort = 80;
export const echoPort = 7;

export interface GuardedStackOptions {
  /** Default 1500. */
  readonly mtu?: number;
  readonly tcp?: SingleStackOptions["tcp"];
  readonly wrap?: (netif: Netif) => Netif;
  /** Default true, unless frames are wrapped. */
  readonly offload?: boolean;
}

/** What throws in it is kept: nothing that comes from the wire may make it throw. */
export class GuardedStack {
  readonly namespace: Namespace;
  readonly own: IpStack;
  readonly timers: ProcessTimers;
  /** The kernel's sockets in the namespace. */
  readonly kernel = createKernelStack({ linger: 3000, report: () => undefined });
  readonly errors: unknown[];
  readonly #leave: () => void;

  private constructor(namespace: Namespace, leave: () => void, own: IpStack, timers: ProcessTimers, errors: unknown[]) {
    this.namespace = namespace;
    this.#leave = leave;
    this.own = own;
    this.timers = timers;
    this.errors = errors;
  }

  /** The calling thread is in the namespace from now on. */
  static async open(options: GuardedStackOptions = {}): Promise<GuardedStack> {
    const { mtu = 1500, wrap = (netif: Netif): Netif => netif, offload = options.wrap === undefined } = options;
    const namespace = Namespace.create();
    const leave = await namespace.enter();
    const errors: unknown[] = [];
    const report = (error: unknown): void => void errors.push(error);
    const timers = createTimers({ onError: report });
    const device = await createTap({ name: "t0", hostAddress: Prefix.parse(`${kernelAddress}/24`), mtu, offload });
    const own = await createStack({
      netif: wrap(device),
      timers,
      random: createRandom(),
      ipv4: { kind: "static", address: Prefix.parse(`${ownAddress}/24`), gateway: IpAddress.parse(kernelAddress) },
      ...(options.tcp === undefined ? {} : { tcp: options.tcp }),
      onError: report,
    });
    await serve({ tcp: own.tcp, timers, port: httpPort }, () => new Response("tesserae\n"));
    await own.tcp.listen({ port: echoPort }, echo);
    const socket = await own.udp.bind({ port: echoPort }, ({ bytes, offset, length, source, sourcePort }) => {
      socket.send(bytes, offset, length, source, sourcePort);
    });
    return new GuardedStack(namespace, leave, own, timers, errors);
  }

  /** What a client of the kernel's gets for a request. @throws Error (rejects) when it is not served. */
  async fetched(): Promise<string> {
    const flow = await this.kernel.tcp.connect({
      address: IpAddress.parse(ownAddress),
      port: httpPort,
      timeout: 10_000,
    });
    await flow.write(new TextEncoder().encode(`GET / HTTP/1.1\r\nhost: ${ownAddress}\r\nconnection: close\r\n\r\n`));
    const into = new Uint8Array(4096);
    let text = "";
    for (let got = await flow.read(into); got > 0; got = await flow.read(into)) {
      text += new TextDecoder().decode(into.subarray(0, got));
    }
    await flow.close();
    return text;
  }

  async close(): Promise<void> {
    await this.kernel.close();
    await this.own.close();
    this.timers.close();
    this.#leave();
    this.namespace.destroy();
  }
}

async function echo(flow: Flow): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (let got = await flow.read(buffer); got > 0; got = await flow.read(buffer)) {
      await flow.write(buffer.subarray(0, got));
    }
    await flow.close();
  } catch {
    // Scanners reset what they open.
    flow.abort();
  }
}
