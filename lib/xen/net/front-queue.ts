import type { Page } from "@tesserae/device/page";
import type { ChannelPair } from "./channel-pair.ts";
import type { FrontReceiver } from "./front-receiver.ts";
import type { FrontSender } from "./front-sender.ts";
import type { RingQueue } from "./ring-queue.ts";

/** From so many requests under way on, it is looked for finished ones after each batch. */
const reapFrom = 64;

/** The front end of a pair of rings. */
export class FrontQueue implements RingQueue {
  readonly #sender: FrontSender;
  readonly #receiver: FrontReceiver;
  readonly #channels: ChannelPair;

  constructor(sender: FrontSender, receiver: FrontReceiver, channels: ChannelPair) {
    this.#sender = sender;
    this.#receiver = receiver;
    this.#channels = channels;
  }

  get violation(): string | undefined {
    return this.#receiver.violation ?? this.#sender.violation;
  }

  get refused(): number {
    return this.#sender.refused;
  }

  send(page: Page, offset: number, length: number): boolean {
    return this.#sender.send(page, offset, length);
  }

  receive(most: number): number {
    return this.#receiver.receive(most);
  }

  flush(): void {
    const isSendWanted = this.#sender.publish();
    const isReceiveWanted = this.#receiver.publish();
    this.#channels.notify(isSendWanted, isReceiveWanted);
    if (this.#sender.inFlight >= reapFrom) this.#sender.reap();
  }

  reap(): void {
    this.#sender.reap();
  }

  arm(): boolean {
    return this.#receiver.arm();
  }

  close(isVoid: boolean): void {
    if (!isVoid) this.#channels.close();
    this.#sender.abandon();
  }
}
