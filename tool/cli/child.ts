import { spawn, type ChildProcess } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";

/** Statuses of an image that had to be killed: by us, or by whoever pressed Ctrl-C twice. */
export const killed = 137;
export const interrupted = 130;

/** A running image. */
export interface RunningImage {
  /** Its exit status; 128 and the number of the signal when one ended it. */
  readonly ended: Promise<number>;
  /** Asks it to stop; after `patience` milliseconds it is killed. */
  stop(patience: number): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Whether a Ctrl-C on the terminal does not reach it by itself. */
  readonly apart?: boolean;
}

/** Starts an image in a process of its own, with this one's input and output. */
export function startImage(image: string, argv: readonly string[]): RunningImage {
  const child: ChildProcess = spawn(process.execPath, ["--enable-source-maps", image, ...argv], { stdio: "inherit" });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
  return {
    ended,
    async stop(patience) {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), patience);
      await ended.catch(() => 0);
      clearTimeout(timer);
    },
    signal: (name) => void child.kill(name),
  };
}

/**
 * Passes this process's signals on to an image until the function returned is called.
 *
 * A Ctrl-C on a terminal reaches the image without us, as it is in the same process group: passing it on would count
 * as a second one.
 */
export function forwardSignals(image: () => RunningImage | undefined, then?: () => void): () => void {
  const terminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const forward = (name: NodeJS.Signals): void => {
    const running = image();
    if (name !== "SIGINT" || !terminal || running?.apart === true) running?.signal(name);
    then?.();
  };
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, forward);
  return () => {
    for (const name of names) process.off(name, forward);
  };
}
