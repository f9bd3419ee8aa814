import { isMainThread } from "node:worker_threads";
import { describeErrno, UnsupportedError, type Libc } from "./libc.ts";

/** `enum uv_poll_event`. */
const UV_READABLE = 1;
/** More than the size of any handle of libuv's. */
const handleBytes = 1024;

/**
 * Calls back while a descriptor has something to read, from the event loop of this process: libuv watches it as it
 * watches a socket, with no thread and no polling.
 *
 * Level-triggered: what is left unread calls back again. The callback runs as one of Node's own, after the poll phase,
 * so that promises it settles go on at once.
 */
export class Readiness {
  readonly #libc: Libc;
  readonly #memory: Uint8Array;
  readonly #handle: number;
  readonly #callback: bigint;
  #scheduled: NodeJS.Immediate | undefined;
  #closing: Promise<void> | undefined;

  /**
   * @param fd non-blocking; stays the caller's, to be closed after {@link Readiness.close} resolved
   * @throws UnsupportedError on a worker thread, or when libuv refuses the descriptor.
   */
  constructor(libc: Libc, fd: number, callback: () => void) {
    // A worker has a loop of its own, and libuv has no name for it.
    if (!isMainThread) throw new UnsupportedError("a tap device can be watched from the main thread only");
    this.#libc = libc;
    this.#memory = new Uint8Array(handleBytes);
    this.#handle = libc.addressOf(this.#memory);
    const run = (): void => {
      this.#scheduled = undefined;
      callback();
    };
    // libuv calls from outside of Node: nothing would drain the queue of microtasks. An immediate runs in the same
    // turn of the loop, and everything that Node does around a callback is done.
    this.#callback = libc.uv.pollCallback(() => {
      this.#scheduled ??= setImmediate(run);
    });
    const refused =
      libc.uv.pollInit(libc.uv.defaultLoop(), this.#handle, fd) ||
      libc.uv.pollStart(this.#handle, UV_READABLE, this.#callback);
    if (refused !== 0) {
      libc.uv.unregister(this.#callback);
      throw new UnsupportedError(`the event loop cannot watch the tap device: ${describeErrno(-refused)}`);
    }
    watched.add(this);
  }

  /** Lets the process end while this is the only thing it waits for. */
  unref(): void {
    if (this.#closing === undefined) this.#libc.uv.unref(this.#handle);
  }

  /** Stops watching; no callback comes any more. Resolves when the loop has let go of the descriptor. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      if (this.#scheduled !== undefined) clearImmediate(this.#scheduled);
      const { uv } = this.#libc;
      const closed = uv.closeCallback(() => {
        setImmediate(() => {
          uv.unregister(this.#callback);
          uv.unregister(closed);
          watched.delete(this);
          resolve();
        });
      });
      uv.pollStop(this.#handle);
      uv.close(this.#handle, closed);
    });
    return this.#closing;
  }
}

/** libuv holds addresses, which the collector does not see: what they point to stays alive here. */
const watched = new Set<Readiness>();
