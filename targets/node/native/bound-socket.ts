import { closeSync } from "node:fs";
import type { Endpoint, IpAddress } from "@tesserae/device/address";
import { flowError } from "../flow-fault.ts";
import {
  longestSocketAddress,
  portOf,
  type SeenAddresses,
  socketAddressLength,
  writeSocketAddress,
} from "./socket-address.ts";
import { describeErrno, errnoName, type SystemCalls } from "./system-calls.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

/** What kind of socket: `SOCK_STREAM`, `SOCK_DGRAM`. */
export const streamSocket = 1;
export const datagramSocket = 2;

export interface BoundSocketOptions {
  readonly type: typeof streamSocket | typeof datagramSocket;
  /** `::` is for both families. */
  readonly at: IpAddress;
  /** 0 is a free one. */
  readonly port: number;
  /** Lets other processes and threads have the port too; the kernel spreads flows over them (SO_REUSEPORT). */
  readonly spread: boolean;
  /** Sets more options before it is bound. */
  readonly configure?: (fd: number) => void;
}

/**
 * A non-blocking socket of the kernel's, bound to an address.
 *
 * @returns a descriptor, the caller's to close
 * @throws FlowError `address-in-use`, `address-not-available`, `permission`, `unreachable` without the family
 */
export function boundSocket(calls: SystemCalls, options: BoundSocketOptions, doing: string): number {
  const { type, at, port, spread, configure } = options;
  const domain = at.family === 6 ? AF_INET6 : AF_INET;
  const fd = checkSocketCall(calls.socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), doing);
  try {
    if (spread) calls.setsockoptNumber(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (at.family === 6) calls.setsockoptNumber(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    configure?.(fd);
    const name = calls.memory(longestSocketAddress);
    writeSocketAddress(name.view, 0, at.family, at, port);
    checkSocketCall(calls.bind(fd, name.bytes.subarray(0, socketAddressLength(at.family))), doing);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Where a socket is bound. @throws FlowError */
export function localEndpoint(calls: SystemCalls, fd: number, addresses: SeenAddresses): Endpoint {
  const name = calls.memory(longestSocketAddress);
  checkSocketCall(calls.getsockname(fd, name.bytes), "asking a socket for its address");
  return { address: addresses.read(name.view, 0), port: portOf(name.view, 0) };
}

/** @throws FlowError for a negative answer of the kernel's. */
export function checkSocketCall(said: number, doing: string): number {
  if (said >= 0) return said;
  throw flowError(Object.assign(new Error(describeErrno(said)), { code: errnoName(said) }), doing);
}
