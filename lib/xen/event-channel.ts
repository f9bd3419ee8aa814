/** Signals between two domains, without content (Xen's `event_channel.h`). */

/** This domain's end of a channel. */
export interface EventChannel {
  /** The number of this end in this domain. */
  readonly port: number;

  /**
   * Signals the other end. Signals that it has not taken yet become one. Never fails: nothing happens when the other
   * end is not there.
   */
  notify(): void;

  /** Frees the port; the callback is not called any more. Idempotent. */
  close(): void;

  /** Does not keep the image alive any more, where a target ends when nothing is waited for. */
  unref(): void;
}

/**
 * The channels of this domain. `onEvent` is called from the target's loop, never inside a call made here, at least once
 * after the last signal. What it throws is reported by the target, and ends nothing.
 */
export interface EventChannels {
  /**
   * A new channel whose other end `remote` may bind, once.
   *
   * @throws XenError `exhausted`; `no-domain`.
   */
  allocate(remote: number, onEvent: () => void): EventChannel;

  /**
   * Binds to a port that `remote` has allocated for this domain. A first event is delivered soon, as signals may have
   * come before.
   *
   * @throws XenError `bad-channel`, `no-domain` or `exhausted`.
   */
  bind(remote: number, remotePort: number, onEvent: () => void): EventChannel;
}
