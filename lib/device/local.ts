import type { Flow } from "./flow.ts";

/** A name in the file system under which programs of the same machine connect. */
export interface LocalListener {
  /** Stops accepting and removes the name. Connections already accepted go on. Idempotent. */
  close(): Promise<void>;
}

/** Connections between programs of one machine: Unix sockets. */
export interface LocalSockets {
  /**
   * Accepts connections at `path`. A socket that nobody listens on any more, left there by a program that died, is
   * replaced; anything else at `path` is left alone.
   *
   * @param accept gets each flow and owns it: it must end in `close` or `abort`. What it throws, or rejects with, aborts
   * that flow, is reported by the target, and stops nothing
   * @throws FlowError (rejects) `address-in-use`, `address-not-available` or `permission`.
   */
  listen(path: string, accept: (flow: Flow) => void | Promise<void>): Promise<LocalListener>;

  /** Connects to whoever listens at `path`. @throws FlowError (rejects) `refused` or `permission`. */
  connect(path: string): Promise<Flow>;
}
