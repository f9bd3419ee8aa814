// The Linux kernel as a subject: in a namespace of its own, over a tun device, in real time.
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { IpAddress } from "@tesserae/device/address";
import { Namespace } from "../namespace/namespace.ts";
import * as sockets from "./kernel-sockets.ts";
import { type KernelSockets, loadKernelSockets, SystemError } from "./kernel-sockets.ts";
import { addressOf, destinationOf, type Family } from "./ip-packet.ts";
import { patternByte } from "./packet.ts";
import type { CallSpec, Settings } from "./script.ts";
import type { Emitted, Subject, SubjectMaker } from "./subject.ts";

const ownAddress = 0x0a00_0001;
/** Each script has a peer of its own, so that scripts share a device and nothing that the kernel remembers. */
const firstPeer = 0x0a00_0101;
const firstListenPort = 1024;
const remotePort = 8080;
const firstPeerPort = 40_000;

/** More than any buffer holds. */
const everything = 1 << 20;

/**
 * What makes the kernel comparable, as far as this one knows it: nothing is remembered from one connection to the next, and nothing that is not in
 * an RFC and only waits (linear SYN timeouts, compressed SACKs) is on.
 */
const baseline: Readonly<Record<string, string>> = {
  tcp_no_metrics_save: "1",
  tcp_syn_linear_timeouts: "0",
  tcp_comp_sack_nr: "0",
  tcp_congestion_control: "reno",
  "conf.all.rp_filter": "0",
  "conf.default.rp_filter": "0",
};

/** Kernels in namespaces, one for each combination of settings, made when it is first wanted. */
export function createLinuxKernels(): SubjectMaker {
  const kernel = loadKernelSockets();
  const hosts = new Map<string, LinuxHost>();
  let plays = 0;
  return {
    name: "linux",
    start(settings) {
      if (plays === 0) kernel.hurry(true);
      const key = JSON.stringify([settings.mtu, ...settings.sysctls]);
      let host = hosts.get(key);
      if (host === undefined) {
        host = LinuxHost.create(kernel, settings);
        hosts.set(key, host);
      }
      return Promise.resolve(new LinuxSubject(kernel, host, settings, plays++));
    },
    close() {
      kernel.hurry(false);
      for (const host of hosts.values()) host.close();
      return Promise.resolve();
    },
  };
}

/** One namespace with its tun device. */
class LinuxHost {
  readonly namespace: Namespace;
  readonly #kernel: KernelSockets;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(65_536);
  readonly #subjects = new Map<number, LinuxSubject>();

  private constructor(kernel: KernelSockets, namespace: Namespace, fd: number) {
    this.#kernel = kernel;
    this.namespace = namespace;
    this.#fd = fd;
  }

  static create(kernel: KernelSockets, settings: Settings): LinuxHost {
    const namespace = Namespace.create();
    try {
      const fd = kernel.inside(namespace.name, () => {
        const tun = openSync("/dev/net/tun", constants.O_RDWR | constants.O_NONBLOCK);
        kernel.attachTun(tun, "t0");
        return tun;
      });
      const sysctls = new Map([...Object.entries(baseline), ...settings.sysctls]);
      namespace.run("sysctl", ["-qew", ...[...sysctls].map(([name, value]) => `net.ipv4.${name}=${value}`)]);
      namespace.ip(`link set dev t0 mtu ${settings.mtu} txqueuelen 5000`);
      // The namespace comes without IPv6.
      namespace.run("sysctl", ["-qw", "net.ipv6.conf.t0.disable_ipv6=0"]);
      namespace.ip("addr add 10.0.0.1/8 dev t0");
      namespace.ip("addr add fd00::a00:1/64 dev t0 nodad");
      namespace.ip("link set dev t0 up");
      return new LinuxHost(kernel, namespace, fd);
    } catch (error) {
      namespace.destroy();
      throw error;
    }
  }

  add(subject: LinuxSubject): void {
    this.#subjects.set(subject.peerAddress, subject);
  }

  remove(subject: LinuxSubject): void {
    this.#subjects.delete(subject.peerAddress);
  }

  inject(packet: Uint8Array): void {
    this.#kernel.write(this.#fd, packet);
    this.poll();
  }

  /** Hands each packet that the kernel sent to the script whose peer it is for. */
  poll(): void {
    for (;;) {
      const length = this.#kernel.read(this.#fd, this.#buffer);
      if (length < 0) return;
      if (length < 20) continue;
      const packet = this.#buffer.slice(0, length);
      const destination = destinationOf(packet);
      if (destination === undefined) continue;
      this.#subjects.get(destination)?.sent.push({ time: performance.now(), packet });
    }
  }

  close(): void {
    closeSync(this.#fd);
    this.namespace.destroy();
  }
}

class LinuxSubject implements Subject {
  readonly name = "linux";
  readonly address = ownAddress;
  readonly family: Family;
  readonly peerAddress: number;
  /** A tick of a kernel with 250 of them in a second, twice, and a busy machine. */
  readonly slack = 15;
  port: number;
  disturbance = 0;
  readonly sent: Emitted[] = [];
  readonly #kernel: KernelSockets;
  readonly #host: LinuxHost;
  readonly #settings: Settings;
  readonly #open = new Set<number>();
  #listener = -1;
  #fd = -1;
  #isActive = false;
  #noDelay = false;
  #polledAt = performance.now();
  readonly #writing: Uint8Array[] = [];
  #written = 0;
  #read = 0;

  constructor(kernel: KernelSockets, host: LinuxHost, settings: Settings, play: number) {
    this.#kernel = kernel;
    this.#host = host;
    this.#settings = settings;
    this.family = settings.family;
    this.peerAddress = firstPeer + play;
    this.port = firstListenPort + play;
    host.add(this);
  }

  peerPort(peer: number): number {
    return this.#isActive && peer === 1 ? remotePort : firstPeerPort + peer;
  }

  now(): number {
    return performance.now();
  }

  inject(packet: Uint8Array): Promise<void> {
    this.#host.inject(packet);
    return Promise.resolve();
  }

  take(): Emitted | undefined {
    return this.sent.shift();
  }

  async wait(deadline: number): Promise<void> {
    for (;;) {
      this.#poll();
      if (this.sent.length > 0 || performance.now() >= deadline) return;
      await sleep(Math.min(1, deadline - performance.now()));
    }
  }

  #poll(): void {
    this.#host.poll();
    const now = performance.now();
    this.disturbance = Math.max(this.disturbance, now - this.#polledAt);
    this.#polledAt = now;
    while (this.#writing.length > 0) {
      const [bytes = new Uint8Array(0)] = this.#writing;
      const taken = this.#kernel.send(this.#fd, bytes);
      if (taken < 0) break;
      if (taken === bytes.length) this.#writing.shift();
      else this.#writing[0] = bytes.subarray(taken);
    }
  }

  call(call: CallSpec): Promise<string> {
    try {
      const outcome = this.#call(call);
      this.#poll();
      return Promise.resolve(outcome);
    } catch (error) {
      const kind = error instanceof SystemError ? errorKinds[error.code] : undefined;
      if (kind === undefined) throw error;
      return Promise.resolve(`fails ${kind}`);
    }
  }

  #call({ name, value, values }: CallSpec): string {
    const kernel = this.#kernel;
    switch (name) {
      case "listen":
        this.#listener = this.#socket();
        kernel.setOption(this.#listener, sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1);
        kernel.bind(this.#listener, addressOf(this.family, ownAddress), this.port);
        kernel.listen(this.#listener, 511);
        return "ok";
      case "stop-listening":
        this.#close(this.#listener);
        return "ok";
      case "accept": {
        const fd = kernel.accept(this.#listener);
        if (fd < 0) return "nothing";
        this.#use(fd);
        return "ok";
      }
      case "connect":
        this.#isActive = true;
        this.#use(this.#socket());
        if (this.#noDelay) kernel.setOption(this.#fd, sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1);
        kernel.connect(this.#fd, addressOf(this.family, this.peerAddress), remotePort);
        this.port = kernel.localPort(this.#fd);
        return "ok";
      case "connected":
        kernel.check(this.#fd);
        return kernel.isEstablished(this.#fd) ? "ok" : "nothing";
      case "write": {
        const bytes = Uint8Array.from({ length: value }, (_, index) => patternByte(this.#written + index));
        this.#written += value;
        const taken = this.#writing.length > 0 ? 0 : Math.max(0, kernel.send(this.#fd, bytes));
        if (taken < value) this.#writing.push(bytes.subarray(taken));
        return "ok";
      }
      case "read":
        return this.#readUpTo(value);
      case "read-all": {
        const outcome = this.#readUpTo(everything);
        return /^\d+$/.test(outcome) ? "ok" : outcome;
      }
      case "shutdown":
        kernel.shutdownWrite(this.#fd);
        return "ok";
      case "close":
        this.#close(this.#fd);
        return "ok";
      case "abort":
        kernel.setOption(this.#fd, sockets.SOL_SOCKET, sockets.SO_LINGER, [1, 0]);
        this.#close(this.#fd);
        return "ok";
      case "nodelay":
        if (this.#fd < 0) this.#noDelay = value === 1;
        else kernel.setOption(this.#fd, sockets.IPPROTO_TCP, sockets.TCP_NODELAY, value);
        return "ok";
      case "cork":
        kernel.setOption(this.#fd, sockets.IPPROTO_TCP, sockets.TCP_CORK, value);
        return "ok";
      case "keepalive": {
        const [idle = 1, interval = 1, count = 1] = values;
        kernel.setOption(this.#fd, sockets.IPPROTO_TCP, sockets.TCP_KEEPIDLE, idle);
        kernel.setOption(this.#fd, sockets.IPPROTO_TCP, sockets.TCP_KEEPINTVL, interval);
        kernel.setOption(this.#fd, sockets.IPPROTO_TCP, sockets.TCP_KEEPCNT, count);
        kernel.setOption(this.#fd, sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1);
        return "ok";
      }
      case "user-timeout":
        kernel.setOption(this.#fd, sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, value);
        return "ok";
      case "state":
        return kernel.inside(this.#host.namespace.name, () => this.#state());
      default:
        throw new Error(`the kernel has no call "${name}"`);
    }
  }

  #socket(): number {
    const kernel = this.#kernel;
    const fd = kernel.inside(this.#host.namespace.name, () => kernel.socket(this.family));
    this.#open.add(fd);
    const { receiveBuffer, sendBuffer, congestion } = this.#settings;
    kernel.setOption(fd, sockets.IPPROTO_TCP, sockets.TCP_CONGESTION, congestion);
    if (receiveBuffer > 0) kernel.setOption(fd, sockets.SOL_SOCKET, sockets.SO_RCVBUF, receiveBuffer);
    if (sendBuffer > 0) kernel.setOption(fd, sockets.SOL_SOCKET, sockets.SO_SNDBUF, sendBuffer);
    return fd;
  }

  #use(fd: number): void {
    this.#open.add(fd);
    this.#fd = fd;
    this.#written = 0;
    this.#read = 0;
  }

  /** As much of `wanted` bytes as there is. */
  #readUpTo(wanted: number): string {
    let total = 0;
    let isRight = true;
    while (total < wanted) {
      const into = new Uint8Array(wanted - total);
      const length = this.#kernel.receive(this.#fd, into);
      if (length === 0 && total === 0) return "end";
      if (length < 0 && total === 0) return "nothing";
      if (length <= 0) break;
      for (let at = 0; at < length; at++) isRight &&= into[at] === patternByte(this.#read + at);
      this.#read += length;
      total += length;
    }
    return isRight ? String(total) : `${total} wrong bytes`;
  }

  /** What the kernel's table says of the connection with the first peer. */
  #state(): string {
    const file = this.family === 4 ? "tcp" : "tcp6";
    const lines = readFileSync(`/proc/thread-self/net/${file}`, "utf8").split("\n");
    const local = endpoint(addressOf(this.family, ownAddress), this.port);
    const remote = endpoint(addressOf(this.family, this.peerAddress), this.peerPort(1));
    for (const line of lines) {
      const [, own, other, state = ""] = line.trim().split(/\s+/);
      if (own === local && other === remote) return stateNames[Number.parseInt(state, 16)] ?? state;
    }
    return "CLOSED";
  }

  #close(fd: number): void {
    this.#open.delete(fd);
    this.#kernel.close(fd);
  }

  close(): Promise<void> {
    for (const fd of this.#open) {
      // The peer's address is not used again: what is left of the connection disturbs nobody.
      if (fd !== this.#listener) this.#kernel.setOption(fd, sockets.SOL_SOCKET, sockets.SO_LINGER, [1, 0]);
      this.#kernel.close(fd);
    }
    this.#open.clear();
    this.#host.remove(this);
    return Promise.resolve();
  }
}

/** As `/proc/net/tcp` prints it: each word of the address as a number of this machine. */
function endpoint({ family, w0, w1, w2, w3 }: IpAddress, port: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0");
  const words = (family === 4 ? [w3] : [w0, w1, w2, w3]).map((word) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(word);
    return hex(bytes.readUInt32LE(), 8);
  });
  return `${words.join("")}:${hex(port, 4)}`;
}

/** `<net/tcp_states.h>`, in the words of RFC 9293. */
const stateNames: readonly string[] = [
  "",
  "ESTABLISHED",
  "SYN-SENT",
  "SYN-RECEIVED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "TIME-WAIT",
  "CLOSED",
  "CLOSE-WAIT",
  "LAST-ACK",
  "LISTEN",
  "CLOSING",
  "SYN-RECEIVED",
];

/** The kernel's errors in the words of `FlowError`. */
const errorKinds: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  ETIMEDOUT: "timeout",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ENOPROTOOPT: "unreachable",
  EPIPE: "closed",
  ENOTCONN: "closed",
};
