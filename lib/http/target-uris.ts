/** Makes the target URIs of a server's requests (RFC 9112 §3.3), in the normal form that `Request.url` has. */
export class TargetUris {
  readonly #scheme: string;
  /** The last authority and its origin: requests mostly name the same. */
  #authority: string | undefined = undefined;
  #origin: string | undefined = undefined;

  constructor(scheme: "http" | "https") {
    this.#scheme = scheme;
  }

  /**
   * @param authority host and optional port
   * @param path path and query, or `*`
   * @returns `undefined` when they make no URL
   */
  resolve(authority: string, path: string): string | undefined {
    if (authority !== this.#authority) {
      this.#authority = authority;
      this.#origin = tryUrl(`${this.#scheme}://${authority}/`)?.origin;
    }
    const origin = this.#origin;
    if (origin === undefined) return undefined;
    if (path === "*") return `${origin}/*`;
    return isNormal(path) ? origin + path : tryUrl(origin + path)?.href;
  }
}

function tryUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** 1 for the characters that the URL parser leaves alone in a path and in a query. */
const plain = new Uint8Array(128);
for (const char of "/-_~!$&()*+,;=:@?0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.%") {
  plain[char.charCodeAt(0)] = 1;
}

/** Whether the URL parser would leave `path` as it is: no character to escape and no dot segment, however spelt. */
function isNormal(path: string): boolean {
  let previous = 0;
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (plain[code] !== 1) return false;
    // Dot segments start with "/." or "/%2e".
    if (previous === 0x2f && (code === 0x2e || code === 0x25)) return false;
    previous = code;
  }
  return true;
}
