import { FlowError, type FlowErrorKind } from "@tesserae/device/flow";

/** The kernel's error names, as kinds of FlowError. What is not listed is a connection that died: `reset`. */
const kinds: Readonly<Record<string, FlowErrorKind>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  ECONNABORTED: "reset",
  EPIPE: "reset",
  ETIMEDOUT: "timeout",
  EHOSTUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETUNREACH: "unreachable",
  ENETDOWN: "unreachable",
  EAFNOSUPPORT: "unreachable",
  EADDRINUSE: "address-in-use",
  EADDRNOTAVAIL: "address-not-available",
  EACCES: "permission",
  EPERM: "permission",
  EMFILE: "exhausted",
  ENFILE: "exhausted",
  ENOBUFS: "exhausted",
  ENOMEM: "exhausted",
  ABORT_ERR: "aborted",
};

/** What Node reported, as a FlowError; `doing` begins the message: `listening on 127.0.0.1:80`. */
export function flowError(cause: unknown, doing: string): FlowError {
  if (cause instanceof FlowError) return cause;
  const code = codeOf(cause);
  const message = cause instanceof Error ? cause.message : String(cause);
  return new FlowError(kinds[code] ?? "reset", `${doing}: ${message}`, { cause });
}

/** Whether a socket for both families could not be had because the kernel has no IPv6. */
export function isWithoutIpv6(error: unknown): boolean {
  const code = codeOf(error instanceof FlowError ? error.cause : error);
  return code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
}

/** The `code` of an error of Node's, or `""`. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
