import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { Socket } from "node:net";
import path from "node:path";
import process from "node:process";
import { SerialText } from "@tesserae/qemu/serial";
import { xlConfig } from "@tesserae/vm-image/formats/xl-config";
import { ImageFailure } from "@tesserae/vm-image/image-failure";
import { replaceFile } from "@tesserae/vm-image/replace-file";
import type { Built } from "./build.ts";
import { interrupted, killed, type RunningImage } from "./child.ts";
import { ConsoleOutput } from "./console-output.ts";
import { diskFiles } from "./disk-files.ts";
import { failure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";
import { TraceMapper } from "./trace-mapper.ts";
import { readXenFlags } from "./xen-flags.ts";
import { xenGuest, xenWords } from "./xen-guest-config.ts";

/**
 * Creates the image as a guest of this machine's Xen, with its console on standard output and input; with `--emulate` of
 * a Xen in QEMU.
 *
 * @throws Failure when it cannot be started.
 */
export async function startXen(built: Built, terminal: Terminal): Promise<RunningImage> {
  const { machine, graph } = built;
  if (machine === undefined) throw new TypeError("nothing was built for a machine");
  const { flags, image } = readXenFlags(built.rest);
  const words = xenWords(image, graph);
  const disks = diskFiles(graph, flags.block);
  try {
    if (flags.emulate) {
      const { startEmulated } = await import("./xen-emulate.ts");
      return await startEmulated(built, { machine, flags, words, disks }, terminal);
    }
    const xl = findXl();
    // Another guest may have the application's name.
    const name = `${built.name}-${String(process.pid)}`;
    const config = xenGuest(name, graph, machine, { flags, words, files: machine, disks });
    const file = path.join(path.dirname(machine.image), `${name}.xl`);
    replaceFile(file, xlConfig(config));
    return new RunningGuest(xl, { name, file }, new ConsoleOutput(new TraceMapper(built.map, built.image), terminal));
  } catch (error) {
    throw error instanceof ImageFailure ? failure(error.message, error.fix) : error;
  }
}

/**
 * Makes sure that an image can be started, before it is built.
 *
 * @returns whether it takes QEMU.
 * @throws Failure naming what is missing, and `--emulate`.
 */
export function checkXen(image: readonly string[]): boolean {
  const { emulate } = readXenFlags(image).flags;
  if (!emulate) findXl();
  return emulate;
}

/**
 * The toolstack's program.
 *
 * @param capabilities the kernel's file that says what this domain may do
 * @throws Failure where there is no Xen, or this is a guest of one.
 */
export function findXl(
  capabilities = "/proc/xen/capabilities",
  folders = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`,
): string {
  const emulate = "--emulate runs a whole Xen in QEMU";
  const said = textOf(capabilities);
  if (said === undefined) throw failure("this machine does not run on Xen", emulate);
  if (!said.split(/\s+/).includes("control_d")) {
    throw failure("this is a guest of Xen's, and only its host can start others", `run it there; or here: ${emulate}`);
  }
  for (const folder of folders.split(":")) {
    try {
      const file = path.join(folder, "xl");
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  throw failure('there is a Xen here, and no "xl" to ask it', "run: apt-get install xen-utils; or give --emulate");
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // No Xen, or its file system is not mounted.
    return undefined;
  }
}

/** A guest that xl creates and whose console it is attached to. */
export class RunningGuest implements RunningImage {
  readonly ended: Promise<number>;
  readonly apart = true;
  readonly #xl: string;
  readonly #name: string;
  #asked = false;
  #killedWith: number | undefined;

  constructor(xl: string, { name, file }: { readonly name: string; readonly file: string }, output: ConsoleOutput) {
    this.#xl = xl;
    this.#name = name;
    // In a process group of its own: a Ctrl-C on the terminal is for us. Not a terminal, or xl would keep it for itself.
    const child = spawn(xl, ["create", "-c", file], { stdio: ["pipe", "pipe", "pipe"], detached: true });
    const serial = new SerialText();
    let said = "";
    child.stdout.on("data", (chunk: Uint8Array) => output.take(serial.take(chunk)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-8192)));
    child.stdin.on("error", () => undefined);
    const type = (bytes: Buffer): void => void child.stdin.write(bytes);
    process.stdin.on("data", type);
    if (process.stdin instanceof Socket) process.stdin.unref();
    this.ended = new Promise((resolve, reject) => {
      child.once("error", (error) => reject(failure(`xl cannot be started: ${error.message}`)));
      child.once("close", (status) => {
        output.take(serial.end());
        output.end();
        process.stdin.off("data", type);
        process.stdin.pause();
        if (serial.status !== undefined) resolve(serial.status);
        else if (this.#killedWith !== undefined) resolve(this.#killedWith);
        else reject(endedWithout(status, said));
      });
    });
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#asked) this.#shutdown();
    else this.#destroy(name === "SIGINT" ? interrupted : killed);
  }

  async stop(patience: number): Promise<void> {
    this.#shutdown();
    const timer = setTimeout(() => this.#destroy(killed), patience);
    await this.ended.catch(() => 0);
    clearTimeout(timer);
  }

  #shutdown(): void {
    this.#asked = true;
    // It waits for the guest to notice; how the guest ends is told on its console.
    const child = spawn(this.#xl, ["shutdown", this.#name], { stdio: "ignore" });
    child.once("error", () => this.#destroy(killed));
  }

  #destroy(status: number): void {
    this.#killedWith ??= status;
    spawnSync(this.#xl, ["destroy", this.#name], { stdio: "ignore", timeout: 60_000 });
  }
}

function endedWithout(status: number | null, said: string): Error {
  const lines = said.trim().split("\n");
  const why = lines.find((line) => /error|fail|cannot/i.test(line)) ?? lines.at(-1) ?? "";
  return failure(
    status === 0 ? "the guest ended without a word" : `xl: ${why === "" ? `status ${String(status)}` : why}`,
  );
}
