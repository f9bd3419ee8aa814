/** Extended DNS errors (RFC 8914 §4, and those registered since): why a response is as it is. */
export const extendedErrorCode = {
  other: 0,
  unsupportedKeyAlgorithm: 1,
  unsupportedDigestType: 2,
  staleAnswer: 3,
  forgedAnswer: 4,
  indeterminate: 5,
  bogus: 6,
  signatureExpired: 7,
  signatureNotYetValid: 8,
  keyMissing: 9,
  signaturesMissing: 10,
  noZoneKeyBit: 11,
  denialMissing: 12,
  cachedError: 13,
  notReady: 14,
  blocked: 15,
  censored: 16,
  filtered: 17,
  prohibited: 18,
  staleNameError: 19,
  notAuthoritative: 20,
  notSupported: 21,
  noReachableAuthority: 22,
  networkError: 23,
  invalidData: 24,
  signatureExpiredBeforeValid: 25,
  tooEarly: 26,
  unsupportedIterations: 27,
  unableToConform: 28,
  synthesized: 29,
} as const;

const names = new Map<number, string>(
  Object.entries(extendedErrorCode).map(([name, code]) => [
    code,
    name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
  ]),
);

export interface ExtendedError {
  /** Of `extendedErrorCode`, or any other up to 65,535. */
  readonly code: number;
  /** For people; may be empty. */
  readonly text: string;
}

/** The code in words. */
export function extendedErrorName(code: number): string {
  return names.get(code) ?? `code ${code}`;
}

/** Reads the option's data; `undefined` when they are cut off. Text that is not UTF-8 is read as far as it is. */
export function parseExtendedError(bytes: Uint8Array): ExtendedError | undefined {
  if (bytes.length < 2) return undefined;
  const text = new TextDecoder().decode(bytes.subarray(2));
  // §2: a zero at the end is not part of it.
  return { code: ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0), text: text.endsWith("\0") ? text.slice(0, -1) : text };
}

/** The option's data. */
export function extendedErrorBytes({ code, text }: ExtendedError): Uint8Array {
  return Uint8Array.from([code >>> 8, code & 255, ...new TextEncoder().encode(text)]);
}
