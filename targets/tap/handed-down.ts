// Tap devices that need no request of the kernel (ioctl) to be opened: those handed down as an open descriptor, and
// macvtap interfaces, which are a file.
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { MacAddress } from "@tesserae/device/address";
import { TapError } from "./tun.ts";

const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFF_UP = 1;
const smallestMtu = 576;

/** A tap device that is open, with all that the kernel says of it. */
export interface OpenTap {
  /** Non-blocking. */
  readonly fd: number;
  readonly name: string;
  /** In bytes. */
  readonly mtu: number;
  /** Of the interface. It is the kernel's own on a tap device, and ours on a macvtap. */
  readonly mac: MacAddress;
  readonly isMacvtap: boolean;
  /** Whether there is a `virtio_net_hdr` before each frame. */
  readonly hasHeader: boolean;
}

/** A file that the kernel shows of an interface, below `/sys/class/net/NAME`. @throws TapError when it shows none. */
function read(name: string, file: string): string {
  try {
    return readFileSync(`/sys/class/net/${name}/${file}`, "utf8").trim();
  } catch (cause) {
    throw new TapError("ENODEV", `"${name}" is no interface that /sys/class/net shows here`, { cause });
  }
}

function mtuOf(name: string): number {
  const mtu = Number(read(name, "mtu"));
  if (mtu < smallestMtu) throw new TapError("", `"${name}" has an MTU of ${mtu}: at least ${smallestMtu} are needed`);
  if ((Number(read(name, "flags")) & IFF_UP) === 0) {
    throw new TapError("ENETDOWN", `"${name}" is down: sudo ip link set dev ${name} up`);
  }
  return mtu;
}

/**
 * What a descriptor is that whoever started this process opened as a tap device.
 *
 * @throws TapError in words when it is none, or cannot be used as it is.
 */
export function inheritedTap(fd: number): OpenTap {
  let text: string;
  try {
    fstatSync(fd);
    text = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
  } catch (cause) {
    throw new TapError("EBADF", `descriptor ${fd} is not open`, { cause });
  }
  const name = /^iff:\s*(\S+)$/m.exec(text)?.[1];
  if (name === undefined) throw new TapError("EINVAL", `descriptor ${fd} is no tap device`);
  const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(text)?.[1] ?? "0", 8);
  if ((flags & constants.O_NONBLOCK) === 0) {
    throw new TapError("EINVAL", `descriptor ${fd} ("${name}") is blocking: it is to be opened with O_NONBLOCK`);
  }
  const tun = Number(read(name, "tun_flags"));
  if ((tun & IFF_TAP) === 0 || (tun & IFF_NO_PI) === 0) {
    throw new TapError("EINVAL", `descriptor ${fd} ("${name}") is to be opened with IFF_TAP and IFF_NO_PI`);
  }
  const mac = MacAddress.parse(read(name, "address"));
  return { fd, name, mtu: mtuOf(name), mac, isMacvtap: false, hasHeader: (tun & IFF_VNET_HDR) !== 0 };
}

/** Whether there is a macvtap interface of this name, as far as /sys/class/net shows. */
export function isMacvtap(name: string): boolean {
  return existsSync(`/sys/class/net/${name}/macvtap`);
}

/** Opens the file of a macvtap interface. @throws TapError in words when it cannot be. */
export function openMacvtap(name: string): OpenTap {
  const [node = ""] = readdirSync(`/sys/class/net/${name}/macvtap`);
  const mtu = mtuOf(name);
  const mac = MacAddress.parse(read(name, "address"));
  const path = `/dev/${node}`;
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const why =
      code === "EACCES" || code === "EPERM"
        ? `no permission for "${name}": sudo chown $USER ${path}`
        : code === "EBUSY"
          ? `"${name}" is in use by another process`
          : `"${name}": ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new TapError(code, why, { cause });
  }
  try {
    // /dev may show another network namespace's devices.
    const [major = 0, minor = 0] = read(name, `macvtap/${node}/dev`).split(":").map(Number);
    const { rdev } = fstatSync(fd);
    const isIt = ((rdev >>> 8) & 0xfff) === major && ((rdev & 0xff) | ((rdev >>> 12) & 0xfff00)) === minor;
    if (!isIt) throw new TapError("ENODEV", `${path} is not the device of "${name}", which is ${major}:${minor}`);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  // A macvtap's frames have the header from the start.
  return { fd, name, mtu, mac, isMacvtap: true, hasHeader: true };
}
