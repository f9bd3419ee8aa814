/** Why something between domains failed. */
export type XenErrorKind =
  /** A table is full: no free grant reference, event channel, or room for a mapping. */
  | "exhausted"
  /** A grant reference that the other domain has not given, or has taken back. */
  | "bad-grant"
  /** A port that the other domain has not offered to this one. */
  | "bad-channel"
  /** There is no such domain, or it is being destroyed. */
  | "no-domain"
  /** The other end broke the protocol of the device. */
  | "protocol"
  /** The other end did not get to the state that was waited for within the time allowed. */
  | "timeout"
  /** The other end left. */
  | "gone"
  /** Used after it was closed on this side. */
  | "closed"
  /** Anything else that the hypervisor refused; the message has its number. */
  | "refused";

/** What grants, event channels and the devices over them throw or reject with. */
export class XenError extends Error {
  override readonly name = "XenError";
  readonly kind: XenErrorKind;

  constructor(kind: XenErrorKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
