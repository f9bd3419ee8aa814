import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import {
  cookieLength,
  parseParameters,
  readExactly,
  readJson,
  results,
  state,
  type StreamResult,
  type TestParameters,
} from "./wire.ts";

/** Milliseconds that a client may take to open its streams, or to answer. */
const patience = 30_000;

/** The server's side of iperf3's protocol: one test at a time, over TCP. */
export class IperfServer {
  readonly #timers: Timers;
  readonly #say: (line: string) => void;
  #test: Test | undefined = undefined;

  constructor(timers: Timers, say: (line: string) => void) {
    this.#timers = timers;
    this.#say = say;
  }

  /** Takes a connection: a new test's control connection, or a stream of the test under way. */
  async accept(flow: Flow): Promise<void> {
    const cookie = new TextDecoder().decode(await readExactly(flow, cookieLength));
    const test = this.#test;
    if (test !== undefined) {
      if (test.cookie === cookie && test.join(flow)) return;
      await flow.write(Uint8Array.of(state.accessDenied));
      await flow.close();
      return;
    }
    this.#test = new Test(this.#timers, flow, cookie);
    try {
      this.#say(await this.#test.run());
      await flow.close();
    } catch (error) {
      this.#say(`test given up: ${error instanceof Error ? error.message : String(error)}`);
      flow.abort();
    } finally {
      this.#test.end();
      this.#test = undefined;
    }
  }
}

class Stream {
  readonly id: number;
  readonly flow: Flow;
  readonly sends: boolean;
  bytes = 0;
  omitted = 0;

  constructor(id: number, flow: Flow, sends: boolean) {
    this.id = id;
    this.flow = flow;
    this.sends = sends;
  }
}

class Test {
  readonly cookie: string;
  readonly #timers: Timers;
  readonly #control: Flow;
  readonly #streams: Stream[] = [];
  #parameters: TestParameters | undefined = undefined;
  #wanted = 0;
  #complete: () => void = () => undefined;
  #over = false;

  constructor(timers: Timers, control: Flow, cookie: string) {
    this.#timers = timers;
    this.#control = control;
    this.cookie = cookie;
  }

  /** @returns what it came to, in words */
  async run(): Promise<string> {
    const control = this.#control;
    await this.#announce(state.paramExchange);
    const parameters = parseParameters(await readJson(control));
    this.#parameters = parameters;
    this.#wanted = parameters.parallel * (parameters.bidirectional ? 2 : 1);
    const complete = new Promise<void>((resolve) => {
      this.#complete = resolve;
    });
    await this.#announce(state.createStreams);
    await this.#within(complete);
    await this.#announce(state.testStart);
    await this.#announce(state.testRunning);
    const start = this.#timers.now();
    for (const stream of this.#streams) void this.#move(stream, parameters.length);
    const omit = this.#timers.timer(() => {
      for (const stream of this.#streams) stream.omitted = stream.bytes;
    });
    if (parameters.omit > 0) omit.set(start + parameters.omit * 1000);
    // The client decides when it ends.
    const [said] = await readExactly(control, 1);
    omit.cancel();
    if (said !== state.testEnd) throw new TypeError(`the client is in state ${String(said)}`);
    const seconds = (this.#timers.now() - start) / 1000 - parameters.omit;
    const came = this.#streams.map(({ id, bytes, omitted }): StreamResult => ({ id, bytes: bytes - omitted, seconds }));
    this.end();
    await this.#announce(state.exchangeResults);
    await this.#within(readJson(control));
    await control.write(results(came, parameters.reverse || parameters.bidirectional));
    await this.#announce(state.displayResults);
    await this.#within(readExactly(control, 1));
    const total = came.reduce((sum, each) => sum + each.bytes, 0);
    return `${came.length} streams, ${total} bytes in ${seconds.toFixed(2)} s`;
  }

  /** A stream's connection. @returns false when there are enough */
  join(flow: Flow): boolean {
    const parameters = this.#parameters;
    const index = this.#streams.length;
    if (parameters === undefined || index >= this.#wanted) return false;
    // In the order in which they come: with both ways, the first half is the client's to send on.
    const sends = parameters.bidirectional ? index >= parameters.parallel : parameters.reverse;
    // iperf3 numbers them 1, 3, 4, 5, …
    this.#streams.push(new Stream(index === 0 ? 1 : index + 2, flow, sends));
    if (this.#streams.length === this.#wanted) this.#complete();
    return true;
  }

  /** Ends the streams. Idempotent. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const { flow } of this.#streams) void flow.close();
  }

  async #move(stream: Stream, length: number): Promise<void> {
    const { flow, sends } = stream;
    const block = new Uint8Array(length);
    try {
      while (!this.#over) {
        if (sends) await flow.write(block);
        const moved = sends ? block.length : await flow.read(block);
        if (moved === 0) break;
        stream.bytes += moved;
      }
    } catch {
      // Streams are torn down from both sides in the end.
    }
  }

  #announce(what: number): Promise<void> {
    return this.#control.write(Uint8Array.of(what));
  }

  async #within<T>(what: Promise<T>): Promise<T> {
    let giveUp: (error: Error) => void = () => undefined;
    const late = new Promise<never>((_resolve, reject) => {
      giveUp = reject;
    });
    const timer = this.#timers.timer(() => giveUp(new Error(`nothing from the client for ${patience} ms`)));
    timer.set(this.#timers.now() + patience);
    try {
      return await Promise.race([what, late]);
    } finally {
      timer.cancel();
    }
  }
}
