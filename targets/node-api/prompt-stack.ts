import { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { Stack } from "@tesserae/device/stack";
import type { Tcp, TcpListener, TcpListenOptions } from "@tesserae/device/tcp";
import type { Datagram, Udp, UdpBindOptions, UdpSocket } from "@tesserae/device/udp";
import type { StackInterface } from "@tesserae/tcpip/stack/stack";
import type { OwnUdpSocket } from "@tesserae/tcpip/udp/udp";

/**
 * A stack that opens ports at once. `net.Server#listen` and `dgram.Socket#bind` must know before they return whether a
 * port could be had, and which: a promise comes too late. The stack of `@tesserae/tcpip` is one.
 */
export interface PromptStack extends Stack {
  readonly tcp: Tcp & {
    /** As `listen`. @throws FlowError; RangeError. */
    open(options: TcpListenOptions, accept: (flow: Flow) => void): TcpListener;
  };
  readonly udp: Udp & {
    /** As `bind`. @throws FlowError; RangeError. */
    open(options: UdpBindOptions, handler: (datagram: Datagram) => void): UdpSocket | OwnUdpSocket;
  };
  /** Tells whether there is a route, of either family, where it is there to ask. */
  readonly network?: { source(destination: IpAddress): IpAddress | undefined };
  /** In the order of their indices, from 1, where they can be told apart. */
  readonly interfaces?: readonly Pick<StackInterface, "index" | "name" | "ipv4" | "ipv6">[];
}

/** The number of an interface that Node names by an address of it, or behind `%`; 0: none is named. */
export function interfaceIndex(stack: PromptStack, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return 0;
  const { interfaces = [] } = stack;
  const [, zone] = text.split("%");
  if (zone !== undefined) return interfaces.find(({ index, name }) => name === zone || String(index) === zone)?.index;
  const address = IpAddress.tryParse(text);
  if (address === undefined) return undefined;
  if (address.isUnspecified || address.isLoopback) return 0;
  const has = ({ ipv4, ipv6 }: (typeof interfaces)[number]): boolean =>
    address.family === 4
      ? ipv4.own === address.w3
      : ipv6?.addresses.some((own) => own.address.equals(address)) === true;
  return interfaces.find(has)?.index;
}

/** What our own flows can do beyond the signature; a flow without it works, too, with one more turn for each write. */
export interface PromptFlow extends Flow {
  /** Takes what there is room for at once; how many bytes. @throws FlowError */
  writeNow(bytes: Uint8Array, more?: boolean): number;
  setNoDelay(noDelay: boolean): void;
  /** @param idle milliseconds; `undefined` turns it off */
  setKeepAlive(idle: number | undefined): void;
}

/** @throws TypeError when the stack cannot open ports at once. */
export function promptStack(stack: Stack): PromptStack {
  for (const layer of ["tcp", "udp"] as const) {
    if (!("open" in stack[layer]) || typeof stack[layer].open !== "function") {
      throw new TypeError(`stack.${layer} has no open(): Node's sockets need a stack that opens ports at once`);
    }
  }
  // as: both methods are there.
  return stack as PromptStack;
}

export function isOwnUdpSocket(socket: UdpSocket): socket is OwnUdpSocket {
  return "groupHopLimit" in socket;
}

export function isPromptFlow(flow: Flow): flow is PromptFlow {
  return "writeNow" in flow && "setNoDelay" in flow && "setKeepAlive" in flow;
}
