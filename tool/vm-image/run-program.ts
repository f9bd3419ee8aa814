import { spawn } from "node:child_process";

/** What became of a program. */
export interface Ran {
  /** Its exit status; `undefined` when it could not be started, or a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** The system's code when it could not be started: `ENOENT`. */
  readonly refused?: string;
}

/** Runs a program to its end. Never rejects. */
export function runProgram(
  program: string,
  argv: readonly string[],
  options: { readonly folder?: string; readonly environment?: Readonly<Record<string, string>> } = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    let stdout = "";
    let stderr = "";
    const child = spawn(program, argv, {
      cwd: options.folder,
      env: { ...process.env, ...options.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", (error: NodeJS.ErrnoException) => {
      resolve({ status: undefined, stdout, stderr, refused: error.code ?? error.message });
    });
    child.once("close", (status) => resolve({ status: status ?? undefined, stdout, stderr }));
  });
}

/** Calls `work` for every item, `width` at a time; results in the items' order. Rejects with the first failure. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results = new Array<R>(items.length);
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
