import { longestTrain, SegmentTrain } from "@tesserae/netif/segment-train";
import { virtioNetHeaderSize } from "./virtio-net-header.ts";

/** Copies the segments of a {@link SegmentTrain} together: the kernel takes a frame in one piece. */
export class SegmentGatherer {
  /** The gathered frame, behind room for the device's header; valid up to what {@link SegmentGatherer.finish} says. */
  readonly bytes: Uint8Array = new Uint8Array(virtioNetHeaderSize + longestTrain);
  readonly #train = new SegmentTrain();

  /** How many segments are gathered. */
  get count(): number {
    return this.#train.count;
  }

  /** Payload of each but the last, in bytes. */
  get segmentSize(): number {
    return this.#train.segmentSize;
  }

  /** Bytes of the Ethernet, IP and TCP headers. */
  get headerLength(): number {
    return this.#train.headerLength;
  }

  /** Whether a frame is one to begin with: see {@link SegmentTrain.begins}. */
  static begins(bytes: Uint8Array, offset: number, length: number): boolean {
    return SegmentTrain.begins(bytes, offset, length);
  }

  /** Begins with a copy of a frame. There is nothing gathered, and {@link SegmentGatherer.begins} holds. */
  begin(bytes: Uint8Array, offset: number, length: number): void {
    this.bytes.set(bytes.subarray(offset, offset + length), virtioNetHeaderSize);
    this.#train.begin(bytes, offset, length);
  }

  /**
   * Adds a copy of a frame when it continues what is gathered.
   *
   * @returns 0 when it does not; 1 when it does; 2 when it does and is the last that can.
   */
  add(bytes: Uint8Array, offset: number, length: number): 0 | 1 | 2 {
    const train = this.#train;
    const end = virtioNetHeaderSize + train.length;
    const added = train.add(this.bytes, virtioNetHeaderSize, bytes, offset, length);
    if (added > 0) this.bytes.set(bytes.subarray(offset + train.headerLength, offset + length), end);
    return added;
  }

  /**
   * Ends gathering: see {@link SegmentTrain.finish}. `count` and the sizes stay for the device's header.
   *
   * @returns the length of the frame, without the device's header
   */
  finish(): number {
    this.#train.finish(this.bytes, virtioNetHeaderSize);
    return this.#train.length;
  }

  /** Forgets what was gathered. */
  clear(): void {
    this.#train.clear();
  }
}
