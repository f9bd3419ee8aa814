import type { CaptureWriter } from "./capture.ts";
import type { FrameEvent, Observer } from "./event.ts";

/** A capture with comments, as `PcapngWriter` of `@tesserae/wire` is one. */
export interface CommentedWriter extends CaptureWriter {
  writePacket(
    interfaceId: number,
    timeMs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    comment?: string,
  ): void;
}

const reasons: Readonly<Record<string, string>> = {
  loss: "lost",
  queue: "the queue is full",
  early: "dropped early by the queue",
  down: "the wire is cut",
  mtu: "too long for the wire",
};

interface LinkFile {
  readonly writer: CommentedWriter;
  /** By the name of the direction. */
  readonly interfaces: Map<string, number>;
}

/**
 * Captures what goes over each link, into one capture a link, an interface for each direction: frames as they leave the
 * link's first end, what is dropped there with a comment that says why.
 */
export class LinkCapture implements Observer {
  readonly #open: (link: string) => CommentedWriter | undefined;
  readonly #epoch: number;
  readonly #files = new Map<string, LinkFile | undefined>();

  /**
   * @param open makes the capture of a link (`client-lan`); undefined: it is not wanted
   * @param epoch the wall clock at the beginning of the run, in milliseconds since 1970
   */
  constructor(open: (link: string) => CommentedWriter | undefined, epoch: number) {
    this.#open = open;
    this.#epoch = epoch;
  }

  carried(direction: string, time: number, bytes: Uint8Array, offset: number, length: number): void {
    this.#write(direction, time, bytes, offset, length, undefined);
  }

  frame({ kind, place, time, reason, bytes, offset, length, interfaceId }: FrameEvent): void {
    // At a host's interface it has come over the link.
    if (kind === "dropped" && interfaceId < 0) {
      this.#write(place, time, bytes, offset, length, reasons[reason ?? ""] ?? reason);
    }
  }

  #write(
    direction: string,
    time: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    comment: string | undefined,
  ): void {
    const link = direction.split(">").sort().join("-");
    let file = this.#files.get(link);
    if (file === undefined) {
      if (this.#files.has(link)) return;
      const writer = this.#open(link);
      file = writer === undefined ? undefined : { writer, interfaces: new Map() };
      this.#files.set(link, file);
      if (file === undefined) return;
    }
    let id = file.interfaces.get(direction);
    if (id === undefined) {
      id = file.writer.addInterface({ name: direction });
      file.interfaces.set(direction, id);
    }
    file.writer.writePacket(id, this.#epoch + time, bytes, offset, length, comment);
  }
}
