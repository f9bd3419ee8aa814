import type { TcpSocket } from "./tcp-socket.ts";
import type { UdpState } from "./udp-state.ts";

/**
 * The parts of Node's internal bindings that this package replaces or calls, as `process.binding` gives them. They are
 * not a public interface of Node: `checkBindings` says so in words when one of them is not as written here (Node 20
 * and 24 are tested).
 */

/** The state of ours behind a handle of Node's; absent on handles that are the kernel's. */
export const socketKey: unique symbol = Symbol("tesserae.socket");

/** What libuv's handles have. */
export interface Handle {
  close(callback?: () => void): void;
  ref(): void;
  unref(): void;
  readonly fd: number;
}

/** `status` is 0 or a negative errno. */
export interface WriteRequest {
  oncomplete?: (this: WriteRequest, status: number) => void;
}

export interface ConnectRequest {
  oncomplete?: (
    this: ConnectRequest,
    status: number,
    handle: TcpHandle,
    request: ConnectRequest,
    readable: boolean,
    writable: boolean,
  ) => void;
}

/** A `tcp_wrap.TCP`. */
export interface TcpHandle extends Handle {
  [socketKey]?: TcpSocket;
  /** Set by its server. */
  onconnection?: (status: number, client?: TcpHandle) => void;
  /** Set by its socket: takes what `streamBaseState` describes; may return the next buffer to read into. */
  onread?: (bytes?: ArrayBufferLike) => unknown;
}

/** A `udp_wrap.UDP`. */
export interface UdpHandle extends Handle {
  [socketKey]?: UdpState;
  onmessage?: (
    length: number,
    handle: UdpHandle,
    bytes: Uint8Array,
    from: { address: string; family: string; port: number; size: number },
  ) => void;
}

/** What `getsockname` and `getpeername` fill in. */
export interface AddressOut {
  address?: string;
  family?: string;
  port?: number;
}

export interface HandleClass<T> {
  new (type: number): T;
  readonly prototype: T;
}

export interface TcpBinding {
  readonly TCP: HandleClass<TcpHandle>;
  readonly constants: { readonly SOCKET: number; readonly UV_TCP_IPV6ONLY: number };
}

export interface UdpBinding {
  readonly UDP: { readonly prototype: UdpHandle };
}

/** Where streams tell each other the outcome of a call, by index. */
export interface StreamBinding {
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kArrayBufferOffset: number;
  readonly kBytesWritten: number;
  readonly kLastWriteWasAsync: number;
}

/** A native stream whose other end is JavaScript. */
export interface JsStream {
  /** Gives bytes to whoever listens; they are copied before it returns. */
  readBuffer(bytes: Uint8Array): void;
  emitEOF(): void;
  finishWrite(request: object, status: number): void;
  finishShutdown(request: object, status: number): void;
  isClosing: () => boolean;
  onreadstart: () => number;
  onreadstop: () => number;
  onshutdown: (request: object) => number;
  onwrite: (request: object, bytes: Uint8Array[]) => number;
}

export interface JsStreamBinding {
  readonly JSStream: new () => JsStream;
}

/** A `TLSWrap`, as far as we call it. */
export interface TlsHandle {
  onread?: (bytes?: ArrayBufferLike) => unknown;
}

export interface TlsBinding {
  wrap: (stream: object, context: object, isServer: boolean, hasActiveWrite: boolean) => TlsHandle;
}

/** `error` is an errno of getaddrinfo's, a c-ares code in text, or null. */
export interface LookupRequest {
  oncomplete?: (this: LookupRequest, error: number | string | null, ...results: unknown[]) => void;
}

export interface CaresBinding {
  getaddrinfo: (request: LookupRequest, host: string, family: number, hints: number, order: unknown) => number;
  getnameinfo: (request: LookupRequest, address: string, port: number) => number;
  readonly AI_ADDRCONFIG: number;
  readonly AI_ALL: number;
  readonly AI_V4MAPPED: number;
  readonly ChannelWrap: { readonly prototype: object };
  /** Absent before Node 22. */
  readonly DNS_ORDER_IPV4_FIRST?: unknown;
  readonly DNS_ORDER_IPV6_FIRST?: unknown;
}

/** libuv's error numbers by name (`UV_ECONNREFUSED`), all negative. */
export type UvBinding = Readonly<Record<string, number>>;

export interface Bindings {
  readonly tcp: TcpBinding;
  readonly udp: UdpBinding;
  readonly stream: StreamBinding;
  readonly jsStream: JsStreamBinding;
  readonly tls: TlsBinding;
  readonly cares: CaresBinding;
  readonly uv: UvBinding;
}

/** Which names must be where; the values are `typeof` of what is expected. */
const expected: readonly (readonly [keyof Bindings, string, string])[] = [
  ["tcp", "TCP", "function"],
  ["tcp", "constants", "object"],
  ["udp", "UDP", "function"],
  ["stream", "streamBaseState", "object"],
  ["stream", "kReadBytesOrError", "number"],
  ["stream", "kArrayBufferOffset", "number"],
  ["stream", "kBytesWritten", "number"],
  ["stream", "kLastWriteWasAsync", "number"],
  ["jsStream", "JSStream", "function"],
  ["tls", "wrap", "function"],
  ["cares", "getaddrinfo", "function"],
  ["cares", "getnameinfo", "function"],
  ["cares", "ChannelWrap", "function"],
  ["uv", "UV_EOF", "number"],
];

/**
 * Loads the bindings.
 *
 * @throws Error naming the first that is not as this package needs it: this version of Node.js is not supported.
 */
export function loadBindings(): Bindings {
  // as: present since Node 0.x, and documented as deprecated only; what it gives is checked below.
  const { binding } = process as unknown as { readonly binding?: (name: string) => object };
  if (binding === undefined) throw unsupported("process.binding is missing");
  const load = (name: string): object => {
    try {
      return binding(name);
    } catch (error) {
      throw unsupported(`process.binding("${name}") failed`, error);
    }
  };
  const loaded: Readonly<Record<keyof Bindings, object>> = {
    tcp: load("tcp_wrap"),
    udp: load("udp_wrap"),
    stream: load("stream_wrap"),
    jsStream: load("js_stream"),
    tls: load("tls_wrap"),
    cares: load("cares_wrap"),
    uv: load("uv"),
  };
  for (const [name, property, type] of expected) {
    // as: a look at a property whatever the object is.
    const value = (loaded[name] as Readonly<Record<string, unknown>>)[property];
    if (typeof value !== type) throw unsupported(`${property} of the binding of ${name} is a ${typeof value}`);
  }
  // as: what differs between versions was checked above.
  return loaded as unknown as Bindings;
}

function unsupported(what: string, cause?: unknown): Error {
  return new Error(`Node.js ${process.version} is not supported by @tesserae/node-api: ${what}`, { cause });
}
