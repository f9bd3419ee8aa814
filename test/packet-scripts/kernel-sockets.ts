// The kernel's own sockets, called from this process: what an application of a script does happens at once.
import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { getSystemErrorMap } from "node:util";
import type { IpAddress } from "@tesserae/device/address";
import koffi from "koffi";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const CLONE_NEWNET = 0x40000000;
const SCHED_OTHER = 0;
const SCHED_RR = 2;
const EINPROGRESS = 115;
const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_CORK = 3;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
const TCP_INFO = 11;
export const TCP_CONGESTION = 13;
export const TCP_USER_TIMEOUT = 18;

/** TCP_SYN_SENT, TCP_SYN_RECV and TCP_CLOSE of `<net/tcp_states.h>`. */
const opening = [2, 3, 7];

/** A call of the kernel's that failed. */
export class SystemError extends Error {
  readonly code: string;

  constructor(doing: string, errno: number) {
    const [code, message] = getSystemErrorMap().get(-errno) ?? [`errno ${String(errno)}`, "?"];
    super(`${doing}: ${message} (${code})`);
    this.code = code;
  }
}

/** Sockets, and the tun device, of the network namespace that the thread is in when they are opened. */
export interface KernelSockets {
  /** A non-blocking stream socket. @throws SystemError, as everything here does. */
  socket(family: 4 | 6): number;
  bind(fd: number, address: IpAddress, port: number): void;
  listen(fd: number, backlog: number): void;
  /** A connection, or −1 while there is none. */
  accept(fd: number): number;
  connect(fd: number, address: IpAddress, port: number): void;
  localPort(fd: number): number;
  /** Whether the handshake is over. */
  isEstablished(fd: number): boolean;
  setOption(fd: number, level: number, name: number, value: number | string | readonly number[]): void;
  /** SO_ERROR, which it clears. @throws SystemError when there was one. */
  check(fd: number): void;
  /** How many bytes were taken; −1 while there is no room. */
  send(fd: number, bytes: Uint8Array): number;
  /** How many bytes came; 0 at the end; −1 while there is nothing. */
  receive(fd: number, into: Uint8Array): number;
  shutdownWrite(fd: number): void;
  close(fd: number): void;
  /** Attaches the descriptor of `/dev/net/tun` to a new device of that name, which carries bare IP packets. */
  attachTun(fd: number, name: string): void;
  /** A packet's length, or −1 when none waits. */
  read(fd: number, into: Uint8Array): number;
  write(fd: number, bytes: Uint8Array): void;
  /** Lets this thread run before all that are not in a hurry, as far as that is allowed: it keeps time. */
  hurry(isOn: boolean): void;
  /** Calls `act` with this thread inside the network namespace of that name. */
  inside<T>(namespace: string, act: () => T): T;
}

export function loadKernelSockets(): KernelSockets {
  const library = koffi.load(null);
  const declare = (signature: string) => library.func(signature);
  const socket = declare("int socket(int domain, int type, int protocol)");
  const bind = declare("int bind(int fd, void *address, uint32_t length)");
  const listen = declare("int listen(int fd, int backlog)");
  const accept4 = declare("int accept4(int fd, void *address, void *length, int flags)");
  const connect = declare("int connect(int fd, void *address, uint32_t length)");
  const getsockname = declare("int getsockname(int fd, void *address, void *length)");
  const setsockopt = declare("int setsockopt(int fd, int level, int name, void *value, uint32_t length)");
  const getsockopt = declare("int getsockopt(int fd, int level, int name, void *value, void *length)");
  const send = declare("int64_t send(int fd, void *bytes, uint64_t length, int flags)");
  const receive = declare("int64_t recv(int fd, void *bytes, uint64_t length, int flags)");
  const shutdown = declare("int shutdown(int fd, int how)");
  const close = declare("int close(int fd)");
  const ioctl = declare("int ioctl(int fd, uint64_t request, void *argument)");
  const read = declare("int64_t read(int fd, void *bytes, uint64_t length)");
  const setscheduler = declare("int sched_setscheduler(int pid, int policy, void *parameter)");
  const setns = declare("int setns(int fd, int type)");
  const write = declare("int64_t write(int fd, void *bytes, uint64_t length)");

  const attempt = (result: unknown, doing: string): number => {
    const status = Number(result);
    if (status < 0) throw new SystemError(doing, koffi.errno());
    return status;
  };
  /** −1 for "not now". */
  const attemptNow = (result: unknown, doing: string): number => {
    const status = Number(result);
    if (status >= 0) return status;
    const error = new SystemError(doing, koffi.errno());
    if (error.code === "EAGAIN") return -1;
    throw error;
  };
  const length = (bytes: number): Buffer => {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(bytes);
    return word;
  };
  /** A `struct sockaddr_in` or `sockaddr_in6`. */
  const endpoint = ({ family, w0, w1, w2, w3 }: IpAddress, port: number): Buffer => {
    const bytes = Buffer.alloc(family === 4 ? 16 : 28);
    bytes.writeUInt16LE(family === 4 ? AF_INET : AF_INET6);
    bytes.writeUInt16BE(port, 2);
    if (family === 4) bytes.writeInt32BE(w3, 4);
    else for (const [index, word] of [w0, w1, w2, w3].entries()) bytes.writeInt32BE(word, 8 + index * 4);
    return bytes;
  };
  return {
    socket: (family) =>
      attempt(socket(family === 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"),
    bind(fd, address, port) {
      const bytes = endpoint(address, port);
      attempt(bind(fd, bytes, bytes.length), "bind");
    },
    listen: (fd, backlog) => void attempt(listen(fd, backlog), "listen"),
    accept: (fd) => attemptNow(accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC), "accept"),
    connect(fd, address, port) {
      const bytes = endpoint(address, port);
      if (Number(connect(fd, bytes, bytes.length)) >= 0) return;
      const errno = koffi.errno();
      if (errno !== EINPROGRESS) throw new SystemError("connect", errno);
    },
    localPort(fd) {
      const address = Buffer.alloc(28);
      attempt(getsockname(fd, address, length(address.length)), "getsockname");
      return address.readUInt16BE(2);
    },
    isEstablished(fd) {
      const info = Buffer.alloc(8);
      attempt(getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length(info.length)), "getsockopt");
      return !opening.includes(info[0] ?? 0);
    },
    setOption(fd, level, name, value) {
      const bytes =
        typeof value === "string"
          ? Buffer.from(value)
          : Buffer.concat((typeof value === "number" ? [value] : value).map(length));
      attempt(setsockopt(fd, level, name, bytes, bytes.length), `setsockopt ${level} ${name}`);
    },
    check(fd) {
      const value = Buffer.alloc(4);
      attempt(getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length(4)), "getsockopt");
      if (value.readInt32LE() !== 0) throw new SystemError("the socket", value.readInt32LE());
    },
    send: (fd, bytes) => attemptNow(send(fd, bytes, bytes.length, MSG_NOSIGNAL), "send"),
    receive: (fd, into) => attemptNow(receive(fd, into, into.length, 0), "recv"),
    shutdownWrite: (fd) => void attempt(shutdown(fd, 1), "shutdown"),
    close: (fd) => void attempt(close(fd), "close"),
    attachTun(fd, name) {
      const request = Buffer.alloc(40);
      request.write(name, 0, 15);
      request.writeUInt16LE(IFF_TUN | IFF_NO_PI, 16);
      attempt(ioctl(fd, TUNSETIFF, request), `making the device ${name}`);
    },
    read: (fd, into) => attemptNow(read(fd, into, into.length), "reading from the device"),
    write: (fd, bytes) => void attempt(write(fd, bytes, bytes.length), "writing to the device"),
    hurry(isOn) {
      const parameter = Buffer.alloc(4);
      parameter.writeInt32LE(isOn ? 1 : 0);
      // Not allowed, say, in a container: then it is not.
      setscheduler(0, isOn ? SCHED_RR : SCHED_OTHER, parameter);
    },
    inside(namespace, act) {
      const own = openSync("/proc/thread-self/ns/net", "r");
      const there = openSync(`/run/netns/${namespace}`, "r");
      try {
        attempt(setns(there, CLONE_NEWNET), `entering ${namespace}`);
        return act();
      } finally {
        // Nothing sensible can follow in the wrong namespace.
        if (Number(setns(own, CLONE_NEWNET)) !== 0) process.abort();
        closeSync(own);
        closeSync(there);
      }
    },
  };
}
