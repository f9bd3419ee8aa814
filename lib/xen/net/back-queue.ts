import type { Page } from "@tesserae/device/page";
import type { EventChannel } from "../event-channel.ts";
import type { BackReceiver } from "./back-receiver.ts";
import type { BackSender } from "./back-sender.ts";
import type { RingQueue } from "./ring-queue.ts";

/** The back end of a pair of rings. */
export class BackQueue implements RingQueue {
  readonly refused: number = 0;
  readonly #sender: BackSender;
  readonly #receiver: BackReceiver;
  readonly #transmitChannel: EventChannel;
  readonly #receiveChannel: EventChannel;
  readonly #unmap: () => void;

  /**
   * @param transmitChannel for the ring that the guest transmits on
   * @param receiveChannel the same where they are not split
   * @param unmap gives the rings' memory back
   */
  constructor(
    sender: BackSender,
    receiver: BackReceiver,
    transmitChannel: EventChannel,
    receiveChannel: EventChannel,
    unmap: () => void,
  ) {
    this.#sender = sender;
    this.#receiver = receiver;
    this.#transmitChannel = transmitChannel;
    this.#receiveChannel = receiveChannel;
    this.#unmap = unmap;
  }

  get violation(): string | undefined {
    return this.#receiver.violation ?? this.#sender.violation;
  }

  send(page: Page, offset: number, length: number): boolean {
    this.#sender.send(page, offset, length);
    return true;
  }

  receive(most: number): number {
    return this.#receiver.receive(most);
  }

  flush(): void {
    const isReceiveWanted = this.#sender.copy();
    const isTransmitWanted = this.#receiver.publish();
    if (isReceiveWanted) this.#receiveChannel.notify();
    if (isTransmitWanted && !(isReceiveWanted && this.#receiveChannel === this.#transmitChannel)) {
      this.#transmitChannel.notify();
    }
  }

  reap(): void {
    // Pages go back as soon as they are copied.
  }

  arm(): boolean {
    return this.#receiver.arm();
  }

  close(isVoid: boolean): void {
    if (!isVoid) {
      this.#transmitChannel.close();
      this.#receiveChannel.close();
    }
    this.#sender.abandon();
    if (!isVoid) this.#unmap();
  }
}
