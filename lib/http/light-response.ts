import { type BodyContent, type BodySource, LightBody } from "./body-content.ts";
import { EngineResponse } from "./engine-response.ts";
import { isFieldValue, isToken } from "./octets.ts";

/** What {@link LightResponse} takes beside a body. `headers` as pairs or a record costs least. */
export interface LightResponseInit {
  /** 200–599 (a server) or 100–999 (a client made it). Default 200. */
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: HeadersInit | undefined;
  /** What `url` and `redirected` say: set by the client. */
  readonly url?: string;
  readonly redirected?: boolean;
}

/**
 * A `Response` that costs next to nothing to make and to send: the body stays a string or bytes and the header fields
 * stay pairs until somebody asks for a stream or for `Headers`.
 *
 * Handlers may return the engine's own `Response` as well; this one saves its construction and the reading of its
 * stream. `instanceof Response` holds. The body is not copied: bytes must not change until they are sent.
 *
 * @throws RangeError for a bad status; TypeError for a field name or value that cannot be sent.
 */
export class LightResponse implements Response {
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly redirected: boolean;
  readonly type: ResponseType = "default";
  #body: LightBody;
  readonly #names: string[] = [];
  readonly #values: string[] = [];
  #headers: Headers | undefined = undefined;

  constructor(body: BodyInit | BodyContent = null, init: LightResponseInit = {}) {
    const status = init.status ?? 200;
    if (!Number.isInteger(status) || status < 100 || status > 999) {
      throw new RangeError(`status ${String(status)} is not an integer from 100 to 999`);
    }
    this.status = status;
    this.statusText = init.statusText ?? "";
    if (this.statusText !== "" && !isFieldValue(this.statusText)) throw new TypeError("statusText cannot be sent");
    this.url = init.url ?? "";
    this.redirected = init.redirected ?? false;
    if (init.headers !== undefined) this.#fields(init.headers);
    let type = "";
    let content: BodyContent;
    if (typeof body === "string") {
      content = body;
      type = "text/plain;charset=UTF-8";
    } else if (body === null || body instanceof Uint8Array || body instanceof ReadableStream || isBodySource(body)) {
      content = body;
    } else {
      // Forms, blobs and other buffers are rare: the engine knows how each is written.
      const packed = new EngineResponse(body);
      content = packed.body;
      type = packed.headers.get("content-type") ?? "";
    }
    if (type !== "" && !this.#names.includes("content-type")) {
      this.#names.push("content-type");
      this.#values.push(type);
    }
    this.#body = this.#contain(content);
  }

  /** As `Response.json`. */
  static json(data: unknown, init: LightResponseInit = {}): LightResponse {
    // as: JSON.stringify gives undefined for what JSON cannot say, whatever its type says
    const text = JSON.stringify(data) as string | undefined;
    if (text === undefined) throw new TypeError("the data has no JSON form");
    const response = new LightResponse(null, init);
    if (!response.#names.includes("content-type")) {
      response.#names.push("content-type");
      response.#values.push("application/json");
    }
    response.#body = response.#contain(text);
    return response;
  }

  /** As `Response.redirect`; the URL may be relative here. */
  static redirect(url: string | URL, status = 302): LightResponse {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`status ${status} is no redirect`);
    const location = typeof url === "string" ? url : url.href;
    return new LightResponse(null, { status, headers: [["location", location]] });
  }

  /** As `Response.error`: the engine's, for there is nothing to send. */
  static error(): Response {
    return EngineResponse.error();
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  get headers(): Headers {
    if (this.#headers === undefined) {
      const headers = new Headers();
      for (const [index, name] of this.#names.entries()) headers.append(name, this.#values[index] ?? "");
      this.#headers = headers;
    }
    return this.#headers;
  }

  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return this.#body.stream;
  }

  get bodyUsed(): boolean {
    return this.#body.used;
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.#body.bytes();
    return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#body.bytes();
  }

  text(): Promise<string> {
    return this.#body.text();
  }

  json(): Promise<unknown> {
    return this.#body.json();
  }

  blob(): Promise<Blob> {
    return this.#body.blob();
  }

  formData(): Promise<FormData> {
    return this.#body.formData();
  }

  /** The engine's own `Response` with the same status, fields and body. */
  clone(): Response {
    const { status, statusText, headers } = this;
    return new EngineResponse(this.#body.clone().body, { status, statusText, headers });
  }

  /**
   * For the one who sends it: takes the body and, in order, appends the fields to `names` and `values`.
   *
   * @throws TypeError when the body was used.
   */
  static send(response: LightResponse, names: string[], values: string[]): BodyContent {
    const body = response.#body.take();
    if (response.#headers !== undefined) {
      response.#headers.forEach((value, name) => {
        names.push(name);
        values.push(value);
      });
    } else {
      for (let index = 0; index < response.#names.length; index++) {
        names.push(response.#names[index] ?? "");
        values.push(response.#values[index] ?? "");
      }
    }
    return body;
  }

  #contain(content: BodyContent): LightBody {
    return new LightBody(content, () => this.headers.get("content-type") ?? "");
  }

  #fields(headers: HeadersInit): void {
    if (headers instanceof Headers) {
      headers.forEach((value, name) => {
        this.#names.push(name);
        this.#values.push(value);
      });
    } else if (Array.isArray(headers)) {
      for (const pair of headers) this.#field(pair[0], pair[1]);
    } else {
      for (const name in headers) {
        const value = headers[name];
        if (value !== undefined) this.#field(name, value);
      }
    }
  }

  #field(name: string, value: string): void {
    const text = value.trim();
    if (!isToken(name)) throw new TypeError(`"${name}" is not a field name`);
    if (!isFieldValue(text)) throw new TypeError(`the value of ${name} cannot be sent in a field`);
    this.#names.push(name.toLowerCase());
    this.#values.push(text);
  }
}

function isBodySource(body: object): body is BodySource {
  return "read" in body && "cancel" in body;
}

// The engine's constructor is what a light response avoids, so it cannot be extended; `instanceof Response` is what
// frameworks ask, and they get it.
Object.setPrototypeOf(LightResponse.prototype, EngineResponse.prototype);
