// Runs small images as processes of their own, as `tesserae run` would.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "../..");

/** A bundle in a folder of its own. */
export interface Bundle {
  readonly file: string;
  remove(): Promise<void>;
}

/** Bundles the source of an entry module, which may import every package of the project. */
export async function bundle(source: string): Promise<Bundle> {
  // Beside the packages, so that what stays outside of the bundle is found.
  const folder = mkdtempSync(join(root, "node_modules", ".tesserae-test-"));
  const file = join(folder, "image.mjs");
  await build({
    stdin: { contents: source, resolveDir: root, loader: "ts" },
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["tesserae-source"],
    external: ["koffi"],
    logLevel: "error",
  });
  return { file, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A process under way, and what it wrote so far. */
export class Running {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";

  /** @param inherited descriptors that it gets, as 3, 4 and so on @param environment beside ours */
  constructor(
    command: readonly string[],
    inherited: readonly number[] = [],
    environment: Readonly<Record<string, string>> = {},
  ) {
    const [program = "", ...args] = command;
    const env = { ...process.env, ...environment };
    this.child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe", ...inherited], cwd: tmpdir(), env });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
  }

  /** Waits until stdout or stderr contains `text`. @throws Error (rejects) when the process ends before. */
  async says(text: string): Promise<void> {
    while (!(this.stdout + this.stderr).includes(text)) {
      if (this.child.exitCode !== null) throw new Error(`ended without "${text}": ${this.stdout}${this.stderr}`);
      await new Promise((resolve) => void setTimeout(resolve, 10));
    }
  }

  /** The exit status; −1 when a signal ended it. */
  async ended(): Promise<number> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "close");
    return this.child.exitCode ?? -1;
  }
}
