import type { Timers } from "@tesserae/device/clock";
import { createRequire, syncBuiltinESMExports } from "node:module";
import type { ExternalWork } from "./external.ts";
import type { SeededRandom } from "./random.ts";
import { VirtualTimers, type VirtualTimeout } from "./virtual-timeout.ts";

/** What ambient time and randomness are made of while a simulation runs. */
export interface AmbientSource {
  readonly timers: Timers;
  readonly random: SeededRandom;
  readonly external: ExternalWork;
  /** Gets what a callback of an ambient timer threw. */
  report(error: unknown): void;
  /** An unreferenced ambient timer was armed (+1) or is no more (−1): it keeps no simulation going. */
  background(change: 1 | -1): void;
}

let installed = false;

type Replacement = readonly [target: object, name: PropertyKey, value: unknown];

/**
 * Makes the ambient time and randomness of this process virtual and seeded, for npm's code inside a simulation: `Date`,
 * `Math.random`, the timer functions (also of `node:timers`), `performance.now`, `process.hrtime`, `AbortSignal.timeout`,
 * `crypto.getRandomValues` and `randomUUID` (also of `node:crypto`). Digests and other work of `crypto.subtle`, the
 * reading of Blobs, and the compilation of WebAssembly are waited for.
 *
 * Not covered: the ES export `getRandomValues` of `node:crypto`, worker threads, message channels, child processes, files and sockets of Node, `zlib`'s asynchronous
 * half, and key generation, whose keys differ from run to run.
 *
 * @returns a function that puts everything back.
 * @throws TypeError when it is installed already: one process runs one simulation at a time.
 */
export function installAmbient(source: AmbientSource): () => void {
  if (installed) throw new TypeError("another simulation is running in this process");
  installed = true;
  const restores: (() => void)[] = [];
  const restoreAll = (): void => {
    for (const restore of restores.reverse()) restore();
    syncBuiltinESMExports();
    installed = false;
  };
  try {
    for (const [target, name, value] of replacements(source)) restores.push(replace(target, name, value));
  } catch (error) {
    restoreAll();
    throw error;
  }
  syncBuiltinESMExports();
  return restoreAll;
}

function replacements(source: AmbientSource): Replacement[] {
  const { timers, random } = source;
  const virtual = new VirtualTimers(source);
  const require = createRequire(import.meta.url);
  // as: what Node's documentation says these modules export; only the named properties are touched
  const nodeTimers = require("node:timers") as Record<string, unknown>;
  // as: the same
  const nodeTimersPromises = require("node:timers/promises") as Record<string, unknown>;
  // as: the same
  const nodeCrypto = require("node:crypto") as Record<string, unknown>;
  const functions = virtual.functions();
  const randoms = randomFunctions(random, (callback, error, value) => {
    virtual.immediate(() => callback(error, value), []);
  });
  const list: Replacement[] = [
    [globalThis, "Date", virtualDate(() => timers.wall())],
    [Math, "random", () => random.unit()],
    [performance, "now", () => timers.now()],
    [performance, "timeOrigin", timers.wall() - timers.now()],
    [process, "hrtime", hrtime(() => timers.now())],
    [process, "uptime", () => timers.now() / 1000],
    [AbortSignal, "timeout", (milliseconds: number) => timeoutSignal(virtual, milliseconds)],
    [crypto, "getRandomValues", randoms["getRandomValues"]],
    [crypto, "randomUUID", randoms["randomUUID"]],
    // Of node:crypto, getRandomValues cannot be replaced: an ES import of that name stays real.
    ...Object.entries(randoms)
      .filter(([name]) => name !== "getRandomValues")
      .map(([name, value]) => [nodeCrypto, name, value] as const),
    ...Object.entries(functions).flatMap(([name, value]) => [
      [globalThis, name, value] as const,
      [nodeTimers, name, value] as const,
    ]),
    ...Object.entries(virtual.promises()).map(([name, value]) => [nodeTimersPromises, name, value] as const),
  ];
  return [...list, ...waited(source.external)];
}

function replace(target: object, name: PropertyKey, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, {
    value,
    configurable: true,
    enumerable: before?.enumerable ?? true,
    writable: true,
  });
  return () => {
    if (before === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, before);
  };
}

/** `Date` with another idea of now. Its instances are ordinary Dates. */
function virtualDate(wall: () => number): DateConstructor {
  const RealDate = Date;
  const now = (): number => Math.floor(wall());
  function VirtualDate(...args: unknown[]): unknown {
    const target: unknown = new.target;
    if (target === undefined) return new RealDate(now()).toString();
    const made = new.target === VirtualDate ? RealDate : new.target;
    return Reflect.construct(RealDate, args.length === 0 ? [now()] : args, made);
  }
  Object.defineProperty(VirtualDate, "length", { value: 7 });
  Object.defineProperty(VirtualDate, "name", { value: "Date" });
  VirtualDate.prototype = RealDate.prototype;
  VirtualDate.now = now;
  VirtualDate.parse = RealDate.parse;
  VirtualDate.UTC = RealDate.UTC;
  // as: it has the statics and the behaviour of Date, called and constructed
  return VirtualDate as unknown as DateConstructor;
}

function hrtime(now: () => number): NodeJS.HRTime {
  const nanoseconds = (): bigint => BigInt(Math.floor(now() * 1e6));
  const read = (since?: [number, number]): [number, number] => {
    const passed = nanoseconds() - (since === undefined ? 0n : BigInt(since[0]) * 1_000_000_000n + BigInt(since[1]));
    const rest = ((passed % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    return [Number((passed - rest) / 1_000_000_000n), Number(rest)];
  };
  return Object.assign(read, { bigint: nanoseconds });
}

function timeoutSignal(virtual: VirtualTimers, milliseconds: number): AbortSignal {
  if (!(milliseconds >= 0 && milliseconds <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`milliseconds ${String(milliseconds)} is not from 0 to 2^53-1`);
  }
  const controller = new AbortController();
  const expire = (): void => {
    controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
  };
  const timeout: VirtualTimeout = virtual.timeout(expire, milliseconds, []);
  timeout.unref();
  return controller.signal;
}

type NodeCallback = (callback: (error: null, value: unknown) => void, error: null, value: unknown) => void;

/** The random functions of Web Crypto and of `node:crypto`, by name. */
function randomFunctions(random: SeededRandom, later: NodeCallback): Record<string, unknown> {
  const getRandomValues = <T extends ArrayBufferView>(view: T): T => {
    if (view.byteLength > 65_536) throw new DOMException("more than 65536 bytes", "QuotaExceededError");
    random.fill(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    return view;
  };
  const randomUUID = (): string => {
    const bytes = new Uint8Array(16);
    random.fill(bytes);
    // RFC 9562 §5.4: version 4, variant 10.
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const hex = Array.from(bytes, (value) => value.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  };
  const randomBytes = (size: number, callback?: (error: null, value: unknown) => void): Buffer | undefined => {
    const bytes = Buffer.alloc(size);
    random.fill(bytes);
    if (callback === undefined) return bytes;
    later(callback, null, bytes);
    return undefined;
  };
  const randomFillSync = <T extends ArrayBufferView>(view: T, offset = 0, size = view.byteLength - offset): T => {
    random.fill(new Uint8Array(view.buffer, view.byteOffset + offset, size));
    return view;
  };
  const randomInt = (...args: unknown[]): number | undefined => {
    const callback = typeof args.at(-1) === "function" ? args.pop() : undefined;
    const least = args.length > 1 ? Number(args[0]) : 0;
    const value = least + Math.floor(random.unit() * (Number(args.at(-1)) - least));
    if (callback === undefined) return value;
    // as: checked to be a function, and documented to be a Node callback
    later(callback as (error: null, value: unknown) => void, null, value);
    return undefined;
  };
  return { getRandomValues, randomUUID, randomBytes, randomFillSync, randomInt };
}

/** Replacements that run the original and have virtual time wait for it. */
function waited(external: ExternalWork): Replacement[] {
  const list: Replacement[] = [];
  const wrap = (target: object, holder: object, name: string): void => {
    const original: unknown = Reflect.get(holder, name);
    if (typeof original !== "function") return;
    list.push([
      target,
      name,
      function (this: unknown, ...args: unknown[]): unknown {
        return external.track(Promise.resolve(Reflect.apply(original, this, args)));
      },
    ]);
  };
  const subtle = crypto.subtle;
  const operations = ["digest", "encrypt", "decrypt", "sign", "verify", "deriveBits", "deriveKey", "importKey"];
  for (const name of [...operations, "exportKey", "generateKey", "wrapKey", "unwrapKey"]) wrap(subtle, subtle, name);
  for (const name of ["compile", "instantiate"]) wrap(WebAssembly, WebAssembly, name);
  const blob = Blob.prototype;
  for (const name of ["arrayBuffer", "text", "bytes"]) wrap(blob, blob, name);
  const stream = Reflect.get<Blob, "stream">(blob, "stream");
  list.push([
    blob,
    "stream",
    function (this: Blob): ReadableStream<Uint8Array<ArrayBuffer>> {
      const reader = stream.call(this).getReader();
      return new ReadableStream({
        type: "bytes",
        async pull(controller: ReadableByteStreamController): Promise<void> {
          const { done, value } = await external.track(reader.read());
          if (!done) {
            controller.enqueue(value);
            return;
          }
          controller.close();
          controller.byobRequest?.respond(0);
        },
        cancel: (reason: unknown) => reader.cancel(reason),
      });
    },
  ]);
  return list;
}
