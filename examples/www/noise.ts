/** A stream of `length` bytes from a fixed xorshift generator (Marsaglia 2003), made as it is read. */
export function noise(length: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let state = 0x2545f491;
  let left = length;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const words = new Int32Array(16384);
      for (let index = 0; index < words.length; index++) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        words[index] = state;
      }
      const bytes = new Uint8Array(words.buffer, 0, Math.min(left, words.byteLength));
      left -= bytes.length;
      if (bytes.length > 0) controller.enqueue(bytes);
      if (left === 0) {
        controller.close();
        // A read that asked for bytes after the last one is answered with the end.
        controller.byobRequest?.respond(0);
      }
    },
  });
}
