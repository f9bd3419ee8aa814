/** What a body is made of, before anybody asked for it as a stream. */

import { EngineResponse } from "./engine-response.ts";

/** A body that is pulled piece by piece. One call at a time. */
export interface BodySource {
  /** Octets in all, when known in advance. */
  readonly length: number | undefined;
  /** The next piece, the reader's to keep and never empty; `undefined` at the end. Rejects when the rest is lost. */
  read(): Promise<Uint8Array | undefined>;
  /** The rest is not wanted. */
  cancel(reason?: unknown): void;
}

export type BodyContent = string | Uint8Array | ReadableStream<Uint8Array> | BodySource | null;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function isSource(content: BodyContent): content is BodySource {
  return content !== null && typeof content === "object" && "read" in content && typeof content.read === "function";
}

/** A stream that pulls from `source` only when it is read. */
export function streamOf(source: BodySource): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        const piece = await source.read();
        if (piece === undefined) controller.close();
        else controller.enqueue(ownBuffer(piece));
      },
      cancel(reason) {
        source.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** A stream as a source. Locks it. */
export class StreamSource implements BodySource {
  readonly length = undefined;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      if (!(value instanceof Uint8Array)) throw new TypeError("a body gave something else than a Uint8Array");
      if (value.length > 0) return value;
    }
  }

  cancel(reason?: unknown): void {
    this.#reader.cancel(reason).catch(() => undefined);
  }
}

/** Everything that `source` gives. */
export async function readAll(source: BodySource): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (let piece = await source.read(); piece !== undefined; piece = await source.read()) {
    pieces.push(piece);
    length += piece.length;
  }
  const only = pieces[0];
  if (pieces.length === 1 && only !== undefined) return ownBuffer(only);
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** `bytes` over an ArrayBuffer: itself when it is, else a copy. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  // as: the test on the left of `?` is just what the type says
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

/**
 * The body of a light request or response: the `Body` mixin of the Fetch standard over any {@link BodyContent}, making
 * a stream only for those who ask for one.
 */
export class LightBody {
  readonly #content: BodyContent;
  readonly #contentType: () => string;
  #used = false;
  /** The engine's own body, once a stream was wanted or given: it knows whether that was read. */
  #standard: Response | undefined = undefined;

  /** @param contentType asked for by `blob` and `formData` */
  constructor(content: BodyContent, contentType: () => string) {
    this.#content = content;
    this.#contentType = contentType;
  }

  get used(): boolean {
    return this.#standard?.bodyUsed ?? this.#used;
  }

  get stream(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return this.#content === null ? null : this.#streaming().body;
  }

  /**
   * Takes the content for sending, as it is, unless a stream was made of it.
   *
   * @throws TypeError when it was used.
   */
  take(): BodyContent {
    if (this.used) throw new TypeError("the body was already used");
    const standard = this.#standard;
    if (standard !== undefined) return standard.body;
    this.#used = this.#content !== null;
    return this.#content;
  }

  /** A second body of the same content, as the engine's; both can be read. */
  clone(): Response {
    if (this.used) throw new TypeError("the body was already used");
    return this.#streaming().clone();
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.used) throw new TypeError("the body was already used");
    const standard = this.#standard;
    if (standard !== undefined) return new Uint8Array(await standard.arrayBuffer());
    const content = this.#content;
    if (content === null) return new Uint8Array(0);
    this.#used = true;
    if (typeof content === "string") return encoder.encode(content);
    if (content instanceof Uint8Array) return new Uint8Array(content);
    if (isSource(content)) return readAll(content);
    this.#used = false;
    return new Uint8Array(await this.#streaming().arrayBuffer());
  }

  async text(): Promise<string> {
    if (typeof this.#content === "string" && this.#standard === undefined) {
      if (this.#used) throw new TypeError("the body was already used");
      this.#used = true;
      return this.#content;
    }
    return decoder.decode(await this.bytes());
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text()) as unknown; // as: JSON.parse says any
  }

  async blob(): Promise<Blob> {
    return new Blob([await this.bytes()], { type: this.#contentType() });
  }

  async formData(): Promise<FormData> {
    const bytes = await this.bytes();
    return new EngineResponse(bytes, { headers: { "content-type": this.#contentType() } }).formData();
  }

  #streaming(): Response {
    if (this.#standard !== undefined) return this.#standard;
    const content = this.#content;
    const body =
      content === null || typeof content === "string"
        ? content
        : content instanceof Uint8Array
          ? new Uint8Array(content)
          : isSource(content)
            ? streamOf(content)
            : // as: a stream of Uint8Array is accepted by every engine; the type wants them over ArrayBuffer
              (content as ReadableStream<Uint8Array<ArrayBuffer>>);
    const standard = new EngineResponse(body);
    // What was read without a stream leaves a stream that has been read.
    if (this.#used) void standard.body?.cancel();
    this.#standard = standard;
    return standard;
  }
}
