import type { Page } from "@tesserae/device/page";
import type { BackReceiver } from "./back-receiver.ts";
import type { BackSender } from "./back-sender.ts";
import type { ChannelPair } from "./channel-pair.ts";
import type { RingQueue } from "./ring-queue.ts";

/** The back end of a pair of rings. */
export class BackQueue implements RingQueue {
  readonly refused: number = 0;
  readonly #sender: BackSender;
  readonly #receiver: BackReceiver;
  readonly #channels: ChannelPair;
  readonly #unmap: () => void;

  /** @param unmap gives the rings' memory back */
  constructor(sender: BackSender, receiver: BackReceiver, channels: ChannelPair, unmap: () => void) {
    this.#sender = sender;
    this.#receiver = receiver;
    this.#channels = channels;
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
    this.#channels.notify(isTransmitWanted, isReceiveWanted);
  }

  reap(): void {
    // Pages go back as soon as they are copied.
  }

  arm(): boolean {
    return this.#receiver.arm();
  }

  close(isVoid: boolean): void {
    if (!isVoid) this.#channels.close();
    this.#sender.abandon();
    if (!isVoid) this.#unmap();
  }
}
