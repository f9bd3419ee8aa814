import { Socket } from "node:net";
import process from "node:process";
import { MachineError } from "@tesserae/qemu/failure";
import type { DiskFile } from "@tesserae/qemu/arguments";
import { ImageFailure } from "@tesserae/vm-image/image-failure";
import { XenHostError } from "@tesserae/xen-host/failure";
import type { XenGuest } from "@tesserae/xen-host/guest";
import { XenHost } from "@tesserae/xen-host/host";
import type { Built } from "./build.ts";
import { interrupted, killed, type RunningImage } from "./child.ts";
import { ConsoleOutput } from "./console-output.ts";
import { failure } from "./failure.ts";
import { forwardedPorts } from "./forwarded-ports.ts";
import type { MachineImage } from "./machine-image.ts";
import type { Terminal } from "./terminal.ts";
import { TraceMapper } from "./trace-mapper.ts";
import type { XenFlags } from "./xen-flags.ts";
import { interfacesOf, xenGuest } from "./xen-guest-config.ts";

/** MiB of the emulated host beside the guest's: dom0's, and what Xen itself takes. */
const dom0Memory = 320;
const xenMemory = 192;
/** Where kernel, image and disks are in dom0. */
const files = { kernel: "/root/kernel.elf", image: "/root/image.bin" } as const;
/** Milliseconds that a guest has to end before it is asked again, and between two times. */
const askAgain = 60_000;
const pause = 2_000;
const diskAt = (index: number): string => `/root/disk${String(index)}`;

export interface EmulatedGuest {
  readonly machine: MachineImage;
  readonly flags: XenFlags;
  readonly words: readonly string[];
  readonly disks: readonly DiskFile[];
}

/**
 * Boots Xen in QEMU and creates the image as its guest.
 *
 * @throws Failure when QEMU or Debian's packages are missing, or something does not come up.
 */
export async function startEmulated(
  { name, graph, map, image }: Built,
  { machine, flags, words, disks }: EmulatedGuest,
  terminal: Terminal,
): Promise<RunningImage> {
  try {
    const config = xenGuest(name, graph, machine, {
      flags,
      words,
      files,
      disks: disks.map(({ readOnly }, index) => ({ file: diskAt(index), readOnly })),
    });
    const ports = interfacesOf(graph).length === 0 ? [] : await forwardedPorts(graph, flags.forward, words, terminal);
    const given = disks.map((disk, index) => [diskAt(index), disk] as const);
    const host = await XenHost.start({
      memory: config.memory + dom0Memory + xenMemory,
      dom0Memory,
      files: { [files.kernel]: machine.kernel, [files.image]: machine.image, ...Object.fromEntries(given) },
      forwards: ports.map((port) => ({ ...port })),
      pcap: flags.pcap,
      onProgress: (text) => terminal.progress(`${text} …`),
    });
    try {
      terminal.progress("creating the guest …");
      const guest = await host.createGuest(config);
      return new EmulatedImage(host, guest, new ConsoleOutput(new TraceMapper(map, image), terminal));
    } catch (error) {
      await host.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof ImageFailure || error instanceof MachineError) throw failure(error.message, error.fix);
    throw error instanceof XenHostError ? failure(error.message) : error;
  }
}

class EmulatedImage implements RunningImage {
  readonly ended: Promise<number>;
  readonly apart = true;
  readonly #host: XenHost;
  readonly #guest: XenGuest;
  #asked = false;
  #isOver = false;
  #killedWith: number | undefined;

  constructor(host: XenHost, guest: XenGuest, output: ConsoleOutput) {
    this.#host = host;
    this.#guest = guest;
    let typed = Promise.resolve();
    // One after the other, or they come in another order. Typing into a guest that is gone is no mistake of ours.
    const type = (bytes: Buffer): void => {
      typed = typed.then(() => guest.type(bytes.toString())).catch(() => undefined);
    };
    process.stdin.on("data", type);
    if (process.stdin instanceof Socket) process.stdin.unref();
    guest.onConsole((text) => output.take(text));
    this.ended = this.#end(() => {
      this.#isOver = true;
      output.end();
      process.stdin.off("data", type);
      process.stdin.pause();
    });
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#asked) this.#shutdown();
    else this.#kill(name === "SIGINT" ? interrupted : killed);
  }

  async stop(patience: number): Promise<void> {
    this.#shutdown();
    const timer = setTimeout(() => this.#kill(killed), patience);
    await this.ended.catch(() => 0);
    clearTimeout(timer);
  }

  async #end(over: () => void): Promise<number> {
    try {
      const status = await this.#guest.ended;
      if (status !== undefined) return status;
      if (this.#killedWith !== undefined) return this.#killedWith;
      throw failure("the guest ended without a word");
    } catch (error) {
      if (this.#killedWith !== undefined) return this.#killedWith;
      throw error instanceof XenHostError ? failure(error.message) : error;
    } finally {
      over();
      await this.#host.close();
    }
  }

  #shutdown(): void {
    if (this.#asked) return;
    this.#asked = true;
    void this.#keepAsking();
  }

  /**
   * Asks it to shut down until it is gone: on a busy machine dom0 may be too slow to pass the first one on. How the guest
   * ends is told by its console; one that does not listen is ended by a second signal.
   */
  async #keepAsking(): Promise<void> {
    while (!this.#isOver) {
      await this.#guest.shutdown(askAgain).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, pause).unref());
    }
  }

  #kill(status: number): void {
    this.#killedWith ??= status;
    void this.#host.close();
  }
}
