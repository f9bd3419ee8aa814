import type { Timers } from "@tesserae/device/clock";
import type { Resolver } from "@tesserae/device/resolver";
import type { Tcp } from "@tesserae/device/tcp";
import { type BodySource, isSource, readAll, StreamSource } from "./body-content.ts";
import type { ClientTimeouts, IncomingResponse, OutgoingRequest } from "./client-connection.ts";
import { type ClientLimits, ConnectionPool } from "./connection-pool.ts";
import { EngineResponse } from "./engine-response.ts";
import { HttpError } from "./fault.ts";
import { LightResponse } from "./light-response.ts";
import { isFieldValue, isToken } from "./octets.ts";
import { isBodiless } from "./status.ts";

export interface ClientOptions {
  readonly tcp: Tcp;
  /** Without one, URLs must name addresses. */
  readonly resolver?: Resolver;
  readonly timers: Timers;
  readonly limits?: Partial<ClientLimits>;
  readonly timeouts?: Partial<ClientTimeouts>;
}

/** Heads of 32 KiB, 16 connections an origin, 64 idle, 1,024 waiting for one origin, 20 redirects. */
export const defaultClientLimits: ClientLimits = {
  maxStartLine: 8192,
  maxHead: 32_768,
  maxFields: 200,
  maxPerOrigin: 16,
  maxIdle: 64,
  maxWaiting: 1024,
  maxRedirects: 20,
};

/** 10 s to connect, 60 s for a response and for each piece of its body, 4 s idle: less than servers allow. */
export const defaultClientTimeouts: ClientTimeouts = { connect: 10_000, response: 60_000, body: 60_000, idle: 4000 };

/** What {@link HttpClient.fetch} takes: the members of the standard that mean something outside a browser. */
export interface FetchInit {
  readonly method?: string;
  readonly headers?: HeadersInit;
  readonly body?: BodyInit | null;
  readonly signal?: AbortSignal | null;
  readonly redirect?: RequestRedirect;
}

export interface HttpClient {
  /**
   * Sends a request over a kept or new connection. A body in pieces goes out in chunked coding while the response may
   * already come. Read the body of the response or cancel it: until then it holds its connection.
   *
   * A request that may be repeated (RFC 9110 §9.2.2) and whose body can be is sent once more when a kept connection
   * turns out to have been closed.
   *
   * @throws TypeError (rejects) for a bad URL, method or field; HttpError; FlowError; ResolveError; the signal's reason.
   */
  fetch(input: string | URL | Request, init?: FetchInit): Promise<Response>;
  /** Closes idle connections in order, and the others at once. Idempotent. */
  close(): Promise<void>;
}

/** An HTTP/1.1 client with a bounded pool of connections. `http:` only. */
export function createClient(options: ClientOptions): HttpClient {
  return new Client(options);
}

/** One request as it stands between redirects. */
interface Plan {
  method: string;
  url: URL;
  headers: Headers;
  body: Uint8Array | BodySource | null;
}

class Client implements HttpClient {
  readonly #pool: ConnectionPool;
  readonly #limits: ClientLimits;

  constructor(options: ClientOptions) {
    this.#limits = { ...defaultClientLimits, ...options.limits };
    this.#pool = new ConnectionPool({
      tcp: options.tcp,
      resolver: options.resolver,
      timers: options.timers,
      limits: this.#limits,
      timeouts: { ...defaultClientTimeouts, ...options.timeouts },
    });
  }

  async fetch(input: string | URL | Request, init: FetchInit = {}): Promise<Response> {
    const request = input instanceof Request ? input : undefined;
    const signal = init.signal ?? request?.signal;
    signal?.throwIfAborted();
    const plan = await makePlan(input, init);
    const redirect = init.redirect ?? request?.redirect ?? "follow";
    try {
      return await this.#follow(plan, redirect, signal);
    } catch (error) {
      // Whoever produces the body is told, even when nobody ever asked for it.
      if (isSource(plan.body)) plan.body.cancel(error);
      throw error;
    }
  }

  async #follow(plan: Plan, redirect: RequestRedirect, signal: AbortSignal | undefined): Promise<Response> {
    for (let redirects = 0; ; redirects++) {
      const response = await this.#once(plan, signal);
      const { head, body } = response;
      const location = redirectTarget(head.status, head.names, head.values);
      if (location === undefined || redirect === "manual") return present(plan, response, redirects > 0);
      await discard(body);
      if (redirect === "error") throw new HttpError("redirect", `${plan.url.href} redirects`);
      if (redirects === this.#limits.maxRedirects) throw new HttpError("redirect", "too many redirects");
      follow(plan, head.status, location);
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #once(plan: Plan, signal: AbortSignal | undefined): Promise<IncomingResponse> {
    const { url } = plan;
    const port = url.port === "" ? 80 : Number(url.port);
    const outgoing: OutgoingRequest = { method: plan.method, head: requestHead(plan), body: plan.body };
    const repeatable = isIdempotent(plan.method) && (plan.body === null || plan.body instanceof Uint8Array);
    for (let attempt = 0; ; attempt++) {
      const connection = await this.#pool.take(url.hostname, port, attempt > 0, signal);
      const { used } = connection;
      try {
        return await connection.exchange(outgoing, signal);
      } catch (error) {
        const stale = used && !connection.answered && !(error instanceof HttpError && error.kind === "timeout");
        if (!stale || !repeatable || attempt > 0 || signal?.aborted === true) throw error;
      }
    }
  }
}

/** Reads a short body to its end, so that the connection can be used again, and cancels a long one. */
async function discard(body: BodySource | null): Promise<void> {
  if (body === null) return;
  if (body.length !== undefined && body.length <= 16_384) await readAll(body);
  else body.cancel();
}

async function makePlan(input: string | URL | Request, init: FetchInit): Promise<Plan> {
  const request = input instanceof Request ? input : undefined;
  // as: what is neither a URL nor a Request is a string
  const url = input instanceof URL ? new URL(input) : new URL(request?.url ?? (input as string));
  checkUrl(url);
  const headers = new Headers(init.headers ?? request?.headers);
  const method = normalMethod(init.method ?? request?.method ?? "GET");
  const given = init.body === undefined ? (request?.body ?? null) : init.body;
  if (given !== null && (method === "GET" || method === "HEAD")) throw new TypeError(`${method} takes no body`);
  return { method, url, headers, body: await bodyOf(given, headers) };
}

function checkUrl(url: URL): void {
  if (url.protocol !== "http:") throw new TypeError(`"${url.href}" is not an http: URL`);
  if (url.username !== "" || url.password !== "") throw new TypeError("a URL with credentials");
}

function normalMethod(method: string): string {
  if (!isToken(method)) throw new TypeError(`"${method}" is not a method`);
  const upper = method.toUpperCase();
  if (upper === "CONNECT" || upper === "TRACE") throw new TypeError(`${upper} is not supported`);
  return ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"].includes(upper) ? upper : method;
}

/** Strings, bytes and forms become bytes; streams stay streams. Sets Content-Type when `headers` has none. */
async function bodyOf(body: BodyInit | null, headers: Headers): Promise<Uint8Array | BodySource | null> {
  if (body === null) return null;
  // as: what a stream gives is checked when it is read
  if (body instanceof ReadableStream) return new StreamSource(body as ReadableStream<Uint8Array>);
  if (body instanceof Uint8Array) return body;
  const packed = new EngineResponse(body);
  const type = packed.headers.get("content-type");
  if (type !== null && !headers.has("content-type")) headers.set("content-type", type);
  return new Uint8Array(await packed.arrayBuffer());
}

/** Fields that belong to the connection: made here, not by the caller. */
const ours = new Set([
  ...["host", "connection", "content-length", "transfer-encoding", "keep-alive", "te", "trailer", "upgrade", "expect"],
]);

function requestHead(plan: Plan): string {
  const { url, method, headers } = plan;
  const path = url.pathname + url.search;
  const target = method === "OPTIONS" && path === "/*" ? "*" : path;
  let head = `${method} ${target} HTTP/1.1\r\nhost: ${url.host}\r\n`;
  if (!headers.has("accept")) head += "accept: */*\r\n";
  headers.forEach((value, name) => {
    if (ours.has(name)) return;
    if (!isFieldValue(value)) throw new TypeError(`the value of ${name} cannot be sent in a field`);
    head += `${name}: ${value}\r\n`;
  });
  return head;
}

function isIdempotent(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "PUT" || method === "DELETE" || method === "OPTIONS";
}

function redirectTarget(status: number, names: readonly string[], values: readonly string[]): string | undefined {
  if (status !== 301 && status !== 302 && status !== 303 && status !== 307 && status !== 308) return undefined;
  const at = names.indexOf("location");
  return at < 0 ? undefined : values[at];
}

/** Changes `plan` as the Fetch standard's "HTTP-redirect fetch" does. */
function follow(plan: Plan, status: number, location: string): void {
  let url: URL;
  try {
    url = new URL(location, plan.url);
  } catch (cause) {
    throw new HttpError("redirect", "the location of a redirect is not a URL", { cause });
  }
  if (url.protocol !== "http:" || url.username !== "" || url.password !== "") {
    throw new HttpError("redirect", `cannot follow a redirect to ${url.protocol}//${url.host}`);
  }
  const toGet =
    (status === 303 && plan.method !== "HEAD") || ((status === 301 || status === 302) && plan.method === "POST");
  if (toGet) {
    plan.method = "GET";
    plan.body = null;
    for (const name of ["content-type", "content-encoding", "content-language", "content-location"]) {
      plan.headers.delete(name);
    }
  } else if (plan.body !== null && !(plan.body instanceof Uint8Array)) {
    throw new HttpError("redirect", "a body in pieces cannot be sent again to where a redirect leads");
  }
  if (url.origin !== plan.url.origin) {
    for (const name of ["authorization", "cookie", "proxy-authorization"]) plan.headers.delete(name);
  }
  plan.url = url;
}

function present(plan: Plan, response: IncomingResponse, redirected: boolean): Response {
  const { head, body } = response;
  const headers: [string, string][] = [];
  for (let index = 0; index < head.names.length; index++) {
    headers.push([head.names[index] ?? "", head.values[index] ?? ""]);
  }
  const url = new URL(plan.url);
  url.hash = "";
  const init = { status: head.status, statusText: head.reason.trim(), headers, url: url.href, redirected };
  if (body !== null) return new LightResponse(body, init);
  return new LightResponse(plan.method === "HEAD" || isBodiless(head.status) ? null : new Uint8Array(0), init);
}
