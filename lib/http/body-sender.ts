import type { BodySource } from "./body-content.ts";
import { chunkedEnd, maxChunkHead, writeChunkHead } from "./chunked.ts";
import { HttpError } from "./fault.ts";
import { phaseHandler, type PhaseTimer } from "./phase-timer.ts";
import type { ResponseWriter } from "./response-writer.ts";
import { isSettledSoon } from "./settled.ts";

/** A piece up to this size is copied behind what was gathered, so that both are one write. */
export const smallBody = 16_384;

/** Pieces of a body that were read already, or are being read. */
export interface BegunBody {
  readonly first: Uint8Array | undefined;
  readonly second: Promise<Uint8Array | undefined> | undefined;
}

/**
 * Sends the body of a response piece by piece, no faster than the peer takes it, behind a head that is gathered.
 *
 * @param length octets that the head promises; `Infinity` when it promises none
 * @param onWait is called when a piece is not there at once, and all before it is sent
 * @throws RangeError (rejects) for a body that is shorter or longer; what `source` and the flow reject with
 */
export async function sendBody(
  writer: ResponseWriter,
  phases: PhaseTimer,
  source: BodySource,
  isChunked: boolean,
  length: number,
  begun: BegunBody,
  onWait: () => void,
): Promise<void> {
  const { out } = writer;
  let left = length;
  let chunks = 0;
  let piece = begun.first;
  let coming = begun.second;
  for (;;) {
    if (piece === undefined) {
      const reading = coming ?? source.read();
      coming = undefined;
      if (out.length > 0 && !(await isSettledSoon(reading))) {
        await writer.flush();
        onWait();
      }
      phases.enter(phaseHandler);
      piece = await reading;
      if (piece === undefined) break;
    }
    if (writer.over) throw new HttpError("closed", "the connection is over");
    left -= piece.length;
    if (left < 0) throw new RangeError("the response body is longer than its content-length");
    if (isChunked) {
      out.reserve(maxChunkHead);
      out.length = writeChunkHead(out.bytes, out.length, piece.length, chunks === 0);
      chunks++;
    }
    if (piece.length <= smallBody) {
      out.appendBytes(piece);
      if (out.length > smallBody) await writer.flush(true);
    } else await writer.writeBehind(piece);
    piece = undefined;
  }
  if (left > 0 && length !== Infinity) throw new RangeError("the response body is shorter than its content-length");
  if (isChunked) out.appendText(chunkedEnd(chunks === 0));
}
