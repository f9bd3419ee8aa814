import { fault, type HttpFault } from "./fault.ts";
import { equalsIgnoreCase } from "./octets.ts";

/**
 * How long a message body is (RFC 9112 §6.3): a count of octets, or one of the two constants below.
 *
 * Wherever two implementations could disagree on where a body ends, so that a request can be smuggled past one of
 * them, the message is refused rather than repaired.
 */
export type BodyLength = number;
/** The body is in chunked coding. */
export const chunkedBody = -1;
/** The body ends with the connection: responses only. */
export const untilClose = -2;

/** What the framing fields of one head say, gathered while it is read. */
export class FramingFields {
  contentLengths = 0;
  contentLength = "";
  transferEncodings = 0;
  transferEncoding = "";

  reset(): void {
    this.contentLengths = 0;
    this.contentLength = "";
    this.transferEncodings = 0;
    this.transferEncoding = "";
  }
}

/**
 * The length of a request's body, or the fault.
 *
 * @param minor of the version: 0 or 1
 */
export function requestBodyLength(fields: FramingFields, minor: number): BodyLength | HttpFault {
  if (fields.transferEncodings > 0) {
    const refused = checkCoding(fields, minor);
    return refused ?? chunkedBody;
  }
  return fields.contentLengths === 0 ? 0 : contentLength(fields);
}

/**
 * The length of a response's body, or the fault.
 *
 * @param bodiless the request was HEAD, so that whatever the fields say no body follows
 */
export function responseBodyLength(
  fields: FramingFields,
  minor: number,
  status: number,
  bodiless: boolean,
): BodyLength | HttpFault {
  const empty = bodiless || status < 200 || status === 204 || status === 304;
  if (fields.transferEncodings > 0) {
    const refused = checkCoding(fields, minor);
    return refused ?? (empty ? 0 : chunkedBody);
  }
  if (fields.contentLengths === 0) return empty ? 0 : untilClose;
  const length = contentLength(fields);
  return typeof length === "number" && empty ? 0 : length;
}

function checkCoding(fields: FramingFields, minor: number): HttpFault | undefined {
  if (fields.contentLengths > 0) {
    return fault("framing-conflict", 400, -1, "both Transfer-Encoding and Content-Length");
  }
  if (minor === 0) return fault("transfer-encoding", 400, -1, "Transfer-Encoding in HTTP/1.0");
  if (fields.transferEncodings === 1 && equalsIgnoreCase(fields.transferEncoding, "chunked")) return undefined;
  const codings = fields.transferEncoding.toLowerCase().split(",");
  const last = codings.at(-1)?.trim();
  if (fields.transferEncodings === 1 && last === "chunked" && codings.every((each) => /^\s*[\w-]+\s*$/.test(each))) {
    return codings.filter((each) => each.trim() === "chunked").length === 1
      ? fault("transfer-encoding", 501, -1, "a transfer coding other than chunked")
      : fault("transfer-encoding", 400, -1, "chunked more than once");
  }
  return fault("transfer-encoding", 400, -1, "Transfer-Encoding does not end in chunked, or is not one field");
}

function contentLength(fields: FramingFields): number | HttpFault {
  // RFC 9110 §8.6 lets equal copies pass; refusing them costs nobody and leaves nothing to disagree on.
  if (fields.contentLengths > 1) return fault("content-length", 400, -1, "more than one Content-Length");
  const value = parseContentLength(fields.contentLength);
  return value >= 0 ? value : fault("content-length", 400, -1, "Content-Length is not a decimal number below 2^53");
}

/** The number that `text` (1*DIGIT, RFC 9110 §8.6) stands for, or −1 when it is not that or not below 2⁵³. */
export function parseContentLength(text: string): number {
  if (text.length === 0 || text.length > 19) return -1;
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}
