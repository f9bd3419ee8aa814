import type { FrameEvent, Observer } from "./event.ts";

/** A capture file of several interfaces, as `PcapngWriter` of `@tesserae/wire` is one. */
export interface CaptureWriter {
  /** @returns the interface's number in the file */
  addInterface(options: { readonly name: string }): number;
  /** @param timeMs wall-clock milliseconds since 1970 */
  writePacket(interfaceId: number, timeMs: number, bytes: Uint8Array, offset: number, length: number): void;
}

/**
 * Captures what each host's interface sends and receives, as a tcpdump on each host would, with virtual wall-clock
 * times. A frame that arrives is there twice: once as sent, once as received.
 */
export class Capture implements Observer {
  readonly #writer: CaptureWriter;
  readonly #epoch: number;
  readonly #interfaces = new Map<number, number>();

  /** @param epoch the wall clock at the beginning of the run, in milliseconds since 1970 */
  constructor(writer: CaptureWriter, epoch: number) {
    this.#writer = writer;
    this.#epoch = epoch;
  }

  frame(event: FrameEvent): void {
    if (event.kind !== "sent" && event.kind !== "received") return;
    let id = this.#interfaces.get(event.interfaceId);
    if (id === undefined) {
      id = this.#writer.addInterface({ name: event.place });
      this.#interfaces.set(event.interfaceId, id);
    }
    this.#writer.writePacket(id, this.#epoch + event.time, event.bytes, event.offset, event.length);
  }
}
