import type { EventChannel } from "../event-channel.ts";

/** The event channels of a pair of rings: one for each ring, or the same for both. */
export class ChannelPair {
  readonly #transmit: EventChannel;
  readonly #receive: EventChannel;

  /**
   * @param transmit for the ring that the guest transmits on
   * @param receive the same where they are not split
   */
  constructor(transmit: EventChannel, receive: EventChannel) {
    this.#transmit = transmit;
    this.#receive = receive;
  }

  /** Notifies the other end of what it wants to hear, once where both rings share a channel. */
  notify(isTransmitWanted: boolean, isReceiveWanted: boolean): void {
    if (isTransmitWanted) this.#transmit.notify();
    if (isReceiveWanted && !(isTransmitWanted && this.#receive === this.#transmit)) this.#receive.notify();
  }

  close(): void {
    this.#transmit.close();
    this.#receive.close();
  }
}
