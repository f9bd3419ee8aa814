import { endianness } from "node:os";
import type { MacAddress } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { ethernetHeader } from "../frame-ring.ts";
import { loadCalls, UnsupportedError } from "../libc.ts";
import { RingNetif } from "../ring-netif.ts";
import { InterfaceControl, TapError } from "../tun.ts";
import { RedirectProgram, type SocketMap } from "./redirect-program.ts";
import { xdpFailure } from "./xdp-failure.ts";
import { XdpFrameRing } from "./xdp-ring.ts";
import { XdpSocket } from "./xdp-socket.ts";

/** Bytes that the kernel keeps free in front of each frame received (`XDP_PACKET_HEADROOM`). */
const kernelHeadroom = 256;
/** Chunks to receive in, and entries of each ring. */
const receiveChunks = 1024;
const ringEntries = 2048;
/** How long a socket that was closed may be on its way out, in milliseconds. */
const closingBound = 3000;

export interface XdpOptions {
  /** The interface: `eth1`. All of its frames come here, and none to the kernel. */
  readonly name: string;
  /** Which of its receive queues, from 0. Default 0, and then it must be the only one. */
  readonly queue?: number;
  /** Of the program that is attached for several queues: see {@link attachXdp}. Default: a program of its own. */
  readonly sockets?: SocketMap;
  /** Our address on the link; default: the interface's. */
  readonly mac?: MacAddress;
  /** Pages to build frames in, 1 to 1024. Default 512. */
  readonly pages?: number;
  /**
   * Lets the driver receive in our calls, not in interrupts: for network cards. Default: not on a veth, where it changes
   * nothing on Linux 6.18, which polls for sockets without copies alone.
   */
  readonly busyPoll?: boolean;
  /**
   * Takes every checksum received for good. The kernel at the other end of a veth leaves checksums out, and nothing tells
   * which. Default: on a veth.
   */
  readonly trustChecksums?: boolean;
  /** Gets a failure after which no frame comes any more. Default: a line on stderr. */
  readonly onDead?: (error: TapError) => void;
}

/**
 * Takes a queue of a network interface over from the kernel (AF_XDP), as a {@link Netif}: without copies where the
 * driver can, and through a copy by the kernel elsewhere. An interface that is down is set up.
 *
 * @throws TapError (rejects) when a privilege is missing, with what would help, and when the queue is taken;
 * UnsupportedError where there is no way to call the kernel; RangeError for an option out of range.
 */
export async function createXdp(options: XdpOptions): Promise<Netif> {
  return await openXdp(await loadCalls(), options);
}

/**
 * Attaches the program that the Netifs of several queues share; to be closed after them.
 *
 * @param queues how many there are to be
 * @throws TapError
 */
export function attachXdp(calls: SystemCalls, name: string, queues: number): RedirectProgram {
  const control = new InterfaceControl(calls);
  try {
    const has = control.queues(name);
    if (has !== queues) {
      const help = `--queues ${has}, or ethtool -L ${name} combined ${queues}`;
      throw new TapError("", `"${name}" has ${has} receive ${has === 1 ? "queue" : "queues"}: ${help}`);
    }
    return new RedirectProgram(calls, name, control.index(name));
  } finally {
    control.close();
  }
}

/** {@link createXdp} in the network namespace that the thread is in now, even if it has left when this resolves. */
export function openXdp(calls: SystemCalls, options: XdpOptions): Promise<Netif> {
  return new Promise((resolve, reject) => {
    const opening = new Opening(calls, options);
    const since = Date.now();
    const attempt = (): void => {
      try {
        const netif = opening.finish();
        if (netif !== undefined) resolve(netif);
        else if (Date.now() - since < closingBound) setTimeout(attempt, 10);
        else {
          opening.abandon();
          reject(xdpFailure(16, `queue ${options.queue ?? 0} of "${options.name}"`));
        }
      } catch (error) {
        opening.abandon();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    attempt();
  });
}

/** A socket that waits until the queue is free. */
class Opening {
  readonly #calls: SystemCalls;
  readonly #options: XdpOptions;
  readonly #socket: XdpSocket;
  readonly #sockets: SocketMap;
  readonly #program: RedirectProgram | undefined;
  readonly #chunkSize: number;
  readonly #pages: number;
  readonly #index: number;
  readonly #mtu: number;
  readonly #mac: MacAddress;
  readonly #isVeth: boolean;

  constructor(calls: SystemCalls, options: XdpOptions) {
    const { name, queue = 0, pages = 512 } = options;
    if (endianness() !== "LE") throw new UnsupportedError("AF_XDP is for little-endian machines here");
    if (!Number.isInteger(pages) || pages < 1 || pages > 1024) {
      throw new RangeError(`pages ${pages} is not an integer from 1 to 1024`);
    }
    this.#calls = calls;
    this.#options = options;
    this.#pages = pages;
    const control = new InterfaceControl(calls);
    try {
      const state = control.state(name);
      this.#index = control.index(name);
      const queues = control.queues(name);
      if (queue >= queues) throw new RangeError(`"${name}" has no queue ${queue}: it has ${queues}`);
      if (queues > 1 && options.queue === undefined) {
        throw new TapError(
          "",
          `"${name}" has ${queues} receive queues, and one image takes one: --queues ${queues}, or ethtool -L ${name} combined 1`,
        );
      }
      this.#mtu = state.mtu;
      const needed = kernelHeadroom + ethernetHeader + state.mtu;
      if (needed > 4096) {
        throw new RangeError(`"${name}" has an MTU of ${state.mtu}: at most ${4096 - kernelHeadroom - ethernetHeader}`);
      }
      this.#chunkSize = needed > 2048 ? 4096 : 2048;
      this.#mac = options.mac ?? state.mac;
      this.#isVeth = control.driver(name) === "veth";
      if (!state.up) control.setUp(name);
    } finally {
      control.close();
    }
    this.#socket = new XdpSocket(calls, receiveChunks + pages, this.#chunkSize, ringEntries);
    try {
      if (options.sockets === undefined) {
        this.#program = new RedirectProgram(calls, name, this.#index);
        this.#sockets = this.#program.sockets;
      } else {
        this.#program = undefined;
        this.#sockets = options.sockets;
      }
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /** The interface, unless the queue is still another socket's. */
  finish(): Netif | undefined {
    const { name, queue = 0, trustChecksums, busyPoll, onDead } = this.#options;
    if (!this.#socket.bind(this.#index, queue)) return undefined;
    const zeroCopy = this.#socket.isZeroCopy;
    const polls = (busyPoll ?? !this.#isVeth) && this.#socket.preferBusyPolling();
    const ring = new XdpFrameRing(this.#calls, {
      socket: this.#socket,
      chunkSize: this.#chunkSize,
      receiveChunks,
      pages: this.#pages,
      mtu: this.#mtu,
      trusted: trustChecksums ?? this.#isVeth,
      busyPoll: polls,
      how: `AF_XDP, ${zeroCopy ? "zero-copy" : "copied by the kernel"}${polls ? ", busy-polling" : ""}`,
      onClose: () => this.#detach(),
    });
    this.#sockets.give(queue, this.#socket.fd);
    const rest = onDead === undefined ? {} : { onDead };
    return new RingNetif(this.#calls, ring, { name, mac: this.#mac, mtu: this.#mtu, ...rest });
  }

  abandon(): void {
    this.#socket.close();
    this.#detach();
  }

  #detach(): void {
    this.#program?.close();
  }
}
