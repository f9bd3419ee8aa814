import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { WindowError } from "../window/window-error.ts";
import type { Balloon } from "./balloon.ts";

const path = "/dev/window/xen";
const powerPath = "/dev/window/power";
/** `struct window_power`, and its space for what Xen's toolstack hears. */
const powerBytes = 24;
const spaceXen = 2;
/** Positions of reads: `WINDOW_XEN_…` of the kernel's `window.h`. */
const operation = { information: 0, map: 1, unmap: 2, copy: 3, suspend: 4, channel: 5, balloon: 6 } as const;
/** `EVTCHNSTAT_interdomain`. */
const bound = 2;
const informationBytes = 56;

/** What Xen keeps for this domain. Addresses are physical, in bytes. */
export interface XenInformation {
  /** The grant table. */
  readonly grants: number;
  readonly grantPages: number;
  /** Where it says what is in use, when its version is 2, a page for eight of its own; 0: its version is 1. */
  readonly grantStatus: number;
  /** Room for other domains' pages. */
  readonly foreign: number;
  readonly foreignPages: number;
  /** The page of the ring to xenstore, and its event channel; 0 when the domain has none. */
  readonly store: number;
  readonly storePort: number;
  /** The number of this domain. */
  readonly domain: number;
}

/** What is done with pages of other domains: the operations of the kernel's file. */
export interface GrantCalls {
  /** Runs operations: `length` bytes of `struct window_grant` ({@link GrantOperations}), which get their outcomes. */
  run(call: "map" | "unmap" | "copy", operations: Uint8Array, length: number): void;
}

/** `/dev/window/xen`. */
export class XenFile implements GrantCalls, Balloon {
  readonly #fd: number;
  readonly #byte = new Uint8Array(1);
  readonly #word = new DataView(new ArrayBuffer(4));

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Undefined on a machine that is no PVH guest of Xen's. @throws WindowError without the kernel's file. */
  static open(): XenFile | undefined {
    let file: XenFile;
    try {
      file = new XenFile(openSync(path, "r"));
    } catch (error) {
      throw new WindowError(`there is no ${path}`, { cause: error });
    }
    try {
      file.information();
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENODEV") return undefined;
      throw error;
    }
    return file;
  }

  information(): XenInformation {
    const view = new DataView(new ArrayBuffer(informationBytes));
    readSync(this.#fd, view, 0, informationBytes, operation.information);
    const long = (at: number): number => Number(view.getBigUint64(at, true));
    return {
      grants: long(0),
      grantPages: long(8),
      foreign: long(16),
      foreignPages: long(24),
      store: long(32),
      storePort: view.getUint32(40, true),
      domain: view.getUint32(44, true),
      grantStatus: long(48),
    };
  }

  run(call: "map" | "unmap" | "copy", operations: Uint8Array, length: number): void {
    const done = readSync(this.#fd, operations, 0, length, operation[call]);
    if (done !== length) throw new WindowError(`${call}: ${done} of ${length} bytes were taken`);
  }

  /** What the toolstack hears of the machine's end, if the program's status is 0. */
  setEnd(end: "poweroff" | "reboot"): void {
    const request = new DataView(new ArrayBuffer(powerBytes));
    request.setUint32(4, spaceXen, true);
    request.setUint32(12, end === "reboot" ? 1 : 0, true);
    const fd = openSync(powerPath, "r+");
    try {
      writeSync(fd, request);
    } finally {
      closeSync(fd);
    }
  }

  /** Whether an event channel of this domain is bound to another end: not when that domain is being destroyed. */
  isBound(port: number): boolean {
    return this.#ask(operation.channel, port) === bound;
  }

  /** See {@link Balloon.doWithout}. */
  doWithout(blocks: number): number {
    return this.#ask(operation.balloon, blocks);
  }

  #ask(what: number, word: number): number {
    this.#word.setUint32(0, word, true);
    readSync(this.#fd, this.#word, 0, 4, what);
    return this.#word.getUint32(0, true);
  }

  /**
   * Ends this life of the domain: the call returns when the domain goes on.
   *
   * @returns whether it does so in another life, where nothing is left of what Xen kept for it; else all is as it was
   */
  suspend(): boolean {
    return readSync(this.#fd, this.#byte, 0, 1, operation.suspend) === 1;
  }
}

const entryBytes = 32;
const flagReadOnly = 1;
const flagOut = 2;

/** An array of `struct window_grant`, made once and used again. */
export class GrantOperations {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.bytes = new Uint8Array(capacity * entryBytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** The bytes of the first operations. */
  static length(count: number): number {
    return count * entryBytes;
  }

  setMap(index: number, address: number, domain: number, reference: number, isReadOnly: boolean): void {
    this.#set(index, address, domain, reference, isReadOnly ? flagReadOnly : 0);
  }

  setUnmap(index: number, address: number, handle: number): void {
    this.#set(index, address, 0, 0, 0);
    this.#view.setUint32(index * entryBytes + 12, handle, true);
  }

  /** @param isOut from this domain's memory, and not to it */
  setCopy(
    index: number,
    address: number,
    domain: number,
    reference: number,
    offset: number,
    length: number,
    isOut: boolean,
  ): void {
    this.#set(index, address, domain, reference, isOut ? flagOut : 0);
    const at = index * entryBytes;
    this.#view.setUint16(at + 20, offset, true);
    this.#view.setUint16(at + 22, length, true);
  }

  /** 0, or Xen's negative number. */
  status(index: number): number {
    return this.#view.getInt32(index * entryBytes + 24, true);
  }

  handle(index: number): number {
    return this.#view.getUint32(index * entryBytes + 12, true);
  }

  #set(index: number, address: number, domain: number, reference: number, flags: number): void {
    const at = index * entryBytes;
    this.#view.setUint32(at, address >>> 0, true);
    this.#view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true);
    this.#view.setUint32(at + 8, reference, true);
    this.#view.setUint32(at + 12, 0, true);
    this.#view.setUint16(at + 16, domain, true);
    this.#view.setUint16(at + 18, flags, true);
    this.#view.setUint32(at + 20, 0, true);
    this.#view.setInt32(at + 24, 0, true);
    this.#view.setUint32(at + 28, 0, true);
  }
}
