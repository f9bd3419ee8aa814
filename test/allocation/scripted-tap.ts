// A tap device whose kernel is a script: the ring, the interface, the stack and the sockets are the real ones, and every
// frame is made here. So a million packets take a second, and nothing else allocates.
import { MacAddress } from "@tesserae/device/address";
import type { Addon } from "@tesserae/node/native/addon";
import { SystemCalls } from "@tesserae/node/native/system-calls";
import { RingNetif } from "@tesserae/tap/ring-netif";
import { TapBatch } from "@tesserae/tap/tap-batch";

export const ownMac: MacAddress = MacAddress.parse("02:00:00:00:00:02");
export const peerMac: MacAddress = MacAddress.parse("02:00:00:00:00:01");
/** `virtio_net_hdr`: no offloads but the checksum, which is not computed. */
const header = 10;
const batch = 64;

/** Makes the frame of that number at an offset, and tells its length without the driver's header. */
export type FrameMaker = (bytes: Uint8Array, offset: number) => number;
/** Sees a frame that was sent. */
export type FrameReader = (bytes: Uint8Array, offset: number, length: number) => void;

export class ScriptedTap {
  readonly netif: RingNetif;
  sent = 0;
  make: FrameMaker = () => 0;
  read: FrameReader = () => undefined;
  #wake: () => void = () => undefined;
  /** How many frames are still to come. */
  #left = 0;
  /** Memory by the address that it was given out under. */
  readonly #memory: { readonly address: number; readonly buffer: ArrayBuffer; readonly bytes: Uint8Array }[] = [];
  #next = 0x1_0000;

  constructor() {
    const native: Addon = {
      call: () => 0,
      map: () => -1,
      addressOf: (buffer) => {
        const address = this.#next;
        this.#next += (buffer.byteLength + 0x1_ffff) & ~0xffff;
        this.#memory.push({ address, buffer, bytes: new Uint8Array(buffer) });
        return address;
      },
      readMany: (_fd, memory, size, largest, most, lead, slotsAddress) => {
        const bytes = this.#at(memory);
        const base = this.#offset;
        const slots = this.#slotsAt(slotsAddress);
        let at = 0;
        let count = 0;
        for (; count < most && this.#left > 0 && at + lead + largest <= size; count++, this.#left--) {
          bytes.fill(0, base + at + lead, base + at + lead + header);
          bytes[base + at + lead] = 1;
          const length = header + this.make(bytes, base + at + lead + header);
          slots[2 * count] = at + lead;
          slots[2 * count + 1] = length;
          at = (at + lead + length + 63) & ~63;
        }
        return count === 0 ? -11 : count;
      },
      writeMany: (_fd, memory, slotsAddress, count) => {
        const bytes = this.#at(memory);
        const base = this.#offset;
        const slots = this.#slotsAt(slotsAddress);
        for (let index = 0; index < count; index++) {
          this.sent++;
          this.read(bytes, base + (slots[2 * index] ?? 0) + header, (slots[2 * index + 1] ?? 0) - header);
        }
        return count;
      },
      watch: (_fd, callback) => {
        this.#wake = callback;
        return 1;
      },
      unwatch: () => undefined,
      hold: () => undefined,
    };
    const calls = new SystemCalls(native);
    const ring = new TapBatch(calls, -1, 1500, true, 256);
    this.netif = new RingNetif(calls, ring, { name: "t0", mac: ownMac, mtu: 1500, segmentsUdp: true });
  }

  /** So many frames come, in batches of 64, each in a wake-up of its own. */
  receive(count: number): void {
    for (let done = 0; done < count; done += batch) {
      this.#left = Math.min(batch, count - done);
      while (this.#left > 0) this.#wake();
    }
  }

  #offset = 0;
  #slots: Int32Array = new Int32Array(0);
  #slotsAddress = -1;
  readonly #views = new Map<number, Int32Array>();

  #at(address: number): Uint8Array {
    for (const each of this.#memory) {
      if (address >= each.address && address < each.address + each.bytes.length) {
        this.#offset = address - each.address;
        return each.bytes;
      }
    }
    throw new RangeError(`nothing at ${address}`);
  }

  #slotsAt(address: number): Int32Array {
    if (address === this.#slotsAddress) return this.#slots;
    let view = this.#views.get(address);
    if (view === undefined) {
      const bytes = this.#at(address);
      view = new Int32Array(bytes.buffer, this.#offset);
      this.#views.set(address, view);
    }
    this.#slots = view;
    this.#slotsAddress = address;
    return view;
  }
}
