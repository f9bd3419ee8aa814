import { constants, openSync, closeSync } from "node:fs";
import { IpAddress, MacAddress, type Prefix } from "@tesserae/device/address";
import { describeErrno, errnoName, type SystemCalls } from "@tesserae/node/native/system-calls";

// <linux/if_tun.h>, <linux/sockios.h>, <linux/if.h>
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUN_F_CSUM = 1;
const TUN_F_TSO4 = 2;
const TUN_F_TSO6 = 4;
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;
const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFADDR = 0x8915;
const SIOCSIFADDR = 0x8916;
const SIOCSIFNETMASK = 0x891c;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const SIOCGIFTXQLEN = 0x8942;
const SIOCSIFTXQLEN = 0x8943;
const SIOCETHTOOL = 0x8946;
// <linux/ethtool.h>
const ETHTOOL_GDRVINFO = 3;
const ETHTOOL_GCHANNELS = 0x3c;
const IFF_UP = 1;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

/** The longest name of an interface, in bytes: IFNAMSIZ without its NUL. */
const longestName = 15;

/** Why a tap device could not be opened or set up. */
export class TapError extends Error {
  override readonly name = "TapError";
  /** The kernel's name for it: `EPERM`; empty when it was not the kernel. */
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** A tap device that {@link openTap} has opened. */
export interface OpenedTap {
  /** Non-blocking; the caller's to close. */
  readonly fd: number;
  /** Whether the kernel cuts frames with several UDP datagrams, and passes such (Linux 6.2). */
  readonly segmentsUdp: boolean;
}

/** What the kernel knows of an interface. */
export interface InterfaceState {
  readonly up: boolean;
  /** In bytes, without the Ethernet header. */
  readonly mtu: number;
  /** The kernel's own address on the link. */
  readonly mac: MacAddress;
  readonly address: IpAddress | undefined;
}

/** @throws RangeError unless the kernel could give an interface this name. */
export function checkInterfaceName(name: string): void {
  if (!/^[^\s/:%]+$/.test(name) || name === "." || name === ".." || Buffer.byteLength(name) > longestName) {
    throw new RangeError(
      `"${name}" is no interface name: 1 to ${String(longestName)} bytes without white space, "/", ":" and "%"`,
    );
  }
}

/**
 * Opens the tap device `name`; with the privilege, creates it when it does not exist. A device made this way goes when
 * the descriptor is closed.
 *
 * @param offload each frame has a `virtio_net_hdr` in front, and the kernel may pass TCP segments longer than the MTU,
 * several UDP datagrams in one frame, and checksums that are still to be completed; otherwise frames are as on a wire
 * @param several whether the device can be opened again, for one more queue: then always
 * @throws RangeError for a bad name; TapError, in words, when it cannot be.
 */
export function openTap(calls: SystemCalls, name: string, offload: boolean, several = false): OpenedTap {
  checkInterfaceName(name);
  let fd: number;
  try {
    fd = openSync("/dev/net/tun", constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const why =
      code === "ENOENT" || code === "ENXIO" || code === "ENODEV"
        ? "/dev/net/tun does not exist: load the module (modprobe tun), or give the container the device"
        : code === "EACCES" || code === "EPERM"
          ? "no permission for /dev/net/tun: it is normally open to all; ask whoever set this machine up"
          : `/dev/net/tun: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new TapError(code, why, { cause });
  }
  const request = interfaceRequest(name);
  request.writeUInt16LE(IFF_TAP | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0) | (several ? IFF_MULTI_QUEUE : 0), 16);
  const refused = calls.ioctl(fd, TUNSETIFF, request);
  if (refused < 0) {
    closeSync(fd);
    const code = errnoName(refused);
    const why =
      code === "EPERM"
        ? `no permission for tap device "${name}": it does not exist, or belongs to another user`
        : code === "EBUSY"
          ? `tap device "${name}" is in use by another process`
          : code === "EINVAL"
            ? several
              ? `"${name}" is no tap device of several queues: it is made with "multi_queue" at the end of ip tuntap add`
              : `"${name}" is an interface, but no tap device of one queue`
            : `tap device "${name}": ${describeErrno(refused)}`;
    throw new TapError(code, why);
  }
  return { fd, segmentsUdp: setOffload(calls, fd, offload) };
}

/** Says what frames may come. A device that stays may have been left with other settings. Whether UDP is cut, too. */
function setOffload(calls: SystemCalls, fd: number, offload: boolean): boolean {
  const usual = offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
  if (offload && calls.ioctlNumber(fd, TUNSETOFFLOAD, usual | TUN_F_USO4 | TUN_F_USO6) >= 0) return true;
  // A kernel that refuses this, too, sends plain frames: no harm.
  calls.ioctlNumber(fd, TUNSETOFFLOAD, usual);
  return false;
}

/** Reads and changes interfaces of the network namespace that the thread is in. */
export class InterfaceControl {
  readonly #calls: SystemCalls;
  readonly #socket: number;

  /** @throws TapError */
  constructor(calls: SystemCalls) {
    this.#calls = calls;
    this.#socket = calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (this.#socket < 0) throw failure(this.#socket, "opening a socket");
  }

  /** @throws TapError `ENODEV` when there is no such interface. */
  state(name: string): InterfaceState {
    const request = interfaceRequest(name);
    this.#call(SIOCGIFFLAGS, request, `reading the state of "${name}"`);
    const up = (request.readUInt16LE(16) & IFF_UP) !== 0;
    this.#call(SIOCGIFMTU, request, `reading the MTU of "${name}"`);
    const mtu = request.readInt32LE(16);
    this.#call(SIOCGIFHWADDR, request, `reading the address of "${name}"`);
    const mac = MacAddress.read(request, 18);
    const hasAddress = this.#calls.ioctl(this.#socket, SIOCGIFADDR, request) >= 0;
    return { up, mtu, mac, address: hasAddress ? IpAddress.v4(request.readInt32BE(20)) : undefined };
  }

  /** The number of an interface. @throws TapError */
  index(name: string): number {
    const request = interfaceRequest(name);
    this.#call(SIOCGIFINDEX, request, `finding "${name}"`);
    return request.readInt32LE(16);
  }

  /** The name of its driver: `veth`. Empty where it has none. */
  driver(name: string): string {
    // struct ethtool_drvinfo: the command, then the name in 32 bytes.
    const information = this.#ethtool(name, ETHTOOL_GDRVINFO, 196);
    return information?.toString("latin1", 4, 36).replace(/\0.*/s, "") ?? "";
  }

  /** How many receive queues it has in use. */
  queues(name: string): number {
    // struct ethtool_channels: the command, four maxima, then how many of each kind there are.
    const channels = this.#ethtool(name, ETHTOOL_GCHANNELS, 36);
    return Math.max(1, channels === undefined ? 1 : channels.readUInt32LE(20) + channels.readUInt32LE(32));
  }

  #ethtool(name: string, command: number, length: number): Buffer | undefined {
    const { bytes, address } = this.#calls.memory(length);
    const answer = Buffer.from(bytes.buffer, bytes.byteOffset, length);
    answer.writeUInt32LE(command, 0);
    const request = interfaceRequest(name);
    request.writeBigUInt64LE(BigInt(address), 16);
    return this.#calls.ioctl(this.#socket, SIOCETHTOOL, request) < 0 ? undefined : answer;
  }

  /** @throws TapError */
  setAddress(name: string, { address, length }: Prefix): void {
    const request = interfaceRequest(name);
    writeAddress(request, address.w3);
    this.#call(SIOCSIFADDR, request, `giving "${name}" the address ${address.toString()}`);
    writeAddress(request, length === 0 ? 0 : -1 << (32 - length));
    this.#call(SIOCSIFNETMASK, request, `giving "${name}" the prefix length ${String(length)}`);
  }

  /** @throws TapError */
  setMtu(name: string, mtu: number): void {
    const request = interfaceRequest(name);
    request.writeInt32LE(mtu, 16);
    this.#call(SIOCSIFMTU, request, `giving "${name}" the MTU ${String(mtu)}`);
  }

  /** How many frames may wait for the other side of a tap device. @throws TapError */
  queueLength(name: string): number {
    const request = interfaceRequest(name);
    this.#call(SIOCGIFTXQLEN, request, `reading the queue length of "${name}"`);
    return request.readInt32LE(16);
  }

  /** @throws TapError */
  setQueueLength(name: string, frames: number): void {
    const request = interfaceRequest(name);
    request.writeInt32LE(frames, 16);
    this.#call(SIOCSIFTXQLEN, request, `giving "${name}" a queue of ${String(frames)} frames`);
  }

  /** @throws TapError */
  setUp(name: string): void {
    const request = interfaceRequest(name);
    this.#call(SIOCGIFFLAGS, request, `reading the state of "${name}"`);
    request.writeUInt16LE(request.readUInt16LE(16) | IFF_UP, 16);
    this.#call(SIOCSIFFLAGS, request, `setting "${name}" up`);
  }

  close(): void {
    closeSync(this.#socket);
  }

  #call(request: number, argument: Buffer, doing: string): void {
    const said = this.#calls.ioctl(this.#socket, request, argument);
    if (said < 0) throw failure(said, doing);
  }
}

function failure(errno: number, doing: string): TapError {
  return new TapError(errnoName(errno), `${doing}: ${describeErrno(errno)}`);
}

/** A `struct ifreq`: the name, then 24 bytes whose meaning depends on the request. */
function interfaceRequest(name: string): Buffer {
  const request = Buffer.alloc(40);
  request.write(name, 0, longestName);
  return request;
}

function writeAddress(request: Buffer, word: number): void {
  request.fill(0, 16);
  request.writeUInt16LE(AF_INET, 16);
  request.writeInt32BE(word, 20);
}
