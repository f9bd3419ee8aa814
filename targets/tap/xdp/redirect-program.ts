import { closeSync } from "node:fs";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { xdpFailure } from "./xdp-failure.ts";

// <linux/bpf.h>
const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_PROG_LOAD = 5;
const BPF_LINK_CREATE = 28;
const BPF_MAP_TYPE_XSKMAP = 17;
const BPF_PROG_TYPE_XDP = 6;
/** `enum bpf_attach_type`. */
const BPF_XDP = 37;
const XDP_PASS = 2;
const XDP_FLAGS_SKB_MODE = 2;
const XDP_FLAGS_DRV_MODE = 4;
/** `bpf_redirect_map`. */
const redirectMap = 51;
/** More than the part of `union bpf_attr` that is used; the kernel wants what is beyond to be zero. */
const attributeSize = 128;
const EAGAIN = 11;
const EBUSY = 16;
const EEXIST = 17;

/** How often loading is tried. */
const mostLoads = 16;
/** Queues that one program knows, at most. */
const mostQueues = 64;

/** Which socket gets the frames of each queue: what the program looks into. */
export class SocketMap {
  /** A descriptor, good in every thread. */
  readonly fd: number;
  readonly #calls: SystemCalls;
  readonly #name: string;

  /** @param name of the interface, for messages */
  constructor(calls: SystemCalls, name: string, fd: number) {
    this.#calls = calls;
    this.#name = name;
    this.fd = fd;
  }

  /** From now on frames of the queue go to the socket. @throws TapError */
  give(queue: number, socket: number): void {
    const pair = this.#calls.memory(8);
    pair.view.setUint32(0, queue, true);
    pair.view.setUint32(4, socket, true);
    const attribute = this.#calls.memory(attributeSize);
    attribute.view.setUint32(0, this.fd, true);
    attribute.view.setBigUint64(8, BigInt(pair.address), true);
    attribute.view.setBigUint64(16, BigInt(pair.address + 4), true);
    const said = this.#calls.bpf(BPF_MAP_UPDATE_ELEM, attribute.bytes);
    if (said < 0) throw xdpFailure(said, `giving queue ${queue} of "${this.#name}" to its socket`);
  }
}

/**
 * The program that gives every frame of an interface to the socket of the queue that it came by, and, where there is
 * none, to the kernel. It is attached as long as this is open.
 */
export class RedirectProgram {
  readonly sockets: SocketMap;
  readonly #calls: SystemCalls;
  readonly #program: number;
  readonly #link: number;
  #closed = false;

  /**
   * @param name of the interface, for messages
   * @param index of the interface
   * @throws TapError when a privilege is missing, or another program is attached.
   */
  constructor(calls: SystemCalls, name: string, index: number) {
    this.#calls = calls;
    const opened: number[] = [];
    const keep = (fd: number, doing: string): number => {
      if (fd < 0) throw xdpFailure(fd, `${doing} "${name}"`);
      opened.push(fd);
      return fd;
    };
    try {
      const map = keep(
        this.#bpf(BPF_MAP_CREATE, [BPF_MAP_TYPE_XSKMAP, 4, 4, mostQueues]),
        "making a map of sockets for",
      );
      this.sockets = new SocketMap(calls, name, map);
      this.#program = keep(this.#load(map), "loading the XDP program for");
      // In the driver where it can; else in the kernel's general code, which is slower.
      let link = this.#attach(index, XDP_FLAGS_DRV_MODE);
      if (link < 0 && link !== -EBUSY && link !== -EEXIST) link = this.#attach(index, XDP_FLAGS_SKB_MODE);
      this.#link = keep(link, "attaching an XDP program to");
    } catch (error) {
      for (const fd of opened) closeSync(fd);
      throw error;
    }
  }

  /** Detaches it. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const fd of [this.#link, this.#program, this.sockets.fd]) closeSync(fd);
  }

  #attach(index: number, flags: number): number {
    return this.#bpf(BPF_LINK_CREATE, [this.#program, index, BPF_XDP, flags]);
  }

  #load(map: number): number {
    const instructions = this.#calls.memory(6 * 8);
    const { view } = instructions;
    // r2 = context->rx_queue_index
    put(view, 0, 0x61, 2, 1, 16, 0);
    // r1 = the map, in two words
    put(view, 1, 0x18, 1, 1, 0, map);
    put(view, 2, 0, 0, 0, 0, 0);
    // r3 = what to do with frames of a queue that has no socket
    put(view, 3, 0xb7, 3, 0, 0, XDP_PASS);
    put(view, 4, 0x85, 0, 0, 0, redirectMap);
    put(view, 5, 0x95, 0, 0, 0, 0);
    const license = this.#calls.memory(16);
    license.bytes.set(new TextEncoder().encode("ISC"));
    const attribute = this.#calls.memory(attributeSize);
    attribute.view.setUint32(0, BPF_PROG_TYPE_XDP, true);
    attribute.view.setUint32(4, 6, true);
    attribute.view.setBigUint64(8, BigInt(instructions.address), true);
    attribute.view.setBigUint64(16, BigInt(license.address), true);
    attribute.view.setUint32(68, BPF_XDP, true);
    // The kernel gives up checking a program when a signal is pending, and wants to be asked again.
    let said = -EAGAIN;
    for (let attempt = 0; attempt < mostLoads && said === -EAGAIN; attempt++) {
      said = this.#calls.bpf(BPF_PROG_LOAD, attribute.bytes);
    }
    return said;
  }

  #bpf(command: number, words: readonly number[]): number {
    const attribute = this.#calls.memory(attributeSize);
    words.forEach((word, index) => attribute.view.setUint32(4 * index, word, true));
    return this.#calls.bpf(command, attribute.bytes);
  }
}

/** One instruction: `struct bpf_insn`, in the order of bits of a little-endian machine. */
function put(
  view: DataView,
  index: number,
  code: number,
  target: number,
  source: number,
  offset: number,
  immediate: number,
): void {
  const at = 8 * index;
  view.setUint8(at, code);
  view.setUint8(at + 1, target | (source << 4));
  view.setInt16(at + 2, offset, true);
  view.setInt32(at + 4, immediate, true);
}
