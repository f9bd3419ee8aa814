import { keyFromText } from "./name-key.ts";
import type { Lookups } from "./recursive.ts";

/** A key that is believed because it is written down here (RFC 4033 §2), as a DS record has it. */
export interface TrustAnchor {
  /** See `name-key.ts`. */
  readonly zone: string;
  /** The data of the DS record. */
  readonly data: Uint8Array;
}

/** Trust anchors that may change while they are used. */
export interface TrustAnchors {
  readonly anchors: readonly TrustAnchor[];
  /** @param changed called after each change */
  start(resolver: Lookups, changed: () => void): void;
}

/** The root's keys of 2017 and 2024 (https://data.iana.org/root-anchors/root-anchors.xml; RFC 9718). */
export const rootAnchors: readonly string[] = [
  ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
  ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
];

/**
 * Reads `example. IN DS 12345 13 2 0123…`, with a time to live or without, and spaces in the digest or not.
 *
 * @throws RangeError naming the text when it is no DS record.
 */
export function parseTrustAnchor(text: string): TrustAnchor {
  const words = /^\s*(\S+)\s+(?:\d+\s+)?(?:IN\s+)?DS\s+(\d{1,5})\s+(\d{1,3})\s+(\d{1,3})\s+([\da-fA-F\s]+)$/i.exec(
    text,
  );
  const [, zone = "", tag = "", algorithm = "", type = "", digest = ""] = words ?? [];
  const hex = digest.replaceAll(/\s/g, "");
  const numbers = [tag, algorithm, type].map(Number);
  if (words === null || hex.length % 2 !== 0 || numbers.some((each, index) => each > (index === 0 ? 65_535 : 255))) {
    throw new RangeError(`"${text}" is no DS record (as in: . IN DS 20326 8 2 E06D44…)`);
  }
  const bytes = Array.from({ length: hex.length / 2 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16));
  const [number = 0, ...rest] = numbers;
  return { zone: keyFromText(zone), data: Uint8Array.from([number >>> 8, number, ...rest, ...bytes]) };
}
