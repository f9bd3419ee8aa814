/**
 * Key-value stores of bytes. A key is a relative slash path: `index.html`, `img/logo.svg`.
 *
 * Each segment is 1–255 bytes of UTF-8, not `.` or `..`, and has no `/` and no NUL; a key has at most 1024 bytes.
 */
export interface Kv {
  /** What is known of `key` without reading it, or `undefined` when it does not exist. */
  stat(key: string): Promise<KvEntry | undefined>;

  /**
   * The bytes of `key` from `offset` on, at most `length` of them; the caller's to keep, but not to write to.
   *
   * @param offset default 0; at or past the end gives an empty array
   * @param length default: to the end
   * @returns `undefined` when the key does not exist.
   * @throws KvError (rejects); RangeError when `offset` or `length` is negative or not an integer.
   */
  get(key: string, offset?: number, length?: number): Promise<Uint8Array | undefined>;

  /** The keys that start with the path `prefix` (`""` is all), in byte order. */
  list(prefix?: string): Promise<readonly string[]>;

  close(): Promise<void>;
}

/** A store that can be changed. Each change is atomic: readers see all of it or nothing. */
export interface WritableKv extends Kv {
  /** Creates or replaces. `bytes` may be reused once the promise resolves. */
  set(key: string, bytes: Uint8Array): Promise<void>;
  /** Resolves to whether the key existed. */
  delete(key: string): Promise<boolean>;
}

export interface KvEntry {
  /** In bytes. */
  readonly size: number;
  /** Wall-clock milliseconds of the last change, when the store knows. */
  readonly modified?: number;
  /** A short text that differs when the bytes differ (a hash): fit for an HTTP entity tag. */
  readonly digest: string;
}

/** Why a store refused. */
export class KvError extends Error {
  override readonly name = "KvError";
  readonly kind: "bad-key" | "io" | "closed" | "full";
  readonly key: string;

  constructor(kind: KvError["kind"], key: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
    this.key = key;
  }
}

const utf8 = new TextEncoder();

/** Says what is wrong with `key`, or `undefined` when it is well formed. */
export function checkKey(key: string): string | undefined {
  if (key === "") return "is empty";
  if (byteLength(key) > 1024) return "is longer than 1024 bytes";
  for (const segment of key.split("/")) {
    if (segment === "") return "has an empty segment";
    if (segment === "." || segment === "..") return `has the segment "${segment}"`;
    if (byteLength(segment) > 255) return "has a segment longer than 255 bytes";
    if (segment.includes("\0")) return "has a NUL";
  }
  return undefined;
}

/** In UTF-8. Encodes only texts whose length does not already answer for every caller above. */
function byteLength(text: string): number {
  return text.length > 1024 ? text.length : utf8.encode(text).length;
}
