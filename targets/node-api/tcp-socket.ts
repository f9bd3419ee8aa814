import { AsyncLocalStorage } from "node:async_hooks";
import { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { TcpListener } from "@tesserae/device/tcp";
import { type AddressOut, type ConnectRequest, socketKey, type TcpHandle } from "./bindings.ts";
import { type AsyncScope, type Host, reportUncaught } from "./host.ts";
import { HandleSink } from "./handle-sink.ts";
import { isPromptFlow } from "./prompt-stack.ts";
import { ReadPump, type ReadSink } from "./read-pump.ts";
import { fillAddress, readAddress } from "./socket-address.ts";
import { type Completion, WriteQueue } from "./write-queue.ts";

/** How long a closed connection may keep the event loop alive to deliver what was written, milliseconds. */
const longestFarewell = 5000;

/**
 * What is behind a TCP handle of Node's: nothing yet, a listener, or a flow.
 *
 * Methods that answer a number give 0 or a negative errno, as the handle's own do. What libuv would count as active
 * (listening and reading while referenced; connecting, writing and ending always) holds the event loop.
 */
export class TcpSocket {
  readonly #host: Host;
  readonly #handle: TcpHandle;
  readonly #scope: AsyncScope;
  #bound: { readonly address: IpAddress; readonly port: number } | undefined;
  #listener: TcpListener | undefined;
  #connecting: AbortController | undefined;
  #flow: Flow | undefined;
  #pump: ReadPump | undefined;
  #writer: WriteQueue | undefined;
  readonly #handleSink: HandleSink;
  #sink: ReadSink;
  #userBuffer: Uint8Array<ArrayBuffer> | undefined;
  #wantsReading = false;
  #isReferenced = true;
  #isHeld = false;
  #isWriteHeld = false;
  #isClosed = false;
  #noDelay = false;
  #keepAlive: number | undefined;

  /** @param scope the asynchronous context of its events */
  constructor(host: Host, handle: TcpHandle, scope: AsyncScope = AsyncLocalStorage.snapshot()) {
    this.#host = host;
    this.#handle = handle;
    this.#scope = scope;
    this.#handleSink = new HandleSink(host, handle, (next) => this.useUserBuffer(next));
    this.#sink = this.#handleSink;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get bytesRead(): number {
    return this.#pump?.bytes ?? 0;
  }

  get bytesWritten(): number {
    return this.#writer?.bytes ?? 0;
  }

  get writeQueueSize(): number {
    return this.#writer?.queued ?? 0;
  }

  // ---- opening

  /** @param text an address; `::` without `only6` is all of ours, whatever their family */
  bind(text: string, port: number, only6 = false): number {
    const { errno, stack } = this.#host;
    let address = readAddress(text);
    if (address === undefined || this.#bound !== undefined) return errno.number("EINVAL");
    if (address.family === 6 && !stack.addresses.some((each) => each.family === 6)) {
      if (!address.isUnspecified || only6)
        return errno.number(address.isUnspecified ? "EAFNOSUPPORT" : "EADDRNOTAVAIL");
      address = IpAddress.any4;
    }
    const own = address;
    if (!own.isUnspecified && !own.isLoopback && !stack.addresses.some((each) => each.equals(own))) {
      return errno.number("EADDRNOTAVAIL");
    }
    this.#bound = { address: own, port };
    return 0;
  }

  listen(backlog: number): number {
    if (this.#isClosed || this.#flow !== undefined) return this.#host.errno.number("EINVAL");
    if (this.#listener !== undefined) return 0;
    const { address, port } = this.#bound ?? { address: IpAddress.any4, port: 0 };
    try {
      this.#listener = this.#host.stack.tcp.open(
        { address, port, backlog: Math.min(65_535, Math.max(1, Math.trunc(backlog))) },
        (flow) => this.#accept(flow),
      );
    } catch (error) {
      return this.#host.errno.of(error);
    }
    this.#updateHold();
    return 0;
  }

  connect(request: ConnectRequest, text: string, port: number): number {
    const { errno, stack, activity } = this.#host;
    let address = readAddress(text);
    if (address === undefined) return errno.number("EINVAL");
    if (this.#flow !== undefined) return errno.number("EISCONN");
    if (this.#connecting !== undefined) return errno.number("EALREADY");
    // Our TCP takes a free port by itself.
    if (this.#bound !== undefined && this.#bound.port !== 0) return errno.number("ENOTSUP");
    // As on Linux: to nowhere is to ourselves.
    if (address.isUnspecified) address = address.family === 4 ? IpAddress.loopback4 : IpAddress.loopback6;
    const controller = new AbortController();
    this.#connecting = controller;
    activity.hold();
    const complete = (status: number): void => {
      try {
        request.oncomplete?.(status, this.#handle, request, status === 0, status === 0);
      } catch (error) {
        reportUncaught(error);
      }
      activity.release();
    };
    if (port === 0) {
      setImmediate(complete, errno.number("ECONNREFUSED"));
      return 0;
    }
    stack.tcp.connect({ address, port, signal: controller.signal, noDelay: this.#noDelay }).then(
      (flow) => {
        this.#connecting = undefined;
        if (this.#isClosed) {
          flow.abort();
          complete(errno.number("ECANCELED"));
          return;
        }
        this.adopt(flow);
        complete(0);
      },
      (error: unknown) => {
        this.#connecting = undefined;
        complete(errno.of(error));
      },
    );
    return 0;
  }

  /** Takes over a flow that is connected. */
  adopt(flow: Flow): void {
    this.#flow = flow;
    this.#pump = new ReadPump(flow, this.#scope, this.#sink, () => this.#updateHold());
    this.#pump.userBuffer = this.#userBuffer;
    this.#writer = new WriteQueue(flow, this.#host.errno, () => this.#updateHold());
    this.setNoDelay(this.#noDelay);
    if (this.#keepAlive !== undefined) this.setKeepAlive(this.#keepAlive);
    if (this.#wantsReading) this.#pump.start();
  }

  #accept(flow: Flow): void {
    if (this.#isClosed) {
      flow.abort();
      return;
    }
    const { bindings, root } = this.#host;
    const { TCP, constants } = bindings.tcp;
    const handle = root(() => new TCP(constants.SOCKET));
    const socket = new TcpSocket(this.#host, handle, root);
    handle[socketKey] = socket;
    socket.adopt(flow);
    try {
      this.#scope(() => this.#handle.onconnection?.(0, handle));
    } catch (error) {
      reportUncaught(error);
    }
  }

  // ---- addresses

  localName(out: AddressOut): number {
    const name = this.#flow?.local ?? this.#listener?.local ?? this.#bound;
    if (name === undefined) return this.#host.errno.number("EBADF");
    fillAddress(out, name);
    return 0;
  }

  peerName(out: AddressOut): number {
    if (this.#flow === undefined) return this.#host.errno.number("ENOTCONN");
    fillAddress(out, this.#flow.remote);
    return 0;
  }

  // ---- options

  setNoDelay(noDelay: boolean): number {
    this.#noDelay = noDelay;
    if (this.#flow !== undefined && isPromptFlow(this.#flow)) this.#flow.setNoDelay(noDelay);
    return 0;
  }

  /** @param idle milliseconds before the first probe; `undefined` turns probes off */
  setKeepAlive(idle: number | undefined): number {
    this.#keepAlive = idle;
    if (this.#flow !== undefined && isPromptFlow(this.#flow)) this.#flow.setKeepAlive(idle);
    return 0;
  }

  setReferenced(isReferenced: boolean): number {
    this.#isReferenced = isReferenced;
    this.#updateHold();
    return 0;
  }

  // ---- data

  readStart(): number {
    if (this.#isClosed) return this.#host.errno.number("EINVAL");
    this.#wantsReading = true;
    this.#pump?.start();
    this.#updateHold();
    return 0;
  }

  readStop(): number {
    this.#wantsReading = false;
    this.#pump?.stop();
    this.#updateHold();
    return 0;
  }

  /** What is read goes here instead of to the handle. */
  setSink(sink: ReadSink): void {
    this.#sink = sink;
    if (this.#pump !== undefined) {
      this.#pump.sink = sink;
      this.#pump.userBuffer = undefined;
    }
    this.#userBuffer = undefined;
  }

  useUserBuffer(buffer: Uint8Array<ArrayBuffer>): void {
    this.#handleSink.hasUserBuffer = true;
    this.#userBuffer = buffer;
    if (this.#pump !== undefined) this.#pump.userBuffer = buffer;
  }

  /** As {@link WriteQueue.write}. */
  write(chunks: readonly Uint8Array[], complete: Completion, isBorrowed = false): number {
    if (this.#isClosed) return this.#host.errno.number("EBADF");
    if (this.#writer === undefined) return this.#host.errno.number("EPIPE");
    const status = this.#writer.write(chunks, complete, isBorrowed);
    if (status === 1) this.#updateHold();
    return status;
  }

  /** Ends our side behind what was written. `complete` is called unless the answer is negative. */
  shutdown(complete: Completion): number {
    if (this.#isClosed || this.#writer === undefined) return this.#host.errno.number("ENOTCONN");
    this.#writer.shutdown(complete);
    this.#updateHold();
    return 0;
  }

  // ---- the end

  /** Gives up the listener, the attempt to connect or the connection. What was taken is still delivered. */
  close(): number {
    if (this.#isClosed) return 0;
    this.#isClosed = true;
    this.#connecting?.abort();
    // What it closes is closed at once; the promise is for those who want to know.
    void this.#listener?.close();
    this.#writer?.cancel();
    this.#updateHold();
    if (this.#flow !== undefined && this.#pump !== undefined) this.#sayFarewell(this.#flow, this.#pump);
    return 0;
  }

  /** Resets the connection. */
  reset(): number {
    if (this.#isClosed) return this.#host.errno.number("EINVAL");
    this.#isClosed = true;
    this.#connecting?.abort();
    void this.#listener?.close();
    this.#writer?.cancel();
    this.#pump?.abandon();
    this.#flow?.abort();
    this.#updateHold();
    return 0;
  }

  /**
   * A kernel goes on after the process has closed a socket, and after its end. We are the kernel: the loop is kept
   * alive for a while, a peer that goes on sending is reset, and one that says nothing is left to the stack's linger.
   */
  #sayFarewell(flow: Flow, pump: ReadPump): void {
    const { activity, root } = this.#host;
    activity.hold();
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      clearTimeout(timer);
      activity.release();
    };
    const timer = root(() => setTimeout(() => leave(), longestFarewell));
    const leave = (): void => {
      pump.abandon();
      void flow.close();
      release();
    };
    root(() => {
      // An end that fails leaves nothing to be delivered; reading fails with it.
      flow.end().catch(() => undefined);
      pump.drain((isGraceful) => {
        if (isGraceful) {
          void flow.close().then(release);
        } else {
          flow.abort();
          release();
        }
      });
    });
  }

  // ---- the event loop

  #updateHold(): void {
    const { activity } = this.#host;
    const isActive =
      this.#isReferenced &&
      !this.#isClosed &&
      (this.#listener !== undefined || (this.#wantsReading && this.#pump?.over === false));
    if (isActive !== this.#isHeld) {
      this.#isHeld = isActive;
      if (isActive) activity.hold();
      else activity.release();
    }
    const isWriting = !this.#isClosed && this.#writer?.pending === true;
    if (isWriting !== this.#isWriteHeld) {
      this.#isWriteHeld = isWriting;
      if (isWriting) activity.hold();
      else activity.release();
    }
  }
}
