import type { Stack } from "@tesserae/device/stack";
import type { Tcp } from "@tesserae/device/tcp";
import type { Udp } from "@tesserae/device/udp";

/** The TCP of a stack as a device of its own, for an application that needs no more. The stack keeps owning it. */
export function createTcpOfStack({ stack }: { readonly stack: Stack }): Tcp {
  const { tcp } = stack;
  return { connect: (options) => tcp.connect(options), listen: (options, accept) => tcp.listen(options, accept) };
}

/** The UDP of a stack as a device of its own. The stack keeps owning it. */
export function createUdpOfStack({ stack }: { readonly stack: Stack }): Udp {
  const { udp } = stack;
  return { bind: (options, handler) => udp.bind(options, handler) };
}
