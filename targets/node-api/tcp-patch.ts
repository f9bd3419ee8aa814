import type { AddressOut, ConnectRequest, TcpHandle, WriteRequest } from "./bindings.ts";
import { HandlePatch } from "./handle-patch.ts";
import type { Host } from "./host.ts";
import type { Patches } from "./patches.ts";
import { TcpSocket } from "./tcp-socket.ts";

/** Strings are encoded here on their way into the flow, bytes; longer ones get a buffer of their own. */
const scratch = Buffer.allocUnsafeSlow(65_536);
/** What Linux waits by default before the first keep-alive probe, seconds. */
const usualKeepAlive = 7200;

/**
 * Replaces the methods of `tcp_wrap.TCP`, which `node:net` calls. What they return, and leave in `streamBaseState`, is
 * as in Node's `src/stream_base.cc`, `src/tcp_wrap.cc` and `src/connection_wrap.cc`.
 */
export function patchTcp(host: Host, patches: Patches): HandlePatch<TcpSocket> {
  const { TCP, constants } = host.bindings.tcp;
  const { streamBaseState, kBytesWritten, kLastWriteWasAsync } = host.bindings.stream;
  const patch = new HandlePatch(TCP.prototype, patches, (handle: TcpHandle) => new TcpSocket(host, handle));

  patch.method("bind", (socket, address: string, port: number) => socket.bind(address, port));
  patch.method("bind6", (socket, address: string, port: number, flags: number | undefined) =>
    socket.bind(address, port, ((flags ?? 0) & constants.UV_TCP_IPV6ONLY) !== 0),
  );
  patch.method("listen", (socket, backlog: number) => socket.listen(backlog));
  const connect = (socket: TcpSocket, request: ConnectRequest, address: string, port: number): number =>
    socket.connect(request, address, port);
  patch.method("connect", connect);
  patch.method("connect6", connect);
  patch.method("getsockname", (socket, out: AddressOut) => socket.localName(out));
  patch.method("getpeername", (socket, out: AddressOut) => socket.peerName(out));

  patch.method("setNoDelay", (socket, enable: boolean) => socket.setNoDelay(enable));
  patch.method("setKeepAlive", (socket, enable: boolean, seconds: number) =>
    socket.setKeepAlive(enable ? (seconds > 0 ? seconds : usualKeepAlive) * 1000 : undefined),
  );
  patch.method("setBlocking", () => 0);
  // Node 24 and later.
  if ("setTypeOfService" in TCP.prototype) {
    patch.method("setTypeOfService", (_, value: number) => (value === 0 ? 0 : host.errno.number("ENOTSUP")));
    patch.method("getTypeOfService", () => 0);
  }

  patch.method("readStart", (socket) => socket.readStart());
  patch.method("readStop", (socket) => socket.readStop());
  patch.method("useUserBuffer", (socket, buffer: Uint8Array<ArrayBuffer>) => socket.useUserBuffer(buffer));

  const write = (
    socket: TcpSocket,
    request: WriteRequest,
    chunks: readonly Uint8Array[],
    total: number,
    isBorrowed = false,
  ): number => {
    const status = socket.write(chunks, (outcome) => request.oncomplete?.(outcome), isBorrowed);
    streamBaseState[kBytesWritten] = status < 0 ? 0 : total;
    streamBaseState[kLastWriteWasAsync] = status === 1 ? 1 : 0;
    return Math.min(status, 0);
  };
  patch.method("writeBuffer", (socket, request: WriteRequest, bytes: Uint8Array) =>
    write(socket, request, [bytes], bytes.length),
  );
  const writeString =
    (encoding: BufferEncoding) =>
    (socket: TcpSocket, request: WriteRequest, text: string): number => {
      // No encoding needs more than three bytes for a code unit.
      if (text.length * 3 > scratch.length) {
        const bytes = Buffer.from(text, encoding);
        return write(socket, request, [bytes], bytes.length);
      }
      const length = scratch.write(text, 0, encoding);
      return write(socket, request, [scratch.subarray(0, length)], length, true);
    };
  patch.method("writeUtf8String", writeString("utf8"));
  patch.method("writeAsciiString", writeString("latin1"));
  patch.method("writeLatin1String", writeString("latin1"));
  patch.method("writeUcs2String", writeString("utf16le"));
  patch.method("writev", (socket, request: WriteRequest, chunks: unknown[], allBuffers: boolean) => {
    const list: Uint8Array[] = [];
    let total = 0;
    for (let at = 0; at < chunks.length; at += allBuffers ? 1 : 2) {
      const bytes = encoded(chunks[at], chunks[at + 1]);
      total += bytes.length;
      list.push(bytes);
    }
    return write(socket, request, list, total);
  });
  patch.method("shutdown", (socket, request: WriteRequest) =>
    socket.shutdown((outcome) => request.oncomplete?.(outcome)),
  );

  patch.before("close", (socket) => socket.close());
  patch.before("reset", (socket) => socket.reset());
  patch.before("ref", (socket) => socket.setReferenced(true));
  patch.before("unref", (socket) => socket.setReferenced(false));

  patch.value("bytesRead", (socket) => socket.bytesRead);
  patch.value("bytesWritten", (socket) => socket.bytesWritten);
  patch.value("writeQueueSize", (socket) => socket.writeQueueSize);
  return patch;
}

/** A chunk of a `writev`: bytes, or a string and behind it its encoding. */
function encoded(chunk: unknown, encoding: unknown): Uint8Array {
  // as: net.js puts the encoding behind each string, and strings are all else that it writes.
  return chunk instanceof Uint8Array ? chunk : Buffer.from(chunk as string, encoding as BufferEncoding);
}
