import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "../..");
const tool = path.join(root, "tool/cli/bin/tesserae.js");

/** An image started by the `tesserae` command, as a user starts it. */
export class LaunchedImage {
  readonly process: ChildProcess;
  /** What it wrote so far, standard output and error together. */
  output = "";
  readonly #ended: Promise<number | null>;

  private constructor(command: readonly string[]) {
    const [program = "", ...args] = command;
    this.process = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    }
    this.#ended = new Promise((resolve) => this.process.once("close", resolve));
  }

  /**
   * Runs `tesserae run EXAMPLE …` and waits until it has written `ready`. Types are checked elsewhere.
   *
   * @param within the namespace to run in
   * @param patience tenths of a second
   */
  static async start(args: readonly string[], ready: string, within?: string, patience = 600): Promise<LaunchedImage> {
    const prefix = within === undefined ? [] : ["ip", "netns", "exec", within];
    const image = new LaunchedImage([...prefix, process.execPath, tool, "run", "--no-check", ...args]);
    for (let tries = 0; tries < patience && image.process.exitCode === null; tries++) {
      if (image.output.includes(ready)) return image;
      await pause(100);
    }
    image.process.kill("SIGKILL");
    throw new Error(`tesserae run ${args.join(" ")}: never wrote "${ready}":\n${image.output}`);
  }

  /** Runs it to its end and gives its status and what it wrote. */
  static run(args: readonly string[], within?: string): { status: number | null; stdout: string; stderr: string } {
    const command = [...(within === undefined ? [] : ["ip", "netns", "exec", within]), process.execPath, tool, ...args];
    const [program = "", ...rest] = command;
    return spawnSync(program, rest, { cwd: root, encoding: "utf8", timeout: 300_000 });
  }

  /** The process that runs the image itself, not the command that built and started it. */
  get imagePid(): number {
    const { stdout } = spawnSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8", maxBuffer: 1e8 });
    for (const line of stdout.split("\n")) {
      const [, pid, parent, args = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
      if (Number(parent) === this.process.pid && args.includes("/.tesserae/")) return Number(pid);
    }
    throw new Error("the image is not running");
  }

  /** Resident memory of the image, in bytes. */
  get memory(): number {
    const { stdout } = spawnSync("ps", ["-o", "rss=", "-p", String(this.imagePid)], { encoding: "utf8" });
    return Number(stdout.trim()) * 1024;
  }

  /** Stops it as Ctrl-C does and gives its exit status. */
  async stop(): Promise<number | null> {
    this.process.kill("SIGINT");
    return this.#ended;
  }

  kill(): void {
    this.process.kill("SIGKILL");
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
