import type { AddressOut, UdpHandle } from "./bindings.ts";
import { HandlePatch } from "./handle-patch.ts";
import type { Host } from "./host.ts";
import type { Patches } from "./patches.ts";
import { UdpState } from "./udp-state.ts";

/** What our UDP cannot do, and says so: groups of some sources only. */
const unsupported = ["addSourceSpecificMembership", "dropSourceSpecificMembership"];
/** `UV_UDP_REUSEADDR`: what `reuseAddr` asks for. */
const reuseAddress = 4;

/**
 * Replaces the methods of `udp_wrap.UDP`, which `node:dgram` calls. What they return is as in Node's
 * `src/udp_wrap.cc`.
 */
export function patchUdp(host: Host, patches: Patches): void {
  const { prototype } = host.bindings.udp.UDP;
  const patch = new HandlePatch(prototype, patches, (handle: UdpHandle) => new UdpState(host, handle));

  const bind = (socket: UdpState, address: string, port: number, flags = 0): number =>
    socket.bind(address, port, (flags & reuseAddress) !== 0);
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
  patch.method("addMembership", (socket, group: string, on?: string) => socket.join(group, on));
  patch.method("dropMembership", (socket, group: string, on?: string) => socket.leave(group, on));
  patch.method("setMulticastInterface", (socket, on: string) => socket.setMulticastInterface(on));
  patch.method("setMulticastTTL", (socket, hops: number) => socket.setHopLimit("groupHopLimit", hops));
  patch.method("setTTL", (socket, hops: number) => socket.setHopLimit("hopLimit", hops));
  patch.method("setMulticastLoopback", (socket, on: number) => socket.setMulticastLoopback(on !== 0));
  for (const name of unsupported) patch.method(name, () => host.errno.number("ENOTSUP"));

  patch.before("close", (socket) => socket.close());
  patch.before("ref", (socket) => socket.setReferenced(true));
  patch.before("unref", (socket) => socket.setReferenced(false));
}
