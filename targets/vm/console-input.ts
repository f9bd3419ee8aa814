import { PassThrough, type Readable } from "node:stream";

/** Ctrl-C: what a serial console has in place of a signal. */
const endOfText = 0x03;
/** Bytes that may wait for a reader; what is typed beyond them is lost, Ctrl-C never. */
const bound = 65_536;

/** A console's input, which may be told not to keep the event loop alive. */
export interface ConsoleSource extends Readable {
  ref?(): unknown;
  unref?(): unknown;
}

/**
 * The input of a console without its Ctrl-Cs, each of which is a call instead: it is read all the time for them. It keeps
 * the event loop alive only while the stream returned flows.
 */
export function withoutInterrupts(source: ConsoleSource, onInterrupt: () => void): Readable {
  const rest = new PassThrough();
  source.on("data", (chunk: Buffer) => {
    let start = 0;
    for (let at = chunk.indexOf(endOfText); at >= 0; at = chunk.indexOf(endOfText, start)) {
      pass(chunk.subarray(start, at));
      start = at + 1;
      onInterrupt();
    }
    pass(chunk.subarray(start));
  });
  source.once("end", () => rest.end());
  // A console that cannot be read says nothing more.
  source.once("error", () => rest.end());
  source.unref?.();
  rest.on("resume", () => source.ref?.());
  rest.on("pause", () => source.unref?.());
  return rest;

  function pass(bytes: Buffer): void {
    if (bytes.length > 0 && rest.writableLength + rest.readableLength < bound) rest.write(bytes);
  }
}
