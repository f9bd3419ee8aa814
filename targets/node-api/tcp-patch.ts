import { type AddressOut, type ConnectRequest, socketKey, type TcpHandle, type WriteRequest } from "./bindings.ts";
import type { Host } from "./host.ts";
import type { Patches } from "./patches.ts";
import { TcpSocket } from "./tcp-socket.ts";

/** Any method of a handle, to be called on handles that are the kernel's. */
type Method = (this: TcpHandle, ...args: never[]) => unknown;

/** Finds what is behind a handle; makes it for a new handle; `undefined` for one that the kernel has a socket for. */
export type FindSocket = (handle: TcpHandle) => TcpSocket | undefined;

/** Strings are encoded here before they go into the flow, bytes; longer ones get a buffer of their own. */
const scratch = Buffer.allocUnsafeSlow(65_536);

/**
 * Replaces the methods of `tcp_wrap.TCP`, which `node:net` calls, so that handles are ours unless they have a file
 * descriptor. What a method returns, and what it leaves in `streamBaseState`, is as in Node's `src/stream_base.cc`,
 * `src/tcp_wrap.cc` and `src/connection_wrap.cc`.
 */
export function patchTcp(host: Host, patches: Patches): FindSocket {
  const { bindings, errno } = host;
  const { TCP, constants } = bindings.tcp;
  const { prototype } = TCP;
  const { streamBaseState, kBytesWritten, kLastWriteWasAsync } = bindings.stream;

  const nativeFd = inherited(prototype, "fd");
  const find: FindSocket = (handle) => {
    const known = handle[socketKey];
    if (known !== undefined) return known;
    if (Number(nativeFd.call(handle)) >= 0) return undefined;
    const made = new TcpSocket(host, handle);
    handle[socketKey] = made;
    return made;
  };

  /** Replaces a method: `own` for handles of ours, the one before for others. */
  const replace = <A extends unknown[]>(
    name: string,
    own: (socket: TcpSocket, handle: TcpHandle, ...args: A) => unknown,
  ): void => {
    patches.method<Method>(prototype, name, (native) => {
      return function (this: TcpHandle, ...args: unknown[]): unknown {
        const socket = find(this);
        // as: the arguments are those of the method of that name, whoever handles it.
        return socket === undefined ? native.apply(this, args as never[]) : own(socket, this, ...(args as A));
      };
    });
  };

  replace("bind", (socket, _, address: string, port: number) => socket.bind(address, port));
  replace("bind6", (socket, _, address: string, port: number, flags: number | undefined) =>
    socket.bind(address, port, ((flags ?? 0) & constants.UV_TCP_IPV6ONLY) !== 0),
  );
  replace("listen", (socket, _, backlog: number) => socket.listen(backlog));
  const connect = (socket: TcpSocket, _: TcpHandle, request: ConnectRequest, address: string, port: number): number =>
    socket.connect(request, address, port);
  replace("connect", connect);
  replace("connect6", connect);
  replace("getsockname", (socket, _, out: AddressOut) => socket.localName(out));
  replace("getpeername", (socket, _, out: AddressOut) => socket.peerName(out));

  replace("setNoDelay", (socket, _, enable: boolean) => socket.setNoDelay(enable));
  replace("setKeepAlive", (socket, _, enable: boolean, seconds: number) =>
    // As Node: without a delay the system's default, which is two hours.
    socket.setKeepAlive(enable ? (seconds > 0 ? seconds : 7200) * 1000 : undefined),
  );
  if ("setTypeOfService" in prototype) {
    replace("setTypeOfService", (_, __, value: number) => (value === 0 ? 0 : errno.number("ENOTSUP")));
    replace("getTypeOfService", () => 0);
  }
  replace("setBlocking", () => 0);

  replace("readStart", (socket) => socket.readStart());
  replace("readStop", (socket) => socket.readStop());
  replace("useUserBuffer", (socket, _, buffer: Uint8Array<ArrayBuffer>) => socket.useUserBuffer(buffer));

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
    return status < 0 ? status : 0;
  };
  replace("writeBuffer", (socket, _, request: WriteRequest, bytes: Uint8Array) =>
    write(socket, request, [bytes], bytes.length),
  );
  const writeString =
    (encoding: BufferEncoding) =>
    (socket: TcpSocket, _: TcpHandle, request: WriteRequest, text: string): number => {
      // Four bytes for a code unit are more than any of the encodings needs.
      if (text.length * 4 > scratch.length) {
        const bytes = Buffer.from(text, encoding);
        return write(socket, request, [bytes], bytes.length);
      }
      const length = scratch.write(text, 0, encoding);
      return write(socket, request, [scratch.subarray(0, length)], length, true);
    };
  replace("writeUtf8String", writeString("utf8"));
  replace("writeAsciiString", writeString("latin1"));
  replace("writeLatin1String", writeString("latin1"));
  replace("writeUcs2String", writeString("utf16le"));
  replace("writev", (socket, _, request: WriteRequest, chunks: unknown[], allBuffers: boolean) => {
    const list: Uint8Array[] = [];
    let total = 0;
    for (let at = 0; at < chunks.length; at += allBuffers ? 1 : 2) {
      const chunk = chunks[at];
      // as: net.js gives each string together with its encoding.
      const bytes =
        chunk instanceof Uint8Array ? chunk : Buffer.from(chunk as string, chunks[at + 1] as BufferEncoding);
      total += bytes.length;
      list.push(bytes);
    }
    return write(socket, request, list, total);
  });
  replace("shutdown", (socket, _, request: WriteRequest) =>
    socket.shutdown((outcome) => request.oncomplete?.(outcome)),
  );

  // The native handle is idle, so that it keeps no loop alive, but it knows whether it is referenced, and it closes.
  const nativeClose = inherited(prototype, "close");
  const also = (name: string, native: Method, own: (socket: TcpSocket) => number): void => {
    replace(name, (socket, handle, ...args: unknown[]) => {
      const status = own(socket);
      // as: the arguments are those of the method.
      if (status === 0) native.apply(handle, args as never[]);
      return status;
    });
  };
  also("close", nativeClose, (socket) => socket.close());
  also("reset", nativeClose, (socket) => socket.reset());
  also("ref", inherited(prototype, "ref"), (socket) => socket.setReferenced(true));
  also("unref", inherited(prototype, "unref"), (socket) => socket.setReferenced(false));

  /** Replaces a property that is read. */
  const replaceValue = (name: string, own: (socket: TcpSocket) => unknown): void => {
    const native = inherited(prototype, name);
    patches.define(prototype, name, {
      get(this: TcpHandle) {
        const socket = this[socketKey];
        return socket === undefined ? native.call(this) : own(socket);
      },
      set: () => undefined,
    });
  };
  replaceValue("bytesRead", (socket) => socket.bytesRead);
  replaceValue("bytesWritten", (socket) => socket.bytesWritten);
  replaceValue("writeQueueSize", (socket) => socket.writeQueueSize);
  return find;
}

/** A method, or the getter of a property, from wherever it is in the chain of prototypes. */
export function inherited(prototype: object, name: string): Method {
  for (let owner: object | null = prototype; owner !== null; owner = nextPrototype(owner)) {
    const descriptor = Object.getOwnPropertyDescriptor(owner, name);
    if (descriptor === undefined) continue;
    // as: a method of a handle, called with the arguments that Node calls it with.
    if (typeof descriptor.value === "function") return descriptor.value as Method;
    // as: a getter takes no arguments.
    if (descriptor.get !== undefined) return descriptor.get as Method;
    const value: unknown = descriptor.value;
    return () => value;
  }
  throw new TypeError(`handles have no ${name}`);
}

function nextPrototype(object: object): object | null {
  // as: the type says any; it is an object or null.
  return Object.getPrototypeOf(object) as object | null;
}
