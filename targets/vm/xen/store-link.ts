import type { XenstoreClient } from "@tesserae/xenstore/client";
import { GuestLink } from "@tesserae/xenstore/domain-link";
import type { WindowChannel, WindowEventChannels } from "./event-channels.ts";

/**
 * The domain's ring to xenstore, with its event channel. It keeps the event loop alive while an answer is due: nothing
 * else does where a device is given back, whose timers have ended by then.
 */
export class StoreLink {
  readonly #events: WindowEventChannels;
  readonly #link: GuestLink;
  #channel: WindowChannel;
  #isWaiting = true;
  #isHeld = true;

  /**
   * @param page the ring
   * @param port of the event channel that the toolstack has made
   * @throws XenError
   */
  constructor(page: Uint8Array, events: WindowEventChannels, port: number) {
    this.#events = events;
    this.#link = new GuestLink(page, () => {
      this.#channel.notify();
      this.#hold();
    });
    this.#channel = this.#open(port);
  }

  get client(): XenstoreClient {
    return this.#link.client;
  }

  /** The domain goes on in another life: the ring is empty, and the event channel is another. @throws XenError */
  resume(port: number): void {
    this.#channel = this.#open(port);
    this.#isHeld = true;
    this.#link.resume();
    this.#hold();
  }

  /**
   * Whether what xenstore may say of itself keeps the event loop alive, too: at first it does. While an image runs it must
   * not, for its watches are always there.
   */
  set isWaiting(isWaiting: boolean) {
    this.#isWaiting = isWaiting;
    this.#hold();
  }

  #open(port: number): WindowChannel {
    return this.#events.open({ kind: "given", port }, () => {
      this.#link.signalled();
      this.#hold();
    });
  }

  #hold(): void {
    const isHeld = this.#isWaiting || this.client.waiting > 0;
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) this.#channel.ref();
    else this.#channel.unref();
  }
}
