// Asks servers the same queries over UDP, a batch at a time. Behind each batch goes a question that every server answers:
// when its answer is there, what is missing of the batch was not answered, so that nothing waits for time to pass.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { RunningServer } from "../servers/running.ts";
import { nothing, see, type Seen } from "./answer.ts";
import { wireName } from "./queries.ts";

/** Ids from here on are the sentinels'; those below are the queries', used in turn, so that what comes late is known. */
const sentinels = 0x8000;
const sentinel = Buffer.concat([
  Buffer.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
  wireName("diff.test."),
  Buffer.from([0, 6, 0, 1]),
]);
/** Milliseconds until the sentinel is sent again. */
const patience = 300;

/** Who answers queries, one way or another. */
export interface Respondent {
  readonly name: string;
  /** What it answers to each. */
  ask(queries: readonly Buffer[]): Promise<Seen[]>;
  close(): void;
}

/** A server that is asked over UDP. */
export class Asker implements Respondent {
  readonly name: string;
  readonly server: RunningServer;
  readonly #socket: Socket;
  #answers: (Seen | undefined)[] = [];
  /** The id of the batch's first query. */
  #first = 0;
  #sentinel = sentinels;
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
   * Sends the queries, whose ids are replaced, and collects what comes back.
   *
   * @throws Error when the server does not answer any more
   */
  async ask(queries: readonly Buffer[]): Promise<Seen[]> {
    this.#first = (this.#first + this.#answers.length) % sentinels;
    this.#answers = queries.map(() => undefined);
    for (const [index, query] of queries.entries()) {
      const sent = Buffer.from(query);
      if (sent.length >= 2) sent.writeUInt16BE((this.#first + index) % sentinels, 0);
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
      this.#sentinel = this.#sentinel === 0xffff ? sentinels : this.#sentinel + 1;
      const sent = Buffer.from(sentinel);
      sent.writeUInt16BE(this.#sentinel, 0);
      this.#socket.send(sent);
    });
  }

  #take(message: Buffer): void {
    if (message.length < 2) return;
    const id = message.readUInt16BE(0);
    if (id === this.#sentinel) this.#ended?.();
    const place = (id - this.#first + sentinels) % sentinels;
    if (id < sentinels && place < this.#answers.length) this.#answers[place] ??= see(message);
  }

  close(): void {
    this.#socket.close();
  }
}
