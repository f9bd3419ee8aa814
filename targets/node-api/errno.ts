import { FlowError, type FlowErrorKind } from "@tesserae/device/flow";
import type { UvBinding } from "./bindings.ts";

const names: Readonly<Record<FlowErrorKind, string>> = {
  refused: "UV_ECONNREFUSED",
  reset: "UV_ECONNRESET",
  timeout: "UV_ETIMEDOUT",
  unreachable: "UV_EHOSTUNREACH",
  closed: "UV_EPIPE",
  aborted: "UV_ECANCELED",
  "address-in-use": "UV_EADDRINUSE",
  "address-not-available": "UV_EADDRNOTAVAIL",
  permission: "UV_EACCES",
  exhausted: "UV_ENOBUFS",
  protocol: "UV_EPROTO",
};

/** libuv's number for what went wrong; always negative. */
export class Errno {
  readonly #uv: UvBinding;

  constructor(uv: UvBinding) {
    this.#uv = uv;
  }

  /** @param name as in `ECONNRESET` */
  number(name: string): number {
    return this.#uv[`UV_${name}`] ?? this.#uv["UV_EIO"] ?? -5;
  }

  /** For whatever a flow, a listener or a socket threw. */
  of(error: unknown): number {
    if (error instanceof FlowError) return this.#uv[names[error.kind]] ?? this.number("EIO");
    return this.number(error instanceof RangeError ? "EINVAL" : "EIO");
  }
}
