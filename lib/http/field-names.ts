/**
 * Well-known field names, interned: a name seen on the wire becomes a small integer and a shared string without
 * allocating. The table is open-addressed over a hash that the caller computes while it scans the name.
 */

/** Lower case. The first ones have numbers of their own below. */
export const knownNames: readonly string[] = [
  ...["host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "trailer"],
  ...["accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges", "age", "allow"],
  ...["authorization", "cache-control", "content-disposition", "content-encoding", "content-language"],
  ...["content-location", "content-range", "content-security-policy", "content-type", "cookie", "date", "dnt", "etag"],
  ...["expires", "forwarded", "from", "if-match", "if-modified-since", "if-none-match", "if-range"],
  ...["if-unmodified-since", "keep-alive", "last-modified", "link", "location", "max-forwards", "origin", "pragma"],
  ...["priority", "proxy-authorization", "range", "referer", "retry-after", "sec-ch-ua", "sec-ch-ua-mobile"],
  ...["sec-ch-ua-platform", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "server"],
  ...["set-cookie", "strict-transport-security", "te", "upgrade-insecure-requests", "user-agent", "vary", "via"],
  ...["www-authenticate", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"],
];

export const nameHost = 0;
export const nameContentLength = 1;
export const nameTransferEncoding = 2;
export const nameConnection = 3;
export const nameExpect = 4;

/** One step of the hash: start from 0 and feed each octet of the name in lower case. */
export function hashStep(hash: number, lower: number): number {
  return (Math.imul(hash, 31) + lower) | 0;
}

const slots = new Int16Array(256).fill(-1);
for (const [index, name] of knownNames.entries()) {
  let hash = 0;
  for (let at = 0; at < name.length; at++) hash = hashStep(hash, name.charCodeAt(at));
  let slot = hash & 255;
  while (slots[slot] !== -1) slot = (slot + 1) & 255;
  slots[slot] = index;
}

/**
 * The number of the name at `bytes[start … end)`, whatever its case, or −1.
 *
 * @param hash of the name in lower case, see {@link hashStep}
 */
export function findName(bytes: Uint8Array, start: number, end: number, hash: number): number {
  for (let slot = hash & 255; ; slot = (slot + 1) & 255) {
    const index = slots[slot] ?? -1;
    if (index < 0) return -1;
    const name = knownNames[index] ?? "";
    if (name.length === end - start && matches(bytes, start, name)) return index;
  }
}

function matches(bytes: Uint8Array, start: number, name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    // No name in the table holds an octet whose 0x20 bit is clear, so setting that bit only folds case; the caller
    // has checked that the octets are tchar, of which only letters fold onto letters.
    if (((bytes[start + at] ?? 0) | 0x20) !== name.charCodeAt(at)) return false;
  }
  return true;
}
