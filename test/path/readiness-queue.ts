// Sleeps until a descriptor has something to read or a time is up, to the microsecond: Linux's epoll, called from here.
import koffi from "koffi";

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
const PR_SET_TIMERSLACK = 29;
/** `struct epoll_event` is packed on x86-64 alone. */
const packed = process.arch === "x64";
const eventSize = packed ? 12 : 16;
const dataOffset = packed ? 4 : 8;
const most = 64;

/** Descriptors to wait for. The wait blocks the thread: for processes that do nothing else. */
export class ReadinessQueue {
  readonly #fd: number;
  readonly #events = Buffer.alloc(eventSize * most);
  readonly #timeout = Buffer.alloc(16);
  readonly #add: (fd: number, operation: number, which: number, event: Buffer) => number;
  readonly #wait: (fd: number, events: Buffer, most: number, timeout: Buffer | null, mask: null) => number;

  constructor() {
    const library = koffi.load(null);
    // The declarations in C are the signatures.
    this.#add = library.func("int epoll_ctl(int fd, int operation, int which, void *event)");
    this.#wait = library.func("int epoll_pwait2(int fd, void *events, int most, void *timeout, void *mask)");
    const create: (flags: number) => number = library.func("int epoll_create1(int flags)");
    this.#fd = create(EPOLL_CLOEXEC);
    if (this.#fd < 0) throw new Error("epoll_create1 failed");
    // Else the kernel rounds each wait up by 50 µs, to save wake-ups.
    library.func("int prctl(int option, uint64_t value)")(PR_SET_TIMERSLACK, 1);
  }

  /** From now on {@link ReadinessQueue.wait} tells `token` while there is something to read. */
  add(fd: number, token: number): void {
    const event = Buffer.alloc(eventSize);
    event.writeUInt32LE(EPOLLIN, 0);
    event.writeUInt32LE(token, dataOffset);
    if (this.#add(this.#fd, EPOLL_CTL_ADD, fd, event) !== 0) throw new Error(`epoll_ctl refuses descriptor ${fd}`);
  }

  /**
   * @param milliseconds fractions count; Infinity waits for ever
   * @returns how many are ready: see {@link ReadinessQueue.token}
   */
  wait(milliseconds: number): number {
    let timeout: Buffer | null = null;
    if (milliseconds !== Infinity) {
      timeout = this.#timeout;
      const whole = Math.floor(milliseconds / 1000);
      timeout.writeUInt32LE(whole, 0);
      timeout.writeUInt32LE(Math.floor((milliseconds - whole * 1000) * 1e6), 8);
    }
    return Math.max(0, this.#wait(this.#fd, this.#events, most, timeout, null));
  }

  /** The token of the ready descriptor of that number. */
  token(index: number): number {
    return this.#events.readUInt32LE(index * eventSize + dataOffset);
  }
}
