import { Buffer } from "node:buffer";
import { connect } from "node:net";
import type { Readable } from "node:stream";
import { XenHostError } from "./failure.ts";

/** What a command in dom0 did. */
export interface Ran {
  /** The exit status of the shell: 0 to 255. */
  readonly status: number;
  /** Standard output and standard error. */
  readonly output: Buffer;
}

export interface RunOptions {
  /** What the command finds on its standard input. Default: nothing. */
  readonly input?: Uint8Array | Readable;
  /** Milliseconds. Default: 120,000; machines that share a processor with others are slow. */
  readonly timeout?: number;
  /** Gets output as it comes. Must not throw. Output is collected nevertheless, up to {@link mostOutput} bytes. */
  readonly onOutput?: (bytes: Buffer) => void;
  /** Ends the connection; what the command does then is up to it: the next output fails. */
  readonly signal?: AbortSignal;
}

const usualTimeout = 120_000;
/** Milliseconds for {@link lookAround}, at most, and as a multiple of what the command had. */
const lookTimeout = 10_000;
const lookTimes = 4;
/**
 * What is looked at when a command does not end: dom0's programs, what each waits for, the thread of the kernel that
 * speaks with a xenstore in a domain, and the domains.
 */
const lookAround = `cd /proc; for each in [0-9]*; do name=$(tr '\\0' ' ' < $each/cmdline)
[ -z "$name" ] || echo "$each $name: $(cat $each/wchan)"; done 2>/dev/null
echo xenbus: $(cat $(pidof xenbus)/stack); xl list`;
/** Bytes of output that are collected of one command; of what is more the beginning goes. */
const mostOutput = 512 * 2 ** 20;
const recordSeparator = 0x1e;
/** What comes behind the output: the status. */
const trailer = new RegExp(`${String.fromCharCode(recordSeparator)}(\\d{1,3})\n$`);
const longestTrailer = 5;

/** Where the agent is, as seen from here, and what it wants to hear. */
export interface AgentPlace {
  readonly port: number;
  readonly secret: string;
}

/**
 * Runs a shell script in dom0.
 *
 * @throws XenHostError (rejects) when there is no answer in time, with what dom0 does instead, or the connection ends
 * without one.
 */
export function runInDom0(place: AgentPlace, script: string, options: RunOptions = {}): Promise<Ran> {
  const { timeout = usualTimeout } = options;
  return exchange(place, script, { ...options, timeout }, async () => {
    const bound = Math.min(lookTimeout, lookTimes * timeout);
    const seen = exchange(place, lookAround, { timeout: bound }, () => Promise.resolve(""));
    return seen.then(
      ({ output }) => output.toString("utf8"),
      (error: unknown) => (error instanceof XenHostError ? error.output : String(error)),
    );
  });
}

/** @param look finds out what is behind it when there is no answer in time */
function exchange(
  place: AgentPlace,
  script: string,
  options: RunOptions & { readonly timeout: number },
  look: () => Promise<string>,
): Promise<Ran> {
  const { input, timeout, onOutput, signal } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: place.port });
    const chunks: Buffer[] = [];
    let size = 0;
    // The status may begin in what came last, and is not for onOutput: that much is held back.
    let held = Buffer.alloc(0);
    const fail = (why: string, seen = ""): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      socket.destroy();
      const said = Buffer.concat([...chunks, held]).toString("utf8");
      reject(new XenHostError(`dom0: ${summary(script)}: ${why}`, `${said.trim()}\n${seen.trim()}`.trim()));
    };
    const abort = (): void => fail("it was given up");
    const timer = setTimeout(() => {
      void look().then((seen) => fail(`no end after ${String(timeout / 1000)} s`, seen));
    }, timeout);
    const give = (bytes: Buffer): void => {
      if (bytes.length === 0) return;
      onOutput?.(bytes);
      chunks.push(bytes);
      size += bytes.length;
      while (size > mostOutput) size -= chunks.shift()?.length ?? size;
    };
    socket.on("data", (chunk: Buffer) => {
      const all = Buffer.concat([held, chunk]);
      const tail = Math.max(0, all.length - longestTrailer);
      const separator = all.indexOf(recordSeparator, tail);
      const end = separator < 0 ? all.length : separator;
      give(all.subarray(0, end));
      held = all.subarray(end);
    });
    socket.once("error", (error) => fail(error.message));
    socket.once("end", () => {
      const text = held.toString("latin1");
      const match = trailer.exec(text);
      if (match === null) {
        fail("the connection ended before the command did");
        return;
      }
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      give(held.subarray(0, match.index));
      socket.destroy();
      resolve({ status: Number(match[1]), output: Buffer.concat(chunks) });
    });
    if (signal?.aborted === true) {
      abort();
      return;
    }
    signal?.addEventListener("abort", abort);
    socket.write(`${place.secret}\n${Buffer.from(script).toString("base64")}\n`);
    if (input === undefined || input instanceof Uint8Array) socket.end(input ?? Buffer.alloc(0));
    else {
      input.once("error", (error) => fail(error.message));
      input.pipe(socket);
    }
  });
}

/** The first line of a script, for errors. */
export function summary(script: string): string {
  const lines = script.trim().split("\n");
  const first = lines[0] ?? "";
  return lines.length > 1 || first.length > 100 ? `${first.slice(0, 100)} …` : first;
}

/** A word for the shell. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
