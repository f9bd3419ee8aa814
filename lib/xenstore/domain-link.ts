import { XenstoreClient } from "./client.ts";
import type { Line } from "./connection.ts";
import { GuestRing, ringError, ringSize, ServerRing } from "./ring.ts";
import type { Connects } from "./serve.ts";

/**
 * The server's end of a domain's ring. Whoever owns it calls {@link DomainLink.signalled} when the domain's event
 * channel fires.
 */
export class DomainLink {
  readonly #server: Connects;
  readonly #domain: number;
  readonly #ring: ServerRing;
  readonly #signal: () => void;
  readonly #input = new Uint8Array(ringSize);
  readonly #output = new Uint8Array(ringSize);
  #connection: Line;
  #isBusy = false;
  #isOver = false;

  /** @param signal fires the event channel at the domain's end */
  constructor(server: Connects, domain: number, page: Uint8Array, signal: () => void) {
    this.#server = server;
    this.#domain = domain;
    this.#ring = new ServerRing(page);
    this.#signal = signal;
    this.#connection = this.#connect();
  }

  #connect(): Line {
    const connection: Line = this.#server.connect(
      { kind: "domain", domain: this.#domain },
      {
        wake: () => {
          if (!this.#isBusy) queueMicrotask(() => this.signalled());
        },
        closed: () => {
          if (this.#connection === connection) this.#isOver = true;
        },
      },
    );
    return connection;
  }

  /** The domain has moved an index, or the server has something for it. */
  signalled(): void {
    if (this.#isBusy) return;
    if (this.#ring.isReconnecting) this.#reconnect();
    if (this.#isOver) return;
    this.#isBusy = true;
    try {
      let moved = true;
      let told = false;
      while (moved) {
        const heard = this.#hear();
        const said = this.#say();
        moved = heard || said;
        told ||= moved;
      }
      if (told) this.#signal();
    } finally {
      this.#isBusy = false;
    }
  }

  #reconnect(): void {
    const before = this.#connection;
    this.#connection = this.#connect();
    before.close("the domain began anew");
    this.#isOver = false;
    this.#ring.reset();
    this.#signal();
  }

  #hear(): boolean {
    if (this.#isOver) return false;
    const count = this.#ring.peek(this.#input, 0, ringSize);
    if (count < 0) this.#fail(ringError.indices);
    if (count <= 0) return false;
    const taken = this.#connection.receive(this.#input, 0, count);
    // Over now: it announced a message that is too long.
    if (this.#connection.isOver) this.#fail(ringError.protocol);
    else this.#ring.consume(taken);
    return taken > 0;
  }

  /** What is taken is in the ring: nothing waits in here, where a server that goes on in this one's place would miss it. */
  #say(): boolean {
    let said = false;
    while (!this.#isOver) {
      const room = this.#ring.writable;
      if (room < 0) this.#fail(ringError.indices);
      const length = room <= 0 ? 0 : this.#connection.take(this.#output, 0, room);
      if (length === 0) break;
      this.#ring.write(this.#output, 0, length);
      said = true;
    }
    return said;
  }

  #fail(error: number): void {
    this.#isOver = true;
    this.#ring.fail(error);
    this.#connection.close("its ring makes no sense");
    this.#signal();
  }

  /** The domain is gone. */
  close(): void {
    this.#isOver = true;
    this.#connection.close("the domain is gone");
  }
}

/** Bytes of requests that may wait for room in the ring. */
const mostWaiting = 1024 * 1024;

/**
 * The domain's end: a client over the ring. Whoever owns it calls {@link GuestLink.signalled} when the event channel
 * fires.
 */
export class GuestLink {
  readonly client: XenstoreClient;
  readonly #ring: GuestRing;
  readonly #signal: () => void;
  readonly #input = new Uint8Array(ringSize);
  readonly #waiting: Uint8Array[] = [];
  #offset = 0;
  #bytes = 0;

  /** @param signal fires the event channel at the server's end */
  constructor(page: Uint8Array, signal: () => void) {
    this.#ring = new GuestRing(page);
    this.#signal = signal;
    this.client = new XenstoreClient({
      send: (bytes) => {
        this.#bytes += bytes.length;
        this.#waiting.push(bytes);
        if (this.#bytes > mostWaiting) this.client.end("more requests wait than there is room for");
        else if (this.#send()) this.#signal();
      },
    });
  }

  /** The page is another, and empty: the domain goes on after a suspension. See {@link XenstoreClient.resume}. */
  resume(): void {
    this.#waiting.length = 0;
    this.#offset = 0;
    this.#bytes = 0;
    this.client.resume();
  }

  /** The server has moved an index. */
  signalled(): void {
    let moved = false;
    // The ring may be another's by now.
    while (!this.client.isOver) {
      const count = this.#ring.peek(this.#input, 0, ringSize);
      if (count < 0) this.client.end("the server's indices make no sense");
      if (count <= 0) break;
      this.client.receive(this.#input, 0, count);
      this.#ring.consume(count);
      moved = true;
    }
    if (this.client.isOver) return;
    if (this.#ring.error !== ringError.none) this.client.end(`the server gave up with error ${this.#ring.error}`);
    if (this.#send()) moved = true;
    if (moved) this.#signal();
  }

  #send(): boolean {
    let moved = false;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const written = this.#ring.write(first, this.#offset, first.length - this.#offset);
      if (written < 0) this.client.end("the server's indices make no sense");
      if (written <= 0) return moved;
      moved = true;
      this.#bytes -= written;
      this.#offset += written;
      if (this.#offset < first.length) return moved;
      this.#offset = 0;
      this.#waiting.shift();
    }
    return moved;
  }
}
