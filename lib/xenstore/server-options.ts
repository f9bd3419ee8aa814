import type { Timers } from "@tesserae/device/clock";
import type { Journal } from "./journal.ts";
import type { Limits } from "./limits.ts";
import type { Updater } from "./live-update.ts";
import type { Connects, Serves } from "./serve.ts";

export interface XenstoreServerOptions {
  readonly timers: Timers;
  readonly limits?: Partial<Limits>;
  /** How domains are reached; without it they are only known by number. */
  readonly domains?: Domains;
  /** Who keeps clients that came by sockets while one server takes another's place. */
  readonly sockets?: Sockets;
  /** Loads newer code when `xenstore-control live-update` asks for it; without it that is refused. */
  readonly updater?: Updater;
  /** Takes what `xenstore-control print` says. */
  readonly print?: (text: string) => void;
  /** Keeps what is done: clients have numbers then, of sockets or of domains. */
  readonly journal?: Journal;
}

/** What brings the bytes of clients that are no domains. */
export interface Sockets {
  /**
   * A client of the server before is to be served by `server`: whoever implements it calls
   * `connect` with the same number.
   *
   * @returns false when it left meanwhile
   */
  reattach(socket: number, server: Connects): boolean;
}

/** What brings the bytes of domains. */
export interface Domains {
  /**
   * Domain 0 introduces a domain: its ring is in frame `frame`, and `port` of its event channels goes with it. Whoever
   * implements it calls `connect` of `server`. Again for one that is there: it was restored.
   *
   * @returns false when it cannot be reached
   */
  introduce(domain: number, frame: number, port: number, server: Serves): boolean;
  /** It is not to be heard any more. */
  release(domain: number): void;
}

/**
 * Whom a client is: a domain, or a program on the same machine, which may do what domain 0 may. One whose socket has a
 * number, of no other client's, is handed on to a server that goes on in this one's place.
 */
export type Client =
  { readonly kind: "domain"; readonly domain: number } | { readonly kind: "local"; readonly socket?: number };
