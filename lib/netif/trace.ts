import type { Clock } from "@tesserae/device/clock";
import type { FrameHandler, Netif } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { describeFrame } from "./frame-text.ts";
import { NetifMiddleware } from "./middleware.ts";

export interface TraceOptions {
  readonly clock: Clock;
  /** Gets one line for each frame. Must not throw. */
  readonly print: (line: string) => void;
}

/** Prints a line for every frame: `0.001500 tap0 > 10.0.0.2:80 → 10.0.0.1:40000 tcp …`; `>` is sent, `<` received. */
export function trace(inner: Netif, { clock, print }: TraceOptions): Netif {
  return new TracedNetif(inner, clock, print);
}

class TracedNetif extends NetifMiddleware {
  readonly #clock: Clock;
  readonly #print: (line: string) => void;

  constructor(inner: Netif, clock: Clock, print: (line: string) => void) {
    super(inner);
    this.#clock = clock;
    this.#print = print;
  }

  override listen(handler: FrameHandler): void {
    this.inner.listen((page, offset, length) => {
      this.#line("<", page, offset, length);
      handler(page, offset, length);
    });
  }

  override transmit(page: Page, offset: number, length: number): boolean {
    const time = this.#clock.now();
    const text = describeFrame(page.bytes, offset, length);
    const sent = this.inner.transmit(page, offset, length);
    this.#print(`${seconds(time)} ${this.name} > ${text}${sent ? "" : " (dropped)"}`);
    return sent;
  }

  #line(way: string, page: Page, offset: number, length: number): void {
    this.#print(`${seconds(this.#clock.now())} ${this.name} ${way} ${describeFrame(page.bytes, offset, length)}`);
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(6);
}
