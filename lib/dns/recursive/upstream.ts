import { equalBytes } from "../authoritative/octets.ts";
import { type Endpoint, IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import { parseWireMessage, type WireMessage } from "../wire-message.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import { classIn, ednsOption, messageFlag, rcode } from "../wire.ts";
import { bytesOfKey, keyOf } from "./name-key.ts";
import type { ServerState } from "./server-table.ts";
import type { Work } from "./work.ts";

/** One query to one server, over one transport. */
export interface ExchangeRequest {
  readonly server: Endpoint;
  readonly query: Uint8Array;
  /** Over UDP a query has a socket, and so a source port, of its own. */
  readonly overTcp: boolean;
  /** Milliseconds. */
  readonly timeout: number;
  /** Gives up. */
  readonly signal: AbortSignal;
  /**
   * Called with each message that comes from this server, at this address and port, until it says that it is the answer.
   * The bytes are the caller's.
   */
  accept(bytes: Uint8Array, offset: number, length: number): boolean;
}

/** Never rejects. `unreachable`: the network, or the server, says no. */
export type Exchange = (request: ExchangeRequest) => Promise<"accepted" | "timeout" | "unreachable">;

/** What became of a question to one server. */
export type Reply =
  | { readonly kind: "message"; readonly message: WireMessage }
  | { readonly kind: "timeout" | "unreachable" | "malformed" | "exhausted" };

export interface UpstreamQuestion {
  readonly name: string;
  readonly type: number;
  /** The server is to resolve: RD, and CD, as the answer is validated here. */
  readonly recursive: boolean;
}

export interface UpstreamStatistics {
  queries: number;
  queriesOverTcp: number;
  timeouts: number;
  /** Messages from a server asked that were no answer: another number, name, case, or cookie. Forgeries, mostly. */
  mismatches: number;
}

/** DNS flag day 2020: what fits into an unfragmented packet nearly everywhere, bytes. */
const udpSize = 1232;
/** Messages that are no answer after which TCP is used: somebody is guessing (RFC 5452 §9). */
const mostMismatches = 20;
/** What a server has at least and at most for one try, milliseconds. */
const leastTime = 1200;
const mostTime = 5000;

/** Asks servers: numbers, case and cookies that a forger would have to guess, EDNS, and TCP where it is needed. */
export class Upstream {
  readonly #exchange: Exchange;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #port: number;
  readonly statistics: UpstreamStatistics = { queries: 0, queriesOverTcp: 0, timeouts: 0, mismatches: 0 };

  /** @param port where servers listen, but for those that are given with a port */
  constructor(exchange: Exchange, timers: Timers, random: Random, port: number) {
    this.#exchange = exchange;
    this.#timers = timers;
    this.#random = random;
    this.#port = port;
  }

  /** @param signal aborted when another server was quicker */
  async ask(server: ServerState, question: UpstreamQuestion, work: Work, signal: AbortSignal): Promise<Reply> {
    const { timeout } = server;
    const start = this.#timers.now();
    server.begin();
    try {
      const reply = await this.#ask(server, question, work, signal);
      const now = this.#timers.now();
      if (reply.kind === "message" || reply.kind === "malformed") server.answered(now - start);
      // What another one answered first is a timeout all the same when its time was up.
      else if (reply.kind !== "exhausted" && (!signal.aborted || now - start >= timeout)) {
        server.timedOut(now);
        this.statistics.timeouts++;
      }
      return reply;
    } finally {
      server.end();
    }
  }

  async #ask(server: ServerState, question: UpstreamQuestion, work: Work, signal: AbortSignal): Promise<Reply> {
    let overTcp = false;
    let reply: Reply = { kind: "timeout" };
    for (let tries = 0; tries < 4; tries++) {
      if (work.queries <= 0) return { kind: "exhausted" };
      const left = work.deadline - this.#timers.now();
      if (left <= 0 || signal.aborted) return reply;
      work.queries--;
      this.statistics.queries++;
      if (overTcp) this.statistics.queriesOverTcp++;
      const attempt = new Attempt(this.#random, server, question, overTcp);
      const outcome = await this.#exchange({
        server: { address: server.address, port: this.#port },
        query: attempt.query,
        overTcp,
        timeout: Math.min(left, mostTime, Math.max(leastTime, 2 * server.timeout)),
        signal,
        accept: (bytes, offset, length) => attempt.accept(bytes, offset, length),
      });
      this.statistics.mismatches += attempt.mismatches;
      if (outcome === "unreachable") return { kind: "unreachable" };
      if (attempt.tooManyMismatches || (outcome === "timeout" && attempt.caseWasLost)) {
        // Forgers cannot answer over TCP, and there the case need not be right.
        if (overTcp) return { kind: "timeout" };
        overTcp = true;
        continue;
      }
      if (outcome === "timeout") return { kind: "timeout" };
      const { message } = attempt;
      if (message === undefined) return { kind: "malformed" };
      reply = { kind: "message", message };
      const code = message.rcode;
      if (code === rcode.badCookie && !overTcp) {
        // The new cookie was learnt from the answer; with the second one refused, TCP.
        overTcp = tries > 0;
        continue;
      }
      if (server.edns && message.edns === undefined && (code === rcode.formatError || code === rcode.notImplemented)) {
        // RFC 6891 §7: a server that does not know EDNS says so, without EDNS.
        server.edns = false;
        continue;
      }
      if (!overTcp && (message.flags & messageFlag.truncated) !== 0) {
        overTcp = true;
        continue;
      }
      return reply;
    }
    return reply;
  }
}

/** One query with its secrets. */
class Attempt {
  readonly query: Uint8Array;
  mismatches = 0;
  tooManyMismatches = false;
  /** Whether there was an answer that was right but for the case of its name. */
  caseWasLost = false;
  message: WireMessage | undefined;
  readonly #id: number;
  readonly #name: Uint8Array;
  readonly #type: number;
  readonly #server: ServerState;
  readonly #overTcp: boolean;

  constructor(random: Random, server: ServerState, { name, type, recursive }: UpstreamQuestion, overTcp: boolean) {
    this.#id = random.uint32() & 0xffff;
    this.#name = randomCase(bytesOfKey(name), random);
    this.#type = type;
    this.#server = server;
    this.#overTcp = overTcp;
    const data = new Uint8Array(512);
    const writer = new WireMessageWriter(data);
    writer.question({ name: this.#name, type, class: classIn });
    if (server.edns) {
      const cookie = new Uint8Array(8 + server.serverCookie.length);
      cookie.set(server.clientCookie);
      cookie.set(server.serverCookie, 8);
      writer.edns({ udpSize, version: 0, dnssecOk: true, options: [{ code: ednsOption.cookie, bytes: cookie }] }, 0);
    }
    const flags = recursive ? messageFlag.recursionDesired | messageFlag.checkingDisabled : 0;
    this.query = data.slice(0, writer.finish(this.#id, flags, 0));
  }

  accept(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.#isAnswer(bytes, offset, length)) return true;
    this.tooManyMismatches = ++this.mismatches > mostMismatches;
    // There is nothing more to wait for.
    return this.tooManyMismatches || this.#overTcp;
  }

  #isAnswer(bytes: Uint8Array, offset: number, length: number): boolean {
    if (length < 12) return false;
    const flags = ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
    const id = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
    if (id !== this.#id || (flags & messageFlag.response) === 0 || ((flags >>> 11) & 15) !== 0) return false;
    const parsed = parseWireMessage(bytes, offset, length);
    // The number is right, so it comes from the server, or from one that guesses: no use in either case.
    if (!parsed.ok) return (flags & messageFlag.truncated) !== 0 && this.#acceptTruncated(id, flags);
    const message = parsed.value;
    const [question] = message.questions;
    if (question === undefined) {
      // Who cannot read a question does not repeat it (RFC 6891 §7).
      const isRefusal = message.rcode !== rcode.noError && message.rcode !== rcode.nameError;
      if (!isRefusal || message.answers.length > 0) return false;
    } else {
      if (message.questions.length > 1 || question.type !== this.#type || question.class !== classIn) return false;
      if (!equalBytes(question.name, this.#name)) {
        const isSame = keyOf(question.name) === keyOf(this.#name);
        if (isSame && !this.#overTcp) this.caseWasLost = true;
        if (!isSame || !this.#overTcp) return false;
      }
    }
    if (!this.#cookieIsRight(message)) return false;
    this.message = message;
    return true;
  }

  /** A message cut off in the middle says only that TCP is needed. */
  #acceptTruncated(id: number, flags: number): boolean {
    const nothing = { questions: [], answers: [], authorities: [], additionals: [] };
    this.message = { id, flags, opcode: 0, rcode: 0, ...nothing };
    return true;
  }

  #cookieIsRight({ edns }: WireMessage): boolean {
    const server = this.#server;
    const option = edns?.options.find(({ code }) => code === ednsOption.cookie)?.bytes;
    if (option === undefined || option.length < 16 || option.length > 40) {
      // RFC 7873 §5.3: who had a cookie and now has none is somebody else; over TCP that cannot be.
      if (server.serverCookie.length === 0 || !server.edns) return true;
      if (!this.#overTcp) {
        this.caseWasLost = true;
        return false;
      }
      server.serverCookie = new Uint8Array();
      return true;
    }
    if (!equalBytes(option.subarray(0, 8), server.clientCookie)) return false;
    server.serverCookie = option.slice(8);
    return true;
  }
}

/** The letters of a name in upper or lower case by chance (0x20): each is a bit that a forger has to guess. */
function randomCase(name: Uint8Array, random: Random): Uint8Array {
  let bits = 0;
  let left = 0;
  for (let at = 0; at < name.length; at++) {
    const byte = name[at] ?? 0;
    // Lengths are below 64 and no letters.
    if (byte < 0x61 || byte > 0x7a) continue;
    if (left === 0) {
      bits = random.uint32();
      left = 32;
    }
    if ((bits & 1) !== 0) name[at] = byte - 32;
    bits >>>= 1;
    left--;
  }
  return name;
}

/** Whether an address can be asked at all: not nobody's, or everybody's. */
export function isAskable(address: IpAddress): boolean {
  return !address.isMulticast && !address.isUnspecified && !address.equals(IpAddress.broadcast4);
}
