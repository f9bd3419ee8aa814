import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { InterruptFile } from "./interrupt-file.ts";
import { SharedLine } from "./shared-line.ts";
import { parseInformation } from "./information.ts";
import { BoundRegisters } from "./registers.ts";
import { WindowError } from "./window-error.ts";
import type {
  DmaMemory,
  Interrupt,
  InterruptLine,
  MemoryAccess,
  PowerWrite,
  Registers,
  Width,
  Window,
  WindowInformation,
} from "./window.ts";

const folder = "/dev/window";
const interruptFile = `${folder}/interrupt`;
const pageSize = 4096;
/** The kernel writes `struct window_binding` here; what lies behind is bound. */
const bindingSize = 32;

/** The files of the boot kernel. */
export class KernelWindow implements Window {
  readonly information: WindowInformation;
  readonly commandLine: string;
  readonly memory: MemoryAccess;
  readonly ports: MemoryAccess;
  readonly #binder: number;
  readonly #bound: Uint8Array[] = [];
  readonly #mapped = new Map<string, Uint8Array>();
  readonly #lines = new Map<number, SharedLine>();
  /** Released memory by its length. */
  readonly #free = new Map<number, KernelMemory[]>();

  constructor() {
    try {
      this.information = parseInformation(readFileSync(`${folder}/info`, "latin1"));
      this.commandLine = readFileSync("/proc/cmdline", "latin1").replace(/[\0\n]+$/, "");
      this.memory = new FileAccess(`${folder}/memory`, "physical address");
      this.ports = new FileAccess(`${folder}/port`, "I/O port");
      this.#binder = openSync(`${folder}/dma`, "r+");
    } catch (error) {
      throw new WindowError(`there is no device window: ${reason(error)}`, { cause: error });
    }
  }

  dma(length: number): DmaMemory {
    if (!(length >= 1)) throw new RangeError(`length ${String(length)} is below 1`);
    const whole = Math.ceil(length / pageSize) * pageSize;
    const used = this.#free.get(whole)?.pop();
    if (used !== undefined) return used.reuse();
    const { bytes, physical } = this.#bind(whole, 0, `${String(whole)} bytes of memory for a device`);
    return new KernelMemory(bytes, physical, (memory) => {
      const list = this.#free.get(whole);
      if (list === undefined) this.#free.set(whole, [memory]);
      else list.push(memory);
    });
  }

  registers(physical: number, length: number): Registers {
    if (!Number.isSafeInteger(physical) || physical <= 0 || !Number.isSafeInteger(length) || length < 1) {
      throw new RangeError(`registers at ${hex(physical)}, ${String(length)} bytes: out of range`);
    }
    const start = physical % pageSize;
    const first = physical - start;
    const whole = Math.ceil((start + length) / pageSize) * pageSize;
    const key = `${String(first)}+${String(whole)}`;
    let page = this.#mapped.get(key);
    if (page === undefined) {
      page = this.#bind(whole, first, `device registers at ${hex(physical)}`).bytes;
      this.#mapped.set(key, page);
    }
    return new BoundRegisters(page, start, physical, length);
  }

  shared(physical: number, length: number): Uint8Array {
    return this.#bind(length, physical, `shared memory at ${hex(physical)}`).bytes;
  }

  interrupt(source: InterruptLine | "message", callback: () => void): Interrupt {
    if (source === "message") return new InterruptFile(interruptFile, source, callback);
    let shared = this.#lines.get(source.line);
    if (shared === undefined) {
      shared = new SharedLine(interruptFile, source, () => this.#lines.delete(source.line));
      this.#lines.set(source.line, shared);
    }
    return shared.add(callback);
  }

  setPower(action: "off" | "reset", how: PowerWrite): void {
    const request = new DataView(new ArrayBuffer(24));
    request.setUint32(0, action === "off" ? 0 : 1, true);
    request.setUint32(4, how.space === "port" ? 0 : 1, true);
    request.setUint32(8, how.width, true);
    request.setUint32(12, how.value, true);
    request.setBigUint64(16, BigInt(how.address), true);
    attempt(`setting how to ${action === "off" ? "turn off" : "reset"} the machine`, () => {
      const fd = openSync(`${folder}/power`, "r+");
      try {
        writeSync(fd, request);
      } finally {
        closeSync(fd);
      }
    });
  }

  addEntropy(bytes: Uint8Array): void {
    attempt("adding entropy", () => {
      const fd = openSync("/dev/urandom", "r+");
      try {
        writeSync(fd, bytes);
      } finally {
        closeSync(fd);
      }
    });
  }

  /**
   * The pages of `buffer` are no longer the allocator's, so it must not be freed while they are bound. The runtime
   * frees all buffers when it ends, and goes on allocating: before that they become ordinary memory again.
   */
  #keep(buffer: Uint8Array): void {
    if (this.#bound.length === 0) {
      process.once("exit", () => {
        for (const each of this.#bound) writeSync(this.#binder, each);
      });
    }
    this.#bound.push(buffer);
  }

  /** Has the kernel put RAM (at 0) or registers behind the pages of a new buffer. */
  #bind(length: number, at: number, what: string): { bytes: Uint8Array; physical: number } {
    const buffer = new Uint8Array(new ArrayBuffer(bindingSize + pageSize - 1 + length));
    attempt(what, () => readSync(this.#binder, buffer, 0, buffer.length, at === 0 ? null : at));
    this.#keep(buffer);
    const view = new DataView(buffer.buffer);
    const offset = Number(view.getBigUint64(0, true));
    const physical = Number(view.getBigUint64(8, true));
    if (offset + length > buffer.length || Number(view.getBigUint64(16, true)) < length) {
      throw new WindowError(`${what}: the kernel bound less than was asked`);
    }
    return { bytes: buffer.subarray(offset, offset + length), physical };
  }
}

class KernelMemory implements DmaMemory {
  readonly bytes: Uint8Array;
  readonly physical: number;
  readonly #giveBack: (memory: KernelMemory) => void;
  #released = false;

  constructor(bytes: Uint8Array, physical: number, giveBack: (memory: KernelMemory) => void) {
    this.bytes = bytes;
    this.physical = physical;
    this.#giveBack = giveBack;
  }

  reuse(): this {
    this.bytes.fill(0);
    this.#released = false;
    return this;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#giveBack(this);
  }
}

class FileAccess implements MemoryAccess {
  readonly #fd: number;
  readonly #what: string;
  readonly #bytes = new Uint8Array(4);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(path: string, what: string) {
    this.#fd = openSync(path, "r+");
    this.#what = what;
  }

  read(address: number, width: Width): number {
    attempt(`reading ${this.#what} ${hex(address)}`, () => readSync(this.#fd, this.#bytes, 0, width, address));
    if (width === 4) return this.#view.getUint32(0, true);
    return width === 2 ? this.#view.getUint16(0, true) : this.#view.getUint8(0);
  }

  write(address: number, width: Width, value: number): void {
    this.#view.setUint32(0, value, true);
    attempt(`writing ${this.#what} ${hex(address)}`, () => writeSync(this.#fd, this.#bytes, 0, width, address));
  }

  copy(address: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    attempt(`reading ${String(length)} bytes at ${this.#what} ${hex(address)}`, () => {
      for (let done = 0; done < length;) {
        const got = readSync(this.#fd, bytes, done, length - done, address + done);
        if (got <= 0) throw new WindowError("it ends early");
        done += got;
      }
    });
    return bytes;
  }
}

function attempt(what: string, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    throw new WindowError(`${what}: ${reason(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
