import { type BodySource, LightBody } from "./body-content.ts";
import type { RequestHead } from "./request-parser.ts";

/** The connection that a light request came on. */
export interface RequestOrigin {
  /** As {@link BodySource.read}, for the body of `request`; rejects when that is no longer the current request. */
  readBody(request: LightRequest): Promise<Uint8Array | undefined>;
  /** The rest of the body is not wanted. */
  cancelBody(request: LightRequest): void;
  /** Somebody holds the signal: look out for the client's going away. */
  watch(request: LightRequest): void;
}

/**
 * A `Request` over a parsed head, which makes `Headers`, a stream or a signal only for a handler that asks.
 *
 * `instanceof Request` holds and every member of the standard is here. Code that hands the request on to the engine,
 * as in `new Request(request)` or `fetch(request)`, gets the engine's own object where the engine can be told so (see
 * {@link bridgeRequest}), else it takes {@link LightRequest.standard}.
 */
export class LightRequest implements Request {
  readonly method: string;
  readonly url: string;
  readonly cache: RequestCache = "default";
  readonly credentials: RequestCredentials = "same-origin";
  readonly destination: RequestDestination = "";
  readonly integrity = "";
  readonly keepalive = false;
  readonly mode: RequestMode = "cors";
  readonly redirect: RequestRedirect = "follow";
  readonly referrer = "about:client";
  readonly referrerPolicy: ReferrerPolicy = "";
  readonly duplex = "half";
  /** The parsed head: fields in order, as sent. */
  readonly head: RequestHead;

  readonly #origin: RequestOrigin;
  #body: LightBody | undefined = undefined;
  #headers: Headers | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #gone: unknown = undefined;
  #standard: Request | undefined = undefined;

  constructor(origin: RequestOrigin, head: RequestHead, url: string) {
    this.#origin = origin;
    this.head = head;
    this.method = head.method;
    this.url = url;
  }

  get headers(): Headers {
    if (this.#headers === undefined) {
      const headers = new Headers();
      const { names, values } = this.head;
      for (let index = 0; index < names.length; index++) headers.append(names[index] ?? "", values[index] ?? "");
      this.#headers = headers;
    }
    return this.#headers;
  }

  /** Aborted when the client goes away before the response is sent. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#gone === undefined) this.#origin.watch(this);
      else this.#controller.abort(this.#gone);
    }
    return this.#controller.signal;
  }

  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return this.#standard === undefined ? this.#light().stream : this.#standard.body;
  }

  get bodyUsed(): boolean {
    return this.#standard?.bodyUsed ?? this.#body?.used ?? false;
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    if (this.#standard !== undefined) return this.#standard.arrayBuffer();
    const bytes = await this.#light().bytes();
    return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#standard !== undefined) return new Uint8Array(await this.#standard.arrayBuffer());
    return this.#light().bytes();
  }

  text(): Promise<string> {
    return this.#standard === undefined ? this.#light().text() : this.#standard.text();
  }

  json(): Promise<unknown> {
    return this.#standard === undefined ? this.#light().json() : this.#standard.json();
  }

  blob(): Promise<Blob> {
    return this.#standard === undefined ? this.#light().blob() : this.#standard.blob();
  }

  formData(): Promise<FormData> {
    return this.#standard === undefined ? this.#light().formData() : this.#standard.formData();
  }

  clone(): Request {
    return this.standard().clone();
  }

  /**
   * The engine's own `Request` for the same request; from then on the two share the body.
   *
   * @throws TypeError when the body was used.
   */
  standard(): Request {
    if (this.#standard === undefined) {
      // The Fetch standard refuses a body of these, HTTP does not: what comes with one is dropped.
      const bodiless = this.method === "GET" || this.method === "HEAD";
      const init: RequestInit & { duplex: "half" } = {
        method: this.method,
        headers: this.headers,
        body: bodiless ? null : this.#light().stream,
        signal: this.signal,
        duplex: "half",
      };
      if (this.#light().used) throw new TypeError("the body was already used");
      this.#standard = new Request(this.url, init);
    }
    return this.#standard;
  }

  /** For the connection: the client has gone. */
  static abort(request: LightRequest, reason: unknown): void {
    request.#gone = reason;
    request.#controller?.abort(reason);
  }

  #light(): LightBody {
    if (this.#body === undefined) {
      const length = this.head.bodyLength;
      const origin = this.#origin;
      const source: BodySource | null =
        length === 0
          ? null
          : {
              length: length > 0 ? length : undefined,
              read: () => origin.readBody(this),
              cancel: () => {
                origin.cancelBody(this);
              },
            };
      this.#body = new LightBody(source, () => this.headers.get("content-type") ?? "");
    }
    return this.#body;
  }
}

// As in light-response.ts: `instanceof Request` without the engine's constructor.
Object.setPrototypeOf(LightRequest.prototype, Request.prototype);

let bridged = false;

/**
 * Lets the engine take a light request where it wants one of its own. Some engines (undici before version 7) keep the
 * state of a `Request` under symbols of the object: those are forwarded to {@link LightRequest.standard}. Others keep
 * it in private fields, which nothing can stand in for.
 */
export function bridgeRequest(): void {
  if (bridged) return;
  bridged = true;
  for (const symbol of Object.getOwnPropertySymbols(new Request("http://localhost/"))) {
    Object.defineProperty(LightRequest.prototype, symbol, {
      configurable: true,
      get(this: LightRequest): unknown {
        return Reflect.get(this.standard(), symbol);
      },
    });
  }
}
