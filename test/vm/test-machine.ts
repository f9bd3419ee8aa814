// Images of the vm target for tests: built once, booted in QEMU.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { buildImage } from "@tesserae/cli/build";
import type { MachineImage } from "@tesserae/cli/machine-image";
import { openProject } from "@tesserae/cli/project";
import { findAccelerator } from "@tesserae/qemu/accelerator";
import type { MachineOptions, MachineType } from "@tesserae/qemu/arguments";
import { findQemu } from "@tesserae/qemu/find";
import { launch, type Machine } from "@tesserae/qemu/launch";
import { placeForwards, type PlacedForward } from "@tesserae/qemu/network";
import { userCache } from "@tesserae/vm-image/node-runtime";
import { skipping } from "../programs.ts";

const root = path.resolve(import.meta.dirname, "../..");

/** Where compiled kernels are kept: with those of the command, so that one is compiled once. */
export const kernelCache = path.join(userCache(), "kernel");

/** Milliseconds that a test with a machine may take: generous, as emulation on a busy host is slow. */
export const patience = 300_000;

/**
 * Why no machine can be run here, in words; `undefined` when one can.
 *
 * @throws Error in CI, where nothing is skipped for want of a program.
 */
export function vmUnavailable(): string | undefined {
  try {
    findQemu();
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return skipping(reason, error);
  }
}

/** An application built for the vm target. */
export interface BuiltMachine {
  readonly name: string;
  readonly files: MachineImage;
}

const built = new Map<string, Promise<BuiltMachine>>();

/**
 * Builds an application for the vm target, once for all tests of a file; types are checked elsewhere.
 *
 * @param folder of the application, relative to the root: `examples/www`
 * @param image build-time keys: `["--limit", "5"]`
 * @param target the other one of which a machine is made
 */
export function buildForVm(
  folder: string,
  image: readonly string[] = [],
  target: "vm" | "xen" = "vm",
): Promise<BuiltMachine> {
  const key = JSON.stringify([folder, image, target]);
  let build = built.get(key);
  if (build === undefined) {
    build = underLock(folder, async () => {
      const { name, machine } = await buildImage({
        project: openProject(path.join(root, folder)),
        target,
        release: false,
        check: false,
        image,
        strict: true,
        machine: { formats: ["direct"], node: undefined, sysroot: undefined, icu: undefined },
        progress: () => undefined,
      });
      if (machine === undefined) throw new Error(`${folder}: nothing was built for a machine`);
      return { name, files: machine };
    });
    built.set(key, build);
  }
  return build;
}

/** What a test wants other than usual of a machine. */
export interface TestMachineOptions {
  /** The boot command line. Default: empty. */
  readonly commandLine?: string;
  /** MiB. Default 256. */
  readonly memory?: number;
  /** Default q35. */
  readonly machine?: MachineType;
  /** Ports of the guest to forward from free ports of this host, on the one network card; see {@link TestMachine.port}. */
  readonly forward?: readonly number[];
  /** Network cards, in place of the one with the forwarded ports. */
  readonly networks?: MachineOptions["networks"];
  /** Files of raw sectors. */
  readonly blocks?: readonly string[];
  readonly pcap?: string;
  /** More arguments for QEMU. */
  readonly more?: readonly string[];
  /** In place of the files that were built. */
  readonly kernel?: string;
  readonly image?: string;
}

/** A machine in QEMU. Whoever starts one ends it: {@link TestMachine.powerOff}, {@link TestMachine.kill} or by itself. */
export class TestMachine {
  /** What it wrote on its console so far. */
  output = "";
  readonly #machine: Machine;
  readonly #forwards: readonly PlacedForward[];
  #wake: () => void = () => undefined;
  #over = false;

  private constructor(options: Omit<Parameters<typeof launch>[0], "onConsole">, forwards: readonly PlacedForward[]) {
    this.#forwards = forwards;
    this.#machine = launch({
      ...options,
      onConsole: (text) => {
        this.output += text;
        this.#wake();
      },
    });
    const over = (): void => {
      this.#over = true;
      this.#wake();
    };
    this.#machine.exited.then(over, over);
  }

  static async start(app: BuiltMachine, options: TestMachineOptions = {}): Promise<TestMachine> {
    const { forward = [], networks, blocks = [], more, pcap, memory = 256, machine = "q35" } = options;
    const qemu = findQemu();
    const wanted = forward.map((guestPort) => ({ address: "127.0.0.1", hostPort: 0, guestPort }));
    const forwards = await placeForwards(wanted, true);
    return new TestMachine(
      {
        qemu,
        ...(await findAccelerator(qemu)),
        boot: {
          kernel: options.kernel ?? app.files.kernel,
          image: options.image ?? app.files.image,
          commandLine: options.commandLine ?? "",
        },
        memory: memory * 2 ** 20,
        machine,
        networks: networks ?? [{ kind: "user", forwards }],
        blocks: blocks.map((file) => ({ file, readOnly: false })),
        pcap,
        more,
      },
      forwards,
    );
  }

  /** Runs it to its end: the status that the image ended with, and what it wrote. */
  static async run(
    app: BuiltMachine,
    options: TestMachineOptions = {},
  ): Promise<{ readonly status: number; readonly output: string }> {
    const machine = await TestMachine.start(app, options);
    const status = await machine.exited;
    return { status, output: machine.output };
  }

  /** The status that the image ends with. @throws MachineError (rejects) when the machine ended without one. */
  get exited(): Promise<number> {
    return this.#machine.exited;
  }

  /** The machine as tool/qemu has it: its process, its control connection. */
  get machine(): Machine {
    return this.#machine;
  }

  /** The port of this host's 127.0.0.1 that leads to a port of the guest. */
  port(guestPort: number): number {
    const found = this.#forwards.find((each) => each.guestPort === guestPort);
    if (found === undefined) throw new Error(`port ${String(guestPort)} is not forwarded`);
    return found.hostPort;
  }

  /**
   * Waits until the console has the words.
   *
   * @param since how much of the output they are not looked for in. Default 0
   * @throws Error (rejects), with all it wrote, when the machine ends before.
   */
  async waitFor(words: string | RegExp, since = 0): Promise<void> {
    const found = (): boolean =>
      typeof words === "string" ? this.output.includes(words, since) : words.test(this.output.slice(since));
    while (!found()) {
      if (this.#over) throw new Error(`the machine ended, and never wrote ${String(words)}:\n${this.output}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Types on the console. */
  write(text: string): void {
    this.#machine.write(text);
  }

  /** Presses the power button and gives the status that the image ends with. */
  async powerOff(): Promise<number> {
    await this.#machine.powerButton();
    return this.exited;
  }

  /** Ends it at once, unless it is over. */
  async kill(): Promise<void> {
    this.#machine.kill();
    await this.exited.catch(() => undefined);
  }
}

/** Two files of tests may build one application at the same time, in two processes: one after the other, then. */
async function underLock<T>(folder: string, act: () => Promise<T>): Promise<T> {
  const lock = path.join(root, "node_modules/.cache", `vm-build-${folder.replaceAll(/[^a-z0-9]+/gi, "-")}`);
  const owner = path.join(lock, "owner");
  mkdirSync(path.dirname(lock), { recursive: true });
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      if (!isAlive(owner)) rmSync(lock, { recursive: true, force: true });
      else await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  writeFileSync(owner, String(process.pid));
  try {
    return await act();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/** Whether the process that holds a lock still runs; one that has not said yet who it is does. */
function isAlive(owner: string): boolean {
  try {
    const pid = Number(readFileSync(owner, "utf8"));
    if (pid > 0) process.kill(pid, 0);
    return true;
  } catch (error) {
    // as: what the system refuses has a code.
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}
