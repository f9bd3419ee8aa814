import { TLSSocket } from "node:tls";
import type { JsStream, TcpHandle, TlsHandle } from "./bindings.ts";
import type { Host } from "./host.ts";
import type { Patches } from "./patches.ts";
import type { ReadSink } from "./read-pump.ts";
import type { HandlePatch } from "./handle-patch.ts";
import type { TcpSocket } from "./tcp-socket.ts";

/**
 * Puts TLS over handles of ours. Node's TLS is a native stream over a native stream; under it goes a `JSStream`, whose
 * other end is our socket. Everything above stays Node's own: `tls.connect`, servers, STARTTLS with an open socket.
 *
 * `isStreamBase` tells native code that it can take a handle over. It is true for TLS, which asks in `_wrapHandle`, and
 * false for HTTP, which then reads from JavaScript, and for HTTP/2, which makes a JSStream by itself.
 */
export function patchTls(host: Host, patches: Patches, tcp: HandlePatch<TcpSocket>): void {
  const { bindings } = host;
  let isWrapping = false;
  patches.define(bindings.tcp.TCP.prototype, "isStreamBase", {
    get(this: TcpHandle) {
      return isWrapping || tcp.find(this) === undefined;
    },
    set: () => undefined,
  });
  patches.method<unknown[], unknown>(TLSSocket.prototype, "_wrapHandle", function (before, args) {
    isWrapping = true;
    try {
      return before.apply(this, args);
    } finally {
      isWrapping = false;
    }
  });
  patches.method<[object, object, boolean, boolean], TlsHandle>(bindings.tls, "wrap", function (before, args) {
    const [stream, ...rest] = args;
    const socket = stream instanceof bindings.tcp.TCP ? tcp.find(stream) : undefined;
    if (socket === undefined) return before.apply(this, args);
    const under = createStream(host, socket);
    const tls = before.call(this, under, ...rest);
    socket.setSink(new TlsSink(host, under, tls));
    return tls;
  });
}

function createStream(host: Host, socket: TcpSocket): JsStream {
  const stream = new host.bindings.jsStream.JSStream();
  stream.isClosing = () => socket.isClosed;
  stream.onreadstart = () => socket.readStart();
  stream.onreadstop = () => socket.readStop();
  // The native side frees a request when it is finished, so that must not be inside the call that made it.
  stream.onwrite = (request, chunks) => {
    const finish = (status: number): void => {
      setImmediate(() => stream.finishWrite(request, status));
    };
    const status = socket.write(chunks, finish);
    if (status === 0) finish(0);
    return Math.min(status, 0);
  };
  stream.onshutdown = (request) =>
    socket.shutdown((status) => {
      setImmediate(() => stream.finishShutdown(request, status));
    });
  return stream;
}

/** Gives what is read to TLS. */
class TlsSink implements ReadSink {
  readonly #host: Host;
  readonly #stream: JsStream;
  readonly #tls: TlsHandle;

  constructor(host: Host, stream: JsStream, tls: TlsHandle) {
    this.#host = host;
    this.#stream = stream;
    this.#tls = tls;
  }

  data(into: Uint8Array<ArrayBuffer>, length: number): boolean {
    this.#stream.readBuffer(into.subarray(0, length));
    return false;
  }

  end(error: unknown): void {
    if (error === undefined) {
      this.#stream.emitEOF();
      return;
    }
    // A JSStream cannot fail. TLS hands errors of the stream below on as they are, so they can go straight to its user.
    const { streamBaseState, kReadBytesOrError } = this.#host.bindings.stream;
    streamBaseState[kReadBytesOrError] = this.#host.errno.of(error);
    this.#tls.onread?.();
  }
}
