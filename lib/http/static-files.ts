import type { Clock } from "@tesserae/device/clock";
import { checkKey, type Kv, type KvEntry } from "@tesserae/device/kv";
import { chooseCoding } from "./accept-encoding.ts";
import type { BodySource } from "./body-content.ts";
import { evaluateConditions, rangeApplies, type Validators } from "./conditional.ts";
import { formatDate } from "./date.ts";
import { LightResponse } from "./light-response.ts";
import { mediaType } from "./media-types.ts";
import { type ByteRange, contentRange, parseRange } from "./range.ts";
import type { Handler } from "./handler.ts";

export interface StaticFilesOptions {
  /** The part of the URL's path that stands for the root of the store: starts with `/`. Default `/`. */
  readonly prefix?: string;
  /** What is sent for a directory. Default `index.html`. */
  readonly index?: string;
  /** The Cache-Control value of what is found. Default `no-cache`: kept, but asked about with its tag each time. */
  readonly cacheControl?: string;
  /** Whether `name.br` and `name.gz` are sent for `name` to those who accept them. Default true. */
  readonly precompressed?: boolean;
  /** Answers what is not in the store. Default: 404. */
  readonly notFound?: Handler;
  /** Reads two-digit years in dates; without one they are of the years 1951 to 2050. */
  readonly clock?: Clock;
}

/** Bodies up to this size are read at once; larger ones in pieces of it. */
const pieceSize = 65_536;

const codings = [
  { name: "br", suffix: ".br" },
  { name: "gzip", suffix: ".gz" },
] as const;

/**
 * A handler that serves the keys of `kv` as files, GET and HEAD: entity tags and dates with all conditions of RFC 9110
 * §13, single and multiple ranges of §14, `index.html` for directories, a redirect to the directory's slash,
 * precompressed neighbours, media types by extension.
 *
 * Keys whose name or folder starts with a dot are not served, `.well-known` excepted (RFC 8615).
 *
 * @throws RangeError for a prefix that does not start with a slash, or an index that is not a key.
 */
export function staticFiles(kv: Kv, options: StaticFilesOptions = {}): (request: Request) => Promise<Response> {
  const files = new StaticFiles(kv, options);
  return (request) => files.handle(request);
}

interface Found {
  readonly key: string;
  readonly entry: KvEntry;
  readonly coding: (typeof codings)[number] | undefined;
}

class StaticFiles {
  readonly #kv: Kv;
  readonly #prefix: string;
  readonly #index: string;
  readonly #cacheControl: string;
  readonly #precompressed: boolean;
  readonly #notFound: Handler;
  readonly #clock: Clock | undefined;

  constructor(kv: Kv, options: StaticFilesOptions) {
    const { prefix = "/", index = "index.html" } = options;
    if (!prefix.startsWith("/")) throw new RangeError(`prefix "${prefix}" does not start with a slash`);
    if (checkKey(index) !== undefined) throw new RangeError(`index "${index}" is not a key`);
    this.#kv = kv;
    this.#prefix = prefix.endsWith("/") ? prefix : `${prefix}/`;
    this.#index = index;
    this.#cacheControl = options.cacheControl ?? "no-cache";
    this.#precompressed = options.precompressed ?? true;
    this.#notFound = options.notFound ?? (() => plain(404, "404 Not Found\n"));
    this.#clock = options.clock;
  }

  async handle(request: Request): Promise<Response> {
    const { method, url } = request;
    const start = url.indexOf("/", url.indexOf("//") + 2);
    const query = url.indexOf("?", start);
    const path = url.slice(start, query < 0 ? undefined : query);
    if (!path.startsWith(this.#prefix)) return this.#notFound(request);
    const key = decodeKey(path.slice(this.#prefix.length));
    if (key === undefined) return this.#notFound(request);
    const directory = key === "" || key.endsWith("/");
    const found = await this.#find(directory ? key + this.#index : key, request);
    if (found === undefined) {
      const inside = directory ? undefined : await this.#kv.stat(`${key}/${this.#index}`);
      if (inside === undefined) return this.#notFound(request);
      return new LightResponse(null, {
        status: 308,
        headers: { location: `${path}/${query < 0 ? "" : url.slice(query)}` },
      });
    }
    if (method !== "GET" && method !== "HEAD") {
      return plain(405, "405 Method Not Allowed\n", { allow: "GET, HEAD" });
    }
    return this.#send(request, method, found);
  }

  async #find(key: string, request: Request): Promise<Found | undefined> {
    if (checkKey(key) !== undefined) return undefined;
    if (this.#precompressed) {
      const coding = chooseCoding(
        request.headers.get("accept-encoding"),
        codings.map((each) => each.name),
      );
      // The best acceptable one may not be there while the other is.
      for (const each of codings) {
        if (coding === undefined || (each.name !== coding && !accepts(request, each.name))) continue;
        const entry = await this.#kv.stat(key + each.suffix);
        if (entry !== undefined && (await this.#kv.stat(key)) !== undefined) return { key, entry, coding: each };
      }
    }
    const entry = await this.#kv.stat(key);
    return entry === undefined ? undefined : { key, entry, coding: undefined };
  }

  async #send(request: Request, method: "GET" | "HEAD", found: Found): Promise<Response> {
    const { key, entry, coding } = found;
    const etag = entityTag(entry.digest, coding?.name);
    const validators: Validators = { etag, modified: entry.modified };
    const headers: Record<string, string> = { etag, "cache-control": this.#cacheControl };
    if (entry.modified !== undefined) headers["last-modified"] = formatDate(entry.modified);
    if (this.#precompressed) headers["vary"] = "accept-encoding";
    const now = this.#clock?.wall() ?? 0;
    const verdict = evaluateConditions(request.headers, method, validators, now);
    if (verdict === "not-modified") return new LightResponse(null, { status: 304, headers });
    if (verdict === "failed") return plain(412, "412 Precondition Failed\n", headers);
    const type = mediaType(key);
    headers["content-type"] = type;
    headers["accept-ranges"] = "bytes";
    if (coding !== undefined) headers["content-encoding"] = coding.name;
    const stored = key + (coding?.suffix ?? "");
    const all: ByteRange = { start: 0, end: entry.size };
    const range = method === "GET" ? request.headers.get("range") : null;
    if (range !== null && rangeApplies(request.headers.get("if-range"), validators, now)) {
      const outcome = parseRange(range, entry.size);
      if (outcome.kind === "unsatisfiable") {
        return plain(416, "416 Range Not Satisfiable\n", { etag, "content-range": `bytes */${entry.size}` });
      }
      if (outcome.kind === "ranges") return this.#partial(stored, entry, type, outcome.ranges, headers);
    }
    if (method === "HEAD") {
      headers["content-length"] = String(entry.size);
      return new LightResponse(null, { headers });
    }
    return new LightResponse(await this.#body(stored, all), { headers });
  }

  async #partial(
    key: string,
    entry: KvEntry,
    type: string,
    ranges: readonly ByteRange[],
    headers: Record<string, string>,
  ): Promise<Response> {
    const [only] = ranges;
    if (ranges.length === 1 && only !== undefined) {
      headers["content-range"] = contentRange(only, entry.size);
      return new LightResponse(await this.#body(key, only), { status: 206, headers });
    }
    // The digest is of the content, so the content cannot hold it: a boundary that needs no randomness.
    const boundary = `part-${entry.digest.replace(/[^0-9A-Za-z]/g, "").slice(0, 48)}-${entry.size}`;
    headers["content-type"] = `multipart/byteranges; boundary=${boundary}`;
    const parts: (string | ByteRange)[] = [];
    for (const [index, range] of ranges.entries()) {
      const lead = index === 0 ? "" : "\r\n";
      parts.push(`${lead}--${boundary}\r\ncontent-type: ${type}\r\n`);
      parts.push(`content-range: ${contentRange(range, entry.size)}\r\n\r\n`, range);
    }
    parts.push(`\r\n--${boundary}--\r\n`);
    return new LightResponse(new PartsSource(this.#kv, key, parts), { status: 206, headers });
  }

  async #body(key: string, range: ByteRange): Promise<Uint8Array | BodySource> {
    const length = range.end - range.start;
    if (length > pieceSize) return new PartsSource(this.#kv, key, [range]);
    return readPiece(this.#kv, key, range.start, length);
  }
}

/** Texts and ranges of one key, one after the other. */
class PartsSource implements BodySource {
  readonly length: number;
  readonly #kv: Kv;
  readonly #key: string;
  readonly #parts: readonly (string | ByteRange)[];
  #part = 0;
  /** Octets of the current range that were read. */
  #done = 0;

  constructor(kv: Kv, key: string, parts: readonly (string | ByteRange)[]) {
    this.#kv = kv;
    this.#key = key;
    this.#parts = parts;
    let length = 0;
    for (const part of parts) length += typeof part === "string" ? part.length : part.end - part.start;
    this.length = length;
  }

  async read(): Promise<Uint8Array | undefined> {
    const part = this.#parts[this.#part];
    if (part === undefined) return undefined;
    if (typeof part === "string") {
      this.#part++;
      return encoder.encode(part);
    }
    const start = part.start + this.#done;
    const length = Math.min(pieceSize, part.end - start);
    const piece = await readPiece(this.#kv, this.#key, start, length);
    this.#done += length;
    if (start + length === part.end) {
      this.#part++;
      this.#done = 0;
    }
    return piece;
  }

  cancel(): void {
    this.#part = this.#parts.length;
  }
}

const encoder = new TextEncoder();

/** @throws Error when the key has changed and is shorter now: the response cannot be completed. */
async function readPiece(kv: Kv, key: string, start: number, length: number): Promise<Uint8Array> {
  const piece = await kv.get(key, start, length);
  if (piece?.length !== length) throw new Error(`"${key}" changed while it was sent`);
  return piece;
}

function accepts(request: Request, coding: string): boolean {
  return chooseCoding(request.headers.get("accept-encoding"), [coding]) !== undefined;
}

/** A strong tag; each content coding of a representation has its own. */
function entityTag(digest: string, coding: string | undefined): string {
  const opaque = digest.replace(/[^\x21\x23-\x7e]/g, "_");
  return coding === undefined ? `"${opaque}"` : `"${opaque}-${coding}"`;
}

/** The key that the rest of a path stands for, perhaps ending in a slash; `undefined` when it can be none. */
function decodeKey(rest: string): string | undefined {
  if (rest === "") return rest;
  const segments = rest.split("/");
  const last = segments.length - 1;
  for (const [index, segment] of segments.entries()) {
    if (index === last && segment === "") break;
    let name: string;
    try {
      name = decodeURIComponent(segment);
    } catch {
      return undefined;
    }
    // A slash or a backslash that was escaped is no separator, and part of no name.
    if (name === "" || /[/\\\0]/.test(name)) return undefined;
    if (name.startsWith(".") && name !== ".well-known") return undefined;
    segments[index] = name;
  }
  return segments.join("/");
}

function plain(status: number, text: string, headers: Record<string, string> = {}): LightResponse {
  return new LightResponse(text, { status, headers: { ...headers, "content-type": "text/plain;charset=utf-8" } });
}
