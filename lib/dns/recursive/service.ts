import type { IpAddress } from "@tesserae/device/address";
import { type Endpoint, Prefix } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Log } from "@tesserae/device/log";
import type { Random } from "@tesserae/device/random";
import type { Tcp } from "@tesserae/device/tcp";
import type { Datagram, Udp } from "@tesserae/device/udp";
import { clientCookieLength, cookieLength, Cookies } from "../authoritative/cookie.ts";
import type { Transport } from "../authoritative/extension.ts";
import { RateLimit, type RateLimitOptions, truncate, verdict } from "../authoritative/rate-limit.ts";
import { ServerPort } from "../authoritative/server-port.ts";
import { StreamService } from "../authoritative/stream-service.ts";
import { ednsOption, rcode } from "../wire.ts";
import type { Recursive, Resolution } from "./recursive.ts";
import { ReplyMemo } from "./reply-memo.ts";
import { type AskedQuery, readClientQuery, udpLimit, writeRefusal, writeReply } from "./reply.ts";
import { extendedErrorCode } from "../edns/extended-error.ts";

/** What a resolver's service needs, and whom it serves. */
export interface ResolverServiceOptions {
  readonly resolver: Recursive;
  readonly udp: Udp;
  readonly tcp: Tcp;
  readonly timers: Timers;
  readonly random: Random;
  readonly log?: Log;
  /** UDP and TCP port. Default 53. */
  readonly port?: number;
  /** One of our addresses; default: all. */
  readonly address?: IpAddress;
  /**
   * Who is served; others are refused (RFC 5358). Default: this host and private networks (RFC 1918, RFC 4193, link-local
   * addresses).
   */
  readonly allow?: readonly Prefix[];
  /**
   * Limits responses over UDP to networks beyond {@link privateNetworks}, where sources can be forged, as for a name
   * server; default: 200 a second; false: no limit.
   */
  readonly rateLimit?: RateLimitOptions | false;
  /** Questions of one client (IPv6: one /64) that may wait at once; more are dropped. Default 200. */
  readonly questionsPerClient?: number;
  /** TCP connections at once. Default 512, and 32 of one client. */
  readonly connections?: number;
  readonly connectionsPerClient?: number;
}

export interface ResolverServiceStatistics {
  readonly udp: number;
  readonly streams: number;
  /** Answers over UDP that were remembered as they are: the resolver does not count them. */
  readonly memoised: number;
  /** Questions of those who are not served. */
  readonly refused: number;
  /** Dropped, as the client had too many waiting. */
  readonly dropped: number;
  /** Held back, or cut short, by the rate limit. */
  readonly limited: number;
  readonly connections: number;
}

/** A resolver that answers clients. */
export interface ResolverService {
  readonly local: Endpoint;
  statistics(): ResolverServiceStatistics;
  /** Serves a connection that somebody else accepted, over TLS say, until it ends. Never rejects. */
  serve(flow: Flow, transport: Transport): Promise<void>;
  /** Answers one message that came some other way, over HTTP say; empty when there is no answer. Never rejects. */
  exchange(message: Uint8Array, transport: Transport, client: IpAddress): Promise<Uint8Array>;
  /** Stops listening and ends all connections. Idempotent. */
  close(): Promise<void>;
}

/** This host, and networks that nobody can come from over the internet. */
export const privateNetworks: readonly Prefix[] = [
  ...["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"],
  ...["::1/128", "fc00::/7", "fe80::/10"],
].map((text) => Prefix.parse(text));

const longestMessage = 65_535;
const idleTimeout = 10_000;

/**
 * Serves a resolver over UDP and TCP.
 *
 * @throws FlowError (rejects) when the port cannot be had; RangeError for options out of range.
 */
export async function createResolverService(options: ResolverServiceOptions): Promise<ResolverService> {
  const service = new Service(options);
  await service.open();
  return service;
}

class Service implements ResolverService {
  readonly #options: ResolverServiceOptions;
  readonly #allow: readonly Prefix[];
  readonly #limit: RateLimit | undefined;
  readonly #memo: ReplyMemo;
  /** What the last answer came from, when it depends on nothing but the query. */
  #forAll: Resolution | undefined;
  readonly #cookies: Cookies;
  readonly #streams: StreamService;
  readonly #waiting = new Map<string, number>();
  readonly #counts = { udp: 0, streams: 0, refused: 0, dropped: 0, limited: 0 };
  readonly #port = new ServerPort();

  constructor(options: ResolverServiceOptions) {
    const { timers, random, log, rateLimit = {}, allow = privateNetworks } = options;
    this.#options = options;
    this.#allow = allow;
    this.#limit = rateLimit === false ? undefined : new RateLimit(timers, random, rateLimit);
    this.#memo = new ReplyMemo(timers);
    this.#cookies = Cookies.withRandomSecret(timers, random);
    const { connections = 512, connectionsPerClient = 32 } = options;
    this.#streams = new StreamService(
      {
        answer: (bytes, at, length, out, outAt, connection) => {
          this.#counts.streams++;
          const { transport, flow } = connection;
          const answer = this.#answer(bytes, at, length, transport, flow.remote.address);
          if (answer === undefined) return 0;
          if (answer instanceof Uint8Array) {
            out.set(answer, outAt);
            return answer.length;
          }
          return answer.then(async (reply) => {
            if (reply !== undefined) await connection.send(reply);
          });
        },
      },
      { timers, log, connections, connectionsPerClient, idleTimeout },
    );
  }

  get local(): Endpoint {
    return this.#port.local;
  }

  open(): Promise<void> {
    const flow = (accepted: Flow): Promise<void> => this.#streams.serve(accepted, "tcp");
    return this.#port.open(this.#options, flow, (datagram) => this.#datagram(datagram));
  }

  statistics(): ResolverServiceStatistics {
    return { ...this.#counts, memoised: this.#memo.hits, connections: this.#streams.size };
  }

  serve(flow: Flow, transport: Transport): Promise<void> {
    return this.#streams.serve(flow, transport);
  }

  async exchange(message: Uint8Array, transport: Transport, client: IpAddress): Promise<Uint8Array> {
    this.#counts.streams++;
    return (await this.#answer(message, 0, message.length, transport, client))?.slice() ?? new Uint8Array();
  }

  async close(): Promise<void> {
    this.#streams.close();
    await this.#port.close();
  }

  #datagram({ bytes, offset, length, source, sourcePort }: Datagram): void {
    this.#counts.udp++;
    // A response to port 0 goes nowhere.
    if (sourcePort === 0) return;
    const memo = this.#memo;
    const { resolver } = this.#options;
    const remembered = memo.recall(bytes, offset, length, resolver.flushes);
    if (remembered > 0 && this.#serves(source)) {
      this.#send(memo.bytes, memo.at, remembered, source, sourcePort);
      return;
    }
    const answer = this.#answer(bytes, offset, length, "udp", source);
    if (answer instanceof Uint8Array) {
      if (this.#forAll !== undefined) memo.remember(bytes, offset, length, answer, this.#forAll);
      this.#send(answer, 0, answer.length, source, sourcePort);
    } else {
      void answer?.then((reply) => {
        if (reply !== undefined) this.#send(reply, 0, reply.length, source, sourcePort);
      });
    }
  }

  #serves(client: IpAddress): boolean {
    return this.#allow.some((prefix) => prefix.contains(client));
  }

  #send(bytes: Uint8Array, at: number, length: number, client: IpAddress, port: number): void {
    const isNear = privateNetworks.some((prefix) => prefix.contains(client));
    const verdictOn = isNear ? verdict.send : (this.#limit?.check(client, bytes, at) ?? verdict.send);
    if (verdictOn !== verdict.send) this.#counts.limited++;
    if (verdictOn === verdict.drop) return;
    if (verdictOn !== verdict.truncate) {
      this.#port.send(bytes, at, length, client, port);
      return;
    }
    // What is remembered stays as it is.
    const own = bytes.slice(at, at + length);
    this.#port.send(own, 0, truncate(own, length), client, port);
  }

  /** The answer at once, or later, or never. What is there at once is valid until the next call. */
  #answer(
    bytes: Uint8Array,
    at: number,
    length: number,
    transport: Transport,
    client: IpAddress,
  ): Uint8Array | Promise<Uint8Array | undefined> | undefined {
    this.#forAll = undefined;
    const read = readClientQuery(bytes, at, length);
    if (read.kind === "ignored") return undefined;
    const { query } = read;
    const limit = transport === "udp" ? udpLimit(query) : longestMessage;
    const cookie = this.#cookie(query, client);
    const isEncrypted = transport === "tls" || transport === "https";
    const options = { limit, padded: isEncrypted, ...(cookie === undefined ? {} : { cookie }) };
    if (!this.#serves(client)) {
      this.#counts.refused++;
      return writeRefusal(
        query,
        rcode.refused,
        { code: extendedErrorCode.prohibited, text: "not served here" },
        options,
      );
    }
    if (read.kind === "refusal") return writeRefusal(query, read.rcode, read.failure, options);
    const { question } = query;
    if (question === undefined) return undefined;
    const { resolver } = this.#options;
    const known = resolver.known(question.name, question.type);
    if (known !== undefined) {
      // A cookie is for one client.
      if (cookie === undefined) this.#forAll = known;
      return writeReply(query, known, options);
    }
    return this.#later(client, async () => {
      return writeReply(query, await resolver.resolve(question.name, question.type), options).slice();
    });
  }

  #later(client: IpAddress, act: () => Promise<Uint8Array>): Promise<Uint8Array | undefined> | undefined {
    const who = client.family === 4 ? String(client.w3) : `${client.w0}:${client.w1}`;
    const waiting = this.#waiting.get(who) ?? 0;
    if (waiting >= (this.#options.questionsPerClient ?? 200)) {
      this.#counts.dropped++;
      return undefined;
    }
    this.#waiting.set(who, waiting + 1);
    return act().finally(() => {
      const left = (this.#waiting.get(who) ?? 1) - 1;
      if (left === 0) this.#waiting.delete(who);
      else this.#waiting.set(who, left);
    });
  }

  /** The cookie that goes back (RFC 7873 §5.2). */
  #cookie({ edns }: AskedQuery, client: IpAddress): Uint8Array | undefined {
    const asked = edns?.options.find(({ code }) => code === ednsOption.cookie)?.bytes;
    if (asked === undefined || asked.length < clientCookieLength) return undefined;
    const cookie = new Uint8Array(cookieLength);
    this.#cookies.write(asked, 0, client, cookie, 0);
    return cookie;
  }
}
