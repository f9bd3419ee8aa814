import type { IpAddress } from "@tesserae/device/address";
import { formatEndpoint, type Endpoint } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Log } from "@tesserae/device/log";
import type { Random } from "@tesserae/device/random";
import type { Tcp } from "@tesserae/device/tcp";
import type { Datagram, Udp } from "@tesserae/device/udp";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { rcode } from "../wire.ts";
import { Authoritative, type AuthoritativeCounts, type AuthoritativeOptions } from "./authoritative.ts";
import { Cookies } from "./cookie.ts";
import type { Extension, ExtensionRequest, Transport } from "./extension.ts";
import { putU16, u16At } from "./octets.ts";
import { RateLimit, type RateLimitOptions, truncate, verdict } from "./rate-limit.ts";
import { ServerPort } from "./server-port.ts";
import { type StreamConnection, StreamService } from "./stream-service.ts";

/** Messages over UDP that extensions may be working on at once; more are dropped. */
const mostDatagramsPending = 64;
const longestMessage = 65_535;

/** What a name server needs, and how it behaves. */
export interface NameServerOptions extends Omit<AuthoritativeOptions, "cookies"> {
  readonly udp: Udp;
  readonly tcp: Tcp;
  readonly timers: Timers;
  readonly random: Random;
  readonly log?: Log;
  /** UDP and TCP port. Default 53. */
  readonly port?: number;
  /** One of our addresses; default: all. */
  readonly address?: IpAddress;
  /** Who takes transfers, NOTIFY, UPDATE and signed messages, in the order in which they are asked. */
  readonly extensions?: readonly Extension[];
  /** Limits responses over UDP; default: 200 a second to a network, as {@link RateLimitOptions} says; false: no limit. */
  readonly rateLimit?: RateLimitOptions | false;
  /** Secrets for cookies, 16 bytes each, shared by servers behind one address; default: one at random; false: no cookies. */
  readonly cookieSecrets?: readonly Uint8Array[] | false;
  /** TCP connections at once. Default 512. */
  readonly connections?: number;
  /** TCP connections at once from one address (IPv6: one /64). Default 32. */
  readonly connectionsPerClient?: number;
}

/** What a name server did since it started. */
export interface NameServerStatistics extends AuthoritativeCounts {
  /** Messages that came. */
  readonly udp: number;
  readonly streams: number;
  /** Responses that were remembered. */
  readonly memoised: number;
  /** Responses that the rate limit held back, or cut short. */
  readonly limited: number;
  readonly slipped: number;
  /** Responses that the network did not take. */
  readonly unsent: number;
  /** Messages that extensions took, and those of them that failed. */
  readonly extended: number;
  readonly failed: number;
  /** Connections now, accepted, refused, and ended because they were silent. */
  readonly connections: number;
  readonly accepted: number;
  readonly refused: number;
  readonly timedOut: number;
}

/** A name server that runs. */
export interface NameServer {
  readonly local: Endpoint;
  statistics(): NameServerStatistics;
  /** Serves a connection that somebody else accepted, over TLS say, until it ends. Never rejects. */
  serve(flow: Flow, transport: Transport): Promise<void>;
  /** Answers one message that came some other way, over HTTP say; empty when there is no answer. Never rejects. */
  exchange(message: Uint8Array, transport: Transport, client: IpAddress, clientPort: number): Promise<Uint8Array>;
  /** Stops listening and ends all connections. Idempotent. */
  close(): Promise<void>;
}

/**
 * Serves zones over UDP and TCP. Zones may change at any time: each query sees one state of them, and none is lost.
 *
 * @throws FlowError (rejects) when the port cannot be had; RangeError for options out of range.
 */
export async function createNameServer(options: NameServerOptions): Promise<NameServer> {
  const service = new Service(options);
  await service.open();
  return service;
}

class Service implements NameServer {
  readonly #options: NameServerOptions;
  readonly #answerer: Authoritative;
  readonly #limit: RateLimit | undefined;
  readonly #streams: StreamService;
  readonly #extensions: readonly Extension[];
  /** Where answers to datagrams are made. */
  readonly #out = new Uint8Array(longestMessage);
  readonly #port = new ServerPort();
  #udp = 0;
  #stream = 0;
  #limited = 0;
  #slipped = 0;
  #unsent = 0;
  #extended = 0;
  #failed = 0;
  #pending = 0;

  constructor(options: NameServerOptions) {
    const { timers, random, log, cookieSecrets, rateLimit, idleTimeout = 10_000 } = options;
    this.#options = options;
    this.#extensions = options.extensions ?? [];
    const cookies = cookieSecrets === false ? undefined : cookiesOf(timers, random, cookieSecrets);
    this.#answerer = new Authoritative({
      ...options,
      idleTimeout,
      ...(cookies === undefined ? {} : { cookies }),
    });
    this.#limit = rateLimit === false ? undefined : new RateLimit(timers, random, rateLimit);
    const { connections = 512, connectionsPerClient = 32 } = options;
    this.#streams = new StreamService(
      {
        answer: (bytes, at, length, out, outAt, connection) =>
          this.#ofStream(bytes, at, length, out, outAt, connection),
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

  statistics(): NameServerStatistics {
    const { rcodes, dropped, truncated } = this.#answerer.counts;
    const streams = this.#streams;
    return {
      ...{ udp: this.#udp, streams: this.#stream, rcodes: rcodes.slice(), dropped, truncated },
      ...{ memoised: this.#answerer.memoised, limited: this.#limited, slipped: this.#slipped, unsent: this.#unsent },
      ...{ extended: this.#extended, failed: this.#failed, connections: streams.size, accepted: streams.accepted },
      ...{ refused: streams.refused, timedOut: streams.timedOut },
    };
  }

  serve(flow: Flow, transport: Transport): Promise<void> {
    return this.#streams.serve(flow, transport);
  }

  async exchange(message: Uint8Array, transport: Transport, client: IpAddress, port: number): Promise<Uint8Array> {
    this.#stream++;
    const answerer = this.#answerer;
    const length = answerer.answer(message, 0, message.length, this.#out, 0, longestMessage, transport, client);
    const answer = this.#out.slice(0, length);
    if (!answerer.special) return answer;
    let first: Uint8Array | undefined;
    const work = this.#extend(message, transport, client, port, longestMessage, (sent) => {
      first ??= sent;
      return Promise.resolve(true);
    });
    if (work === undefined) return answer;
    await work;
    return first ?? new Uint8Array(0);
  }

  async close(): Promise<void> {
    this.#streams.close();
    await this.#port.close();
  }

  #datagram(datagram: Datagram): void {
    this.#udp++;
    const { bytes, offset, length, source, sourcePort } = datagram;
    // A response to port 0 goes nowhere.
    if (sourcePort === 0) return;
    const answerer = this.#answerer;
    const out = this.#out;
    let size = answerer.respond(bytes, offset, length, out, 0, longestMessage, "udp", source);
    if (size === 0) return;
    let from = answerer.response;
    let at = answerer.responseAt;
    if (answerer.special && this.#extensions.length > 0) {
      if (this.#pending >= mostDatagramsPending) return;
      const message = bytes.slice(offset, offset + length);
      const limit = answerer.query.hasEdns ? answerer.query.udpSize : 512;
      const work = this.#extend(message, "udp", source, sourcePort, limit, (response) => {
        return Promise.resolve(this.#port.send(response, 0, response.length, source, sourcePort));
      });
      if (work !== undefined) {
        this.#pending++;
        void work.finally(() => this.#pending--);
        return;
      }
    }
    if (this.#limit !== undefined && !answerer.trusted) {
      const decision = this.#limit.check(source, from, at);
      if (decision === verdict.drop) {
        this.#limited++;
        return;
      }
      if (decision === verdict.truncate) {
        this.#slipped++;
        // What is remembered stays as it is.
        if (from !== out) copyBytes(from, at, out, 0, size);
        from = out;
        at = 0;
        size = truncate(out, size);
      }
    }
    if (!this.#port.send(from, at, size, source, sourcePort)) this.#unsent++;
  }

  #ofStream(
    bytes: Uint8Array,
    at: number,
    length: number,
    out: Uint8Array,
    outAt: number,
    connection: StreamConnection,
  ): number | Promise<void> {
    this.#stream++;
    const { transport, flow } = connection;
    const { address, port } = flow.remote;
    const size = this.#answerer.answer(bytes, at, length, out, outAt, longestMessage, transport, address);
    if (!this.#answerer.special || this.#extensions.length === 0) return size;
    const message = bytes.slice(at, at + length);
    const send = (response: Uint8Array): Promise<boolean> => connection.send(response);
    return this.#extend(message, transport, address, port, longestMessage, send) ?? size;
  }

  /** Gives a message to the first extension that takes it; undefined when none does. The promise never rejects. */
  #extend(
    message: Uint8Array,
    transport: Transport,
    client: IpAddress,
    clientPort: number,
    limit: number,
    send: (response: Uint8Array) => Promise<boolean>,
  ): Promise<void> | undefined {
    const { query } = this.#answerer;
    let anySent = false;
    const request: ExtensionRequest = {
      ...{ message, transport, client, clientPort, limit },
      ...{ opcode: query.opcode, type: query.type, signed: query.signed },
      respond: (response) => {
        anySent = true;
        return send(response);
      },
      answer: (bytes, most) => {
        const out = new Uint8Array(Math.max(512, Math.min(most, longestMessage)));
        const answerer = this.#answerer;
        return out.slice(0, answerer.answer(bytes, 0, bytes.length, out, 0, out.length, transport, client));
      },
    };
    for (const extension of this.#extensions) {
      const work = extension.handle(request);
      if (work === undefined) continue;
      this.#extended++;
      return work.catch(async (error: unknown) => {
        this.#failed++;
        const from = formatEndpoint({ address: client, port: clientPort });
        this.#options.log?.warn("message failed", { from, opcode: request.opcode, why: String(error) });
        if (!anySent) await send(failure(message));
      });
    }
    return undefined;
  }
}

function cookiesOf(timers: Timers, random: Random, secrets: readonly Uint8Array[] | undefined): Cookies {
  return secrets === undefined ? Cookies.withRandomSecret(timers, random) : new Cookies(timers, secrets);
}

/** SERVFAIL for a message, as a header alone. */
function failure(message: Uint8Array): Uint8Array {
  const response = new Uint8Array(12);
  response.set(message.subarray(0, 2));
  putU16(response, 2, 0x8000 | (u16At(message, 2) & 0x7900) | rcode.serverFailure);
  return response;
}
