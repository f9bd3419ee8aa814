import type { AddressOut, UdpHandle } from "./bindings.ts";
import { HandlePatch } from "./handle-patch.ts";
import type { Host } from "./host.ts";
import type { Patches } from "./patches.ts";
import { UdpState } from "./udp-state.ts";

/** What our UDP cannot do, and says so: multicast, and the time to live. */
const unsupported = [
  ...["addMembership", "dropMembership", "addSourceSpecificMembership", "dropSourceSpecificMembership"],
  ...["setMulticastInterface", "setMulticastTTL", "setMulticastLoopback", "setTTL"],
];

/**
 * Replaces the methods of `udp_wrap.UDP`, which `node:dgram` calls. What they return is as in Node's
 * `src/udp_wrap.cc`.
 */
export function patchUdp(host: Host, patches: Patches): void {
  const { prototype } = host.bindings.udp.UDP;
  const patch = new HandlePatch(prototype, patches, (handle: UdpHandle) => new UdpState(host, handle));

  const bind = (socket: UdpState, address: string, port: number): number => socket.bind(address, port);
  patch.method("bind", bind);
  patch.method("bind6", bind);
  const connect = (socket: UdpState, address: string, port: number): number => socket.connect(address, port);
  patch.method("connect", connect);
  patch.method("connect6", connect);
  patch.method("disconnect", (socket) => socket.disconnect());
  const send = (
    socket: UdpState,
    _request: object,
    list: readonly Uint8Array[],
    _count: number,
    // On a connected socket: whether there is a callback.
    port: number | boolean,
    address: string | undefined,
  ): number => socket.send(list, typeof port === "number" ? port : undefined, address);
  patch.method("send", send);
  patch.method("send6", send);
  patch.method("recvStart", (socket) => socket.receiveStart());
  patch.method("recvStop", (socket) => socket.receiveStop());
  patch.method("getsockname", (socket, out: AddressOut) => socket.localName(out));
  patch.method("getpeername", (socket, out: AddressOut) => socket.peerName(out));
  patch.method("setBroadcast", (socket, on: number) => socket.setBroadcast(on !== 0));
  patch.method("bufferSize", (socket, size: number, isReceive: boolean) => socket.bufferSize(size, isReceive ? 0 : 1));
  patch.method("getSendQueueSize", () => 0);
  patch.method("getSendQueueCount", () => 0);
  for (const name of unsupported) patch.method(name, () => host.errno.number("ENOTSUP"));

  patch.before("close", (socket) => socket.close());
  patch.before("ref", (socket) => socket.setReferenced(true));
  patch.before("unref", (socket) => socket.setReferenced(false));
}
