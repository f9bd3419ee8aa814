import { isMainThread } from "node:worker_threads";
import type { Addon } from "@tesserae/node/native/addon";

/** `enum uv_poll_event`. */
const UV_READABLE = 1;
/** More than the size of any handle of libuv's. */
const handleBytes = 1024;
const EINVAL = 22;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const MAP_POPULATE = 0x8000;

/** The native piece's functions through koffi, the C library and libuv of this very process. @throws without koffi */
export async function loadKoffi(): Promise<Addon> {
  const { default: koffi } = await import("koffi");
  const library = koffi.load(null);
  // Callbacks are declared once a process: koffi knows types by name.
  const pollProto = koffi.pointer(koffi.proto("void TesseraeUvPoll(void *handle, int status, int events)"));
  const closeProto = koffi.pointer(koffi.proto("void TesseraeUvClose(void *handle)"));
  // The declarations in C are the signatures: koffi's own type of a function says (...args: any[]) => any.
  const declare = (signature: string) => library.func(signature);
  const seven = "int64_t number, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f";
  const syscall: (...numbers: number[]) => number = declare(`int64_t syscall(${seven})`);
  const read: (fd: number, address: number, length: number) => number = declare(
    "int64_t read(int fd, int64_t address, int64_t length)",
  );
  const write: (fd: number, address: number, length: number) => number = declare(
    "int64_t write(int fd, int64_t address, int64_t length)",
  );
  const mmap: (at: number, length: number, protection: number, flags: number, fd: number, offset: number) => unknown =
    declare("void *mmap(int64_t at, int64_t length, int protection, int flags, int fd, int64_t offset)");
  const loop: () => number = declare("int64_t uv_default_loop()");
  const pollInit: (loop: number, handle: number, fd: number) => number = declare(
    "int uv_poll_init(int64_t loop, int64_t handle, int fd)",
  );
  const pollStart: (handle: number, events: number, callback: bigint) => number = declare(
    "int uv_poll_start(int64_t handle, int events, int64_t callback)",
  );
  const close: (handle: number, callback: bigint) => void = declare("void uv_close(int64_t handle, int64_t callback)");
  const ref: (handle: number) => void = declare("void uv_ref(int64_t handle)");
  const unref: (handle: number) => void = declare("void uv_unref(int64_t handle)");
  const addressOf = (buffer: ArrayBuffer): number => Number(koffi.address(buffer));
  /** libuv holds addresses, which the collector does not see: what they point to stays alive here. */
  const watched = new Map<number, Watched>();

  /** The pairs (offset, length) at an address. */
  const slotsAt = (address: number, count: number): Int32Array =>
    new Int32Array(koffi.view(BigInt(address), count * 8));

  return {
    call(number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) {
      const said = syscall(number, a, b, c, d, e, f);
      return said < 0 ? -koffi.errno() : said;
    },
    map(fd, length, offset) {
      const flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
      const at = mmap(0, length, PROT_READ_WRITE, flags, fd, offset);
      const address = koffi.address(at);
      // Stays mapped until the process ends: koffi has nothing that runs when the buffer is collected.
      return address === 0xffff_ffff_ffff_ffffn || address === -1n ? -koffi.errno() : koffi.view(at, length);
    },
    addressOf,
    readMany(fd, memory, size, largest, most, lead, slots) {
      const pairs = slotsAt(slots, most);
      let at = 0;
      let count = 0;
      for (; count < most && at + lead + largest <= size; count++) {
        const got = read(fd, memory + at + lead, largest);
        if (got < 0) return count > 0 ? count : -koffi.errno();
        pairs[2 * count] = at + lead;
        pairs[2 * count + 1] = got;
        at = (at + lead + got + 63) & ~63;
      }
      return count;
    },
    writeMany(fd, memory, slots, count) {
      const pairs = slotsAt(slots, count);
      let whole = 0;
      for (let index = 0; index < count; index++) {
        const length = pairs[2 * index + 1] ?? 0;
        const put = write(fd, memory + (pairs[2 * index] ?? 0), length);
        if (put === length) whole++;
        else pairs[2 * index + 1] = put < 0 ? -koffi.errno() : 0;
      }
      return whole;
    },
    watch(fd, callback) {
      // A worker has a loop of its own, and libuv has no name for it.
      if (!isMainThread) return -EINVAL;
      const memory = new ArrayBuffer(handleBytes);
      const handle = addressOf(memory);
      const entry: Watched = { memory, callback: 0n, scheduled: undefined };
      const run = (): void => {
        entry.scheduled = undefined;
        callback();
      };
      // libuv calls from outside of Node: nothing would drain the queue of microtasks. An immediate runs in the same
      // turn of the loop, and everything that Node does around a callback is done.
      entry.callback = koffi.register(() => {
        entry.scheduled ??= setImmediate(run);
      }, pollProto);
      const refused = pollInit(loop(), handle, fd) || pollStart(handle, UV_READABLE, entry.callback);
      if (refused !== 0) {
        koffi.unregister(entry.callback);
        return refused;
      }
      watched.set(handle, entry);
      return handle;
    },
    unwatch(handle) {
      const entry = watched.get(handle);
      if (entry === undefined) return;
      if (entry.scheduled !== undefined) clearImmediate(entry.scheduled);
      const closed = koffi.register(() => {
        setImmediate(() => {
          koffi.unregister(entry.callback);
          koffi.unregister(closed);
          watched.delete(handle);
        });
      }, closeProto);
      close(handle, closed);
    },
    hold(handle, whether) {
      if (watched.has(handle)) (whether === 0 ? unref : ref)(handle);
    },
  };
}

interface Watched {
  readonly memory: ArrayBuffer;
  callback: bigint;
  scheduled: NodeJS.Immediate | undefined;
}
