import type { IpAddress } from "./address.ts";

/** Names to addresses. */
export interface Resolver {
  /**
   * The addresses of `name`, best first, never empty. An address in text is its own answer.
   *
   * @throws ResolveError (rejects).
   */
  resolve(name: string, options?: { readonly signal?: AbortSignal }): Promise<readonly IpAddress[]>;
}

/** A name without an address. */
export class ResolveError extends Error {
  override readonly name = "ResolveError";
  readonly kind: "not-found" | "timeout" | "refused" | "aborted";
  readonly host: string;

  constructor(kind: ResolveError["kind"], host: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
    this.host = host;
  }
}
