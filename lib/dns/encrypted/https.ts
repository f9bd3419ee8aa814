import { decodeBase64 } from "@tesserae/wire/base64";
import { readSoa } from "../transfer/soa.ts";
import { parseWireMessage } from "../wire-message.ts";
import { recordType } from "../wire.ts";

const mediaType = "application/dns-message";
const longestMessage = 65_535;
/** In base64url without padding. */
const longestText = Math.ceil((longestMessage * 4) / 3);

export interface DnsOverHttpsOptions {
  /** Answers one message; empty when it has no answer to it. */
  exchange(message: Uint8Array, request: Request): Promise<Uint8Array>;
  /** The URL's path. Default `/dns-query`. */
  readonly path?: string;
}

/**
 * DNS over HTTPS (RFC 8484), as a handler for any HTTP server: queries by POST, and by GET so that caches can keep what
 * is said. Never rejects, as long as `exchange` does not.
 */
export function createDnsOverHttps(options: DnsOverHttpsOptions): (request: Request) => Promise<Response> {
  const { path = "/dns-query" } = options;
  return async (request) => {
    const url = new URL(request.url);
    if (url.pathname !== path) return refused(404, "there is nothing here");
    const query = await queryOf(request, url);
    if (query instanceof Response) return query;
    const answer = await options.exchange(query, request);
    if (answer.length === 0) return refused(400, "the message is no query");
    const headers = { "content-type": mediaType, "cache-control": freshness(answer) };
    // A copy of its own: the body is sent after `exchange` may have used its memory again.
    return new Response(answer.slice(), { headers });
  };
}

async function queryOf(request: Request, url: URL): Promise<Uint8Array | Response> {
  if (request.method === "GET" || request.method === "HEAD") {
    const text = url.searchParams.get("dns");
    if (text === null) return refused(400, "the query is missing: ?dns=…");
    if (text.length > longestText) return refused(414, "the query is too long");
    try {
      // RFC 8484 §6: base64url without padding.
      const usual = text.replaceAll("-", "+").replaceAll("_", "/");
      return decodeBase64(usual.padEnd(Math.ceil(usual.length / 4) * 4, "="));
    } catch {
      return refused(400, "the query is not base64url");
    }
  }
  if (request.method !== "POST") return refused(405, "queries come by GET or POST", { allow: "GET, HEAD, POST" });
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== mediaType) return refused(415, `the body must be ${mediaType}`);
  return (await bodyOf(request)) ?? refused(413, "the query is too long");
}

/** The body; undefined when it is longer than any message. What is too long is not read to its end. */
async function bodyOf(request: Request): Promise<Uint8Array | undefined> {
  const reader = request.body?.getReader();
  const bytes = new Uint8Array(longestMessage);
  let length = 0;
  while (reader !== undefined) {
    // as: bodies of requests are streams of bytes (Fetch §2.2.4), typed as any by the library.
    const { done, value } = (await reader.read()) as { done: boolean; value: Uint8Array | undefined };
    if (done || value === undefined) break;
    if (length + value.length > bytes.length) {
      await reader.cancel();
      return undefined;
    }
    bytes.set(value, length);
    length += value.length;
  }
  return bytes.slice(0, length);
}

/** RFC 8484 §5.1: as long as the first record to expire lives; a negative answer as its SOA record says (RFC 2308 §5). */
function freshness(answer: Uint8Array): string {
  const parsed = parseWireMessage(answer);
  if (!parsed.ok) return "no-store";
  const { answers, authorities, rcode } = parsed.value;
  if (rcode !== 0 && rcode !== 3) return "no-store";
  let least = Infinity;
  for (const { ttl } of answers) least = Math.min(least, ttl);
  if (answers.length === 0) {
    for (const record of authorities) {
      if (record.type === recordType.SOA) least = Math.min(least, record.ttl, readSoa(record).minimum);
    }
  }
  return least === Infinity ? "no-store" : `max-age=${least}`;
}

function refused(status: number, why: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${why}\n`, { status, headers: { "content-type": "text/plain", ...headers } });
}
