const encoder = new TextEncoder();
const initialSize = 2048;
/** Characters of a body that is remembered. */
const longestRemembered = 16_384;
/** The body sent last, and its octets once it was sent twice in a row: servers repeat themselves. */
let lastBody = "";
let lastBodyBytes: Uint8Array | undefined = undefined;

/** Octets on their way out, gathered so that a small message is one write. Grows as needed, and is reused. */
export class OutputBuffer {
  bytes: Uint8Array;
  length = 0;

  /** @param bytes the first ones to fill; the buffer's until it has grown */
  constructor(bytes: Uint8Array = new Uint8Array(initialSize)) {
    this.bytes = bytes;
  }

  /** Makes room for `size` octets after `length`. */
  reserve(size: number): void {
    if (this.bytes.length - this.length >= size) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + size));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  /** Appends Latin-1 characters. */
  appendText(text: string): void {
    this.reserve(text.length);
    this.length += writeLatin1(text, this.bytes, this.length);
  }

  appendBytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Appends a field line. */
  appendField(name: string, value: string): void {
    this.appendText(name);
    this.appendText(": ");
    this.appendText(value);
    this.appendText("\r\n");
  }

  /** Appends what ends a head and follows it: `content-length`, the empty line, and `body` in UTF-8. */
  appendLengthAndBody(body: string): void {
    this.appendText("content-length: ");
    if (body === lastBody) {
      lastBodyBytes ??= encoder.encode(body);
      this.appendText(lastBodyBytes.length.toString());
      this.appendText("\r\n\r\n");
      this.appendBytes(lastBodyBytes);
      return;
    }
    if (body.length <= longestRemembered) {
      lastBody = body;
      lastBodyBytes = undefined;
    }
    // The length comes first and is known last: behind the room for it.
    const most = 24;
    this.reserve(most + body.length * 3);
    const { bytes, length } = this;
    const from = length + most;
    const size = encoder.encodeInto(body, bytes.subarray(from)).written;
    const at = length + writeLatin1(`${size}\r\n\r\n`, bytes, length);
    bytes.copyWithin(at, from, from + size);
    this.length = at + size;
  }

  /** What is in it. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
    if (this.bytes.length > 65_536) this.bytes = new Uint8Array(initialSize);
  }
}

/** Writes one octet a character; there is room. Returns how many. */
function writeLatin1(text: string, bytes: Uint8Array, offset: number): number {
  for (let at = 0; at < text.length; at++) bytes[offset + at] = text.charCodeAt(at);
  return text.length;
}
