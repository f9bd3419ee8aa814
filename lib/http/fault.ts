/** What a peer did wrong, as data. */

/** The rule that a message broke. */
export type HttpFaultKind =
  | "request-line"
  | "status-line"
  | "method"
  | "target"
  | "version"
  | "line-end"
  | "field-name"
  | "field-value"
  | "obs-fold"
  | "host"
  | "content-length"
  | "transfer-encoding"
  | "framing-conflict"
  | "chunk-size"
  | "chunk-extension"
  | "chunk-end"
  | "trailer"
  | "expectation"
  | "line-too-long"
  | "head-too-large"
  | "too-many-fields"
  | "body-too-large"
  | "truncated";

/** One broken rule: what a server answers it with, where in the message it was seen, and which field it concerns. */
export interface HttpFault {
  readonly kind: HttpFaultKind;
  /** The status code a server answers with: 400, 413, 414, 417, 431, 501 or 505. */
  readonly status: number;
  /** Bytes from the start of the head, the chunk line or the trailers; −1 when no place can be named. */
  readonly offset: number;
  readonly message: string;
}

export function fault(kind: HttpFaultKind, status: number, offset: number, message: string): HttpFault {
  return { kind, status, offset, message };
}

/** What reading a request's or a response's body rejects with when the peer broke the protocol. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly kind: HttpFaultKind | "timeout" | "closed" | "redirect" | "aborted" | "exhausted";
  /** The status a server answers with if this reaches it, 0 when none applies. */
  readonly status: number;

  constructor(
    kind: HttpError["kind"],
    message: string,
    options?: { readonly cause?: unknown; readonly status?: number },
  ) {
    super(message, options);
    this.kind = kind;
    this.status = options?.status ?? 0;
  }

  static of(broken: HttpFault): HttpError {
    return new HttpError(broken.kind, broken.message, { status: broken.status });
  }
}
