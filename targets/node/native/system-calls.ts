import { getSystemErrorMap } from "node:util";
import type { Addon } from "./addon.ts";

// Numbers of system calls: <asm/unistd_64.h> of x86-64, and <asm-generic/unistd.h>, which arm64 and riscv64 use.
const isX64 = process.arch === "x64";
const numbers = isX64
  ? {
      ...{ read: 0, write: 1, mmap: 9, ioctl: 16, sendto: 44, recvfrom: 45, socket: 41, bind: 49, getsockname: 51 },
      ...{ setsockopt: 54, eventfd2: 290, getsockopt: 55, recvmmsg: 299, sendmmsg: 307, setns: 308, bpf: 321 },
    }
  : {
      ...{ read: 63, write: 64, mmap: 222, ioctl: 29, sendto: 206, recvfrom: 207, socket: 198, bind: 200 },
      ...{
        getsockname: 204,
        eventfd2: 19,
        setsockopt: 208,
        getsockopt: 209,
        recvmmsg: 243,
        sendmmsg: 269,
        setns: 268,
        bpf: 280,
      },
    };
const ioUringSetup = 425;
const ioUringEnter = 426;
const ioUringRegister = 427;

/** Memory that the kernel may be given the address of: it does not move while this object is alive. */
export interface NativeMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where `bytes` begins. */
  readonly address: number;
}

/**
 * System calls of Linux, by the native piece or by koffi. All results are the kernel's, with errors as −errno
 * ({@link describeErrno}). Memory is passed as a number, its address, where that is done for each packet.
 */
export class SystemCalls {
  readonly native: Addon;

  constructor(native: Addon) {
    this.native = native;
  }

  /** Zeroed memory. @param alignment a power of two, in bytes */
  memory(length: number, alignment = 16): NativeMemory {
    const buffer = new ArrayBuffer(length + alignment);
    const at = this.native.addressOf(buffer);
    const offset = (alignment - (at % alignment)) % alignment;
    const bytes = new Uint8Array(buffer, offset, length);
    return { bytes, view: new DataView(buffer, offset, length), address: at + offset };
  }

  /** Where `bytes` begins in memory. */
  addressOf(bytes: Uint8Array): number {
    // as: whatever is shared between threads is no ArrayBuffer, and none of it comes here.
    return this.native.addressOf(bytes.buffer as ArrayBuffer) + bytes.byteOffset;
  }

  /**
   * Puts fresh pages in place of memory of the kernel's that `native.map` gave: a mapping keeps its descriptor's device
   * open until the buffer is collected. Whoever still has the buffer reads zeros.
   */
  forget(mapped: ArrayBuffer): void {
    const address = this.native.addressOf(mapped);
    this.native.call(numbers.mmap, address, mapped.byteLength, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_FIXED, -1, 0);
  }

  read(fd: number, address: number, length: number): number {
    return this.native.call(numbers.read, fd, address, length);
  }

  write(fd: number, address: number, length: number): number {
    return this.native.call(numbers.write, fd, address, length);
  }

  ioctl(fd: number, request: number, argument: Uint8Array): number {
    return this.native.call(numbers.ioctl, fd, request, this.addressOf(argument));
  }

  /** For a request whose argument is a number. */
  ioctlNumber(fd: number, request: number, argument: number): number {
    return this.native.call(numbers.ioctl, fd, request, argument);
  }

  /** A descriptor that counts: what is written is added, as a 64-bit integer, and reading takes it all. */
  eventfd(flags: number): number {
    return this.native.call(numbers.eventfd2, 0, flags);
  }

  /** A descriptor. */
  socket(domain: number, type: number, protocol: number): number {
    return this.native.call(numbers.socket, domain, type, protocol);
  }

  bind(fd: number, address: Uint8Array): number {
    return this.native.call(numbers.bind, fd, this.addressOf(address), address.length);
  }

  /** Writes the socket's own address into `address`. */
  getsockname(fd: number, address: Uint8Array): number {
    const length = this.memory(4);
    length.view.setUint32(0, address.length, true);
    return this.native.call(numbers.getsockname, fd, this.addressOf(address), length.address);
  }

  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
    return this.native.call(numbers.setsockopt, fd, level, option, this.addressOf(value), value.length);
  }

  /** For an option that is an `int`. */
  setsockoptNumber(fd: number, level: number, option: number, value: number): number {
    const memory = this.memory(4);
    memory.view.setInt32(0, value, true);
    return this.setsockopt(fd, level, option, memory.bytes);
  }

  /** How many bytes were filled in. */
  getsockopt(fd: number, level: number, option: number, into: Uint8Array): number {
    const length = this.memory(4);
    length.view.setUint32(0, into.length, true);
    const said = this.native.call(numbers.getsockopt, fd, level, option, this.addressOf(into), length.address);
    return said < 0 ? said : length.view.getUint32(0, true);
  }

  /** Wakes a driver up, or gives it the time to receive: no bytes move. */
  sendNothing(fd: number): number {
    return this.native.call(numbers.sendto, fd, 0, 0, MSG_DONTWAIT, 0, 0);
  }

  receiveNothing(fd: number): number {
    return this.native.call(numbers.recvfrom, fd, 0, 0, MSG_DONTWAIT, 0, 0);
  }

  /** How many of the `struct mmsghdr`s were filled. */
  recvmmsg(fd: number, headers: number, count: number): number {
    return this.native.call(numbers.recvmmsg, fd, headers, count, MSG_DONTWAIT, 0);
  }

  /** How many of them were sent. */
  sendmmsg(fd: number, headers: number, count: number): number {
    return this.native.call(numbers.sendmmsg, fd, headers, count, MSG_DONTWAIT);
  }

  /** Enters the namespace that `fd` stands for, with this thread alone. */
  setns(fd: number, type: number): number {
    return this.native.call(numbers.setns, fd, type);
  }

  bpf(command: number, attribute: Uint8Array): number {
    return this.native.call(numbers.bpf, command, this.addressOf(attribute), attribute.length);
  }

  ioUringSetup(entries: number, parameters: Uint8Array): number {
    return this.native.call(ioUringSetup, entries, this.addressOf(parameters));
  }

  ioUringEnter(fd: number, submit: number, complete: number, flags: number): number {
    return this.native.call(ioUringEnter, fd, submit, complete, flags, 0, 0);
  }

  ioUringRegister(fd: number, operation: number, argument: number, count: number): number {
    return this.native.call(ioUringRegister, fd, operation, argument, count);
  }
}

const MSG_DONTWAIT = 0x40;
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS_FIXED = 0x32;

/** `EPERM`. @param errno positive or, as the calls give it, negative */
export function errnoName(errno: number): string {
  const number = Math.abs(errno);
  return getSystemErrorMap().get(-number)?.[0] ?? `errno ${String(number)}`;
}

/** `operation not permitted (EPERM)`. */
export function describeErrno(errno: number): string {
  const number = Math.abs(errno);
  const [name, message] = getSystemErrorMap().get(-number) ?? [`errno ${String(number)}`, "the kernel refused"];
  return `${message} (${name})`;
}
