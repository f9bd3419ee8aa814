import { getSystemErrorMap } from "node:util";

/**
 * The C library and libuv of this very process, called through koffi: no compiler and no addon of our own.
 *
 * Memory is passed as a number, its address: cheaper to marshal than a view, and its bytes can be chosen without
 * making one. Whoever passes an address keeps the ArrayBuffer alive.
 */
export interface Libc {
  /** Bytes read, or −1: see {@link Libc.errno}. */
  read(fd: number, address: number, length: number): number;
  /** Bytes written, or −1. */
  write(fd: number, address: number, length: number): number;
  /** 0 or more, or −1. */
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  /** Likewise for a request whose argument is a number. */
  ioctlNumber(fd: number, request: number, argument: number): number;
  /** A descriptor, or −1. */
  socket(domain: number, type: number, protocol: number): number;
  /** Enters the namespace that `fd` stands for, with this thread alone. 0, or −1. */
  setns(fd: number, type: number): number;
  /** Why the call before failed. */
  errno(): number;
  /** Where `bytes` begins in memory. */
  addressOf(bytes: Uint8Array): number;
  readonly uv: Libuv;
}

/** The part of libuv's C interface that watches a descriptor. Handles are addresses. */
export interface Libuv {
  defaultLoop(): number;
  pollInit(loop: number, handle: number, fd: number): number;
  pollStart(handle: number, events: number, callback: bigint): number;
  pollStop(handle: number): number;
  close(handle: number, callback: bigint): void;
  ref(handle: number): void;
  unref(handle: number): void;
  /** Makes a C function of a JavaScript function of type `uv_poll_cb`; to be unregistered. */
  pollCallback(callback: () => void): bigint;
  /** Likewise for `uv_close_cb`. */
  closeCallback(callback: () => void): bigint;
  unregister(callback: bigint): void;
}

/** A platform, or a Node, on which there can be no tap. The message says why and what would help. */
export class UnsupportedError extends Error {
  override readonly name = "UnsupportedError";
}

let loaded: Promise<Libc> | undefined;

/** @throws UnsupportedError (rejects) when this is not Linux, or koffi is not installed. */
export function loadLibc(): Promise<Libc> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Libc> {
  if (process.platform !== "linux") {
    throw new UnsupportedError(`the tap target needs Linux: this is ${process.platform}; use the node or sim target`);
  }
  let koffi;
  try {
    ({ default: koffi } = await import("koffi"));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UnsupportedError(
      `the tap target calls the kernel through the package "koffi": npm install koffi (${why})`,
      {
        cause,
      },
    );
  }
  const library = koffi.load(null);
  // Callbacks are declared once a process: koffi knows types by name.
  const pollProto = koffi.pointer(koffi.proto("void TesseraeUvPoll(void *handle, int status, int events)"));
  const closeProto = koffi.pointer(koffi.proto("void TesseraeUvClose(void *handle)"));
  // The declarations in C are the signatures: koffi's own type of a function says (...args: any[]) => any.
  const declare = (signature: string) => library.func(signature);
  return {
    read: declare("int64_t read(int fd, int64_t address, int64_t length)"),
    write: declare("int64_t write(int fd, int64_t address, int64_t length)"),
    ioctl: declare("int ioctl(int fd, uint64_t request, void *argument)"),
    ioctlNumber: declare("int ioctl(int fd, uint64_t request, uint64_t argument)"),
    socket: declare("int socket(int domain, int type, int protocol)"),
    setns: declare("int setns(int fd, int type)"),
    errno: () => koffi.errno(),
    addressOf: (bytes) => Number(koffi.address(bytes)),
    uv: {
      defaultLoop: declare("int64_t uv_default_loop()"),
      pollInit: declare("int uv_poll_init(int64_t loop, int64_t handle, int fd)"),
      pollStart: declare("int uv_poll_start(int64_t handle, int events, int64_t callback)"),
      pollStop: declare("int uv_poll_stop(int64_t handle)"),
      close: declare("void uv_close(int64_t handle, int64_t callback)"),
      ref: declare("void uv_ref(int64_t handle)"),
      unref: declare("void uv_unref(int64_t handle)"),
      pollCallback: (callback) => koffi.register(callback, pollProto),
      closeCallback: (callback) => koffi.register(callback, closeProto),
      unregister: (callback) => koffi.unregister(callback),
    },
  };
}

/** `EPERM`. */
export function errnoName(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[0] ?? `errno ${String(errno)}`;
}

/** `operation not permitted (EPERM)`. */
export function describeErrno(errno: number): string {
  const [name, message] = getSystemErrorMap().get(-errno) ?? [`errno ${String(errno)}`, "the kernel refused"];
  return `${message} (${name})`;
}
