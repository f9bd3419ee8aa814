// Asks servers the same queries over UDP, a batch at a time. Behind each batch goes a question that every server answers:
// when its answer is there, what is missing of the batch was not answered, so that nothing waits for time to pass.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { RunningServer } from "../servers/running.ts";
import { nothing, see, type Seen } from "./answer.ts";
import { wireName } from "./queries.ts";

const sentinelId = 0xffff;
const sentinel = Buffer.concat([
  Buffer.from([0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
  wireName("diff.test."),
  Buffer.from([0, 6, 0, 1]),
]);
/** Milliseconds until the sentinel is sent again. */
const patience = 300;

/** Who answers queries, one way or another. */
export interface Respondent {
  readonly name: string;
  /** What it answers to each. Ids are the queries' places. */
  ask(queries: readonly Buffer[]): Promise<Seen[]>;
  close(): void;
}

/** A server that is asked over UDP. */
export class Asker implements Respondent {
  readonly name: string;
  readonly server: RunningServer;
  readonly #socket: Socket;
  #answers: (Seen | undefined)[] = [];
  #ended: (() => void) | undefined;

  private constructor(server: RunningServer, socket: Socket) {
    this.name = server.name;
    this.server = server;
    this.#socket = socket;
    socket.on("message", (message) => this.#take(message));
    // A server that closed its port is found out by its silence.
    socket.on("error", () => undefined);
  }

  static async open(server: RunningServer): Promise<Asker> {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
    socket.connect(server.port, server.address);
    await once(socket, "connect");
    return new Asker(server, socket);
  }

  /**
   * Sends the queries, whose ids become their places in the batch, and collects what comes back.
   *
   * @throws Error when the server does not answer any more
   */
  async ask(queries: readonly Buffer[]): Promise<Seen[]> {
    this.#answers = queries.map(() => undefined);
    for (const [index, query] of queries.entries()) {
      const sent = Buffer.from(query);
      if (sent.length >= 2) sent.writeUInt16BE(index, 0);
      this.#socket.send(sent);
    }
    for (let attempt = 0; attempt < 40; attempt++) {
      if (await this.#sentinelAnswered()) {
        // Answers may overtake one another inside a server; the last are waited for a moment.
        if (this.#answers.includes(undefined)) await this.#sentinelAnswered();
        return this.#answers.map((seen) => seen ?? nothing);
      }
    }
    throw new Error(`${this.server.name} has stopped answering: ${this.server.said()}`);
  }

  #sentinelAnswered(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#ended = undefined;
        resolve(false);
      }, patience);
      this.#ended = () => {
        clearTimeout(timer);
        this.#ended = undefined;
        resolve(true);
      };
      this.#socket.send(sentinel);
    });
  }

  #take(message: Buffer): void {
    if (message.length < 2) return;
    const id = message.readUInt16BE(0);
    if (id === sentinelId) this.#ended?.();
    else if (id < this.#answers.length) this.#answers[id] ??= see(message);
  }

  close(): void {
    this.#socket.close();
  }
}
