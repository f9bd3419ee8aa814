import { statSync } from "node:fs";
import { Socket } from "node:net";
import process from "node:process";
import type { Graph } from "@tesserae/config/graph";
import { targets } from "@tesserae/config/target";
import { findAccelerator, type Acceleration } from "@tesserae/qemu/accelerator";
import { MachineError } from "@tesserae/qemu/failure";
import { findQemu } from "@tesserae/qemu/find";
import { launch, type Machine } from "@tesserae/qemu/launch";
import type { Network } from "@tesserae/qemu/network";
import { prepareTap } from "@tesserae/qemu/tap";
import { quoteWord } from "@tesserae/vm/command-line";
import type { Built } from "./build.ts";
import { interrupted, killed, type RunningImage } from "./child.ts";
import { ConsoleOutput } from "./console-output.ts";
import { diskFiles } from "./disk-files.ts";
import { failure } from "./failure.ts";
import { forwardedPorts } from "./forwarded-ports.ts";
import { requireMemory } from "./least-memory.ts";
import { readMachineFlags, toWords, valueOfWord, type MachineFlags } from "./machine-flags.ts";
import { TraceMapper } from "./trace-mapper.ts";
import type { Terminal } from "./terminal.ts";

/** How the host's side of a tap device is by default, and ours, as on the tap target. */
const tapDefaults = { hostAddress: "10.0.0.1/24", ipv4: "10.0.0.2/24 via 10.0.0.1" } as const;
/** Milliseconds between two presses of the power button: the image takes those less than 3 s apart for one. */
const pressAgain = 500;

/**
 * Boots the image in a machine of QEMU's, with its console on standard output and input.
 *
 * @throws Failure when it cannot be started.
 */
export async function startMachine(built: Built, terminal: Terminal): Promise<RunningImage> {
  const { machine: files, graph } = built;
  if (files === undefined) throw new TypeError("nothing was built for a machine");
  try {
    const { flags, image } = readMachineFlags(built.rest);
    const words = [...toWords(image, graph.keys, bootFlags())];
    const mapped = flags.imageIn === "nvdimm" ? statSync(files.image).size : undefined;
    requireMemory(flags.memory, mapped === undefined ? files.bytes : 0);
    const qemu = findQemu();
    const { accelerator, reason }: Acceleration =
      flags.accelerator === undefined ? await findAccelerator(qemu) : { accelerator: flags.accelerator };
    if (reason !== undefined) terminal.note(`no hardware acceleration, QEMU emulates: ${reason}`);
    const networks = await connect(graph, flags, words, terminal);
    const blocks = diskFiles(graph, flags.block);
    if (flags.gdb !== undefined) {
      terminal.error(
        `waiting for a debugger: gdb ${files.kernel} -ex "target remote 127.0.0.1:${String(flags.gdb)}" -ex continue`,
      );
    }
    const output = new ConsoleOutput(new TraceMapper(built.map, built.image), terminal);
    const machine = launch({
      qemu,
      boot: { kernel: files.kernel, image: files.image, mapped, commandLine: words.map(quoteWord).join(" ") },
      memory: flags.memory,
      machine: flags.machine,
      accelerator,
      networks,
      blocks,
      pcap: flags.pcap,
      gdb: flags.gdb,
      onConsole: (text) => output.take(text),
    });
    return new RunningMachine(machine, output);
  } catch (error) {
    throw error instanceof MachineError ? failure(error.message, error.fix) : error;
  }
}

/** What stands for their values of the words that are the boot's own. */
function bootFlags(): Readonly<Record<string, string>> {
  return targets.find((target) => target.name === "vm")?.flags ?? {};
}

/** One card for each interface of the image; the first one on the tap device given, or with the forwarded ports. */
async function connect(graph: Graph, flags: MachineFlags, words: string[], terminal: Terminal): Promise<Network[]> {
  const cards = graph.devices.filter((each) => each.kind === "netif" && each.implementation.module === undefined);
  const networks: Network[] = [];
  for (const [index] of cards.entries()) {
    if (index > 0) networks.push({ kind: "user", forwards: [] });
    else if (flags.tap !== undefined) {
      prepareTap({ name: flags.tap, hostAddress: flags.hostAddress ?? tapDefaults.hostAddress });
      const addressed = ["ipv4", "dhcp", "gateway"].some((name) => valueOfWord(words, name) !== undefined);
      const usual = flags.hostAddress === undefined || flags.hostAddress === tapDefaults.hostAddress;
      if (!addressed && usual) words.push(`ipv4=${tapDefaults.ipv4}`);
      networks.push({ kind: "tap", name: flags.tap });
    } else networks.push({ kind: "user", forwards: await forwardedPorts(graph, flags.forward, words, terminal) });
  }
  if (cards.length > 0) return networks;
  for (const name of ["tap", "forward", "pcap"] as const) {
    const value = flags[name];
    if (value !== undefined && value.length > 0) throw failure(`--${name}: this image has no network interface`);
  }
  return [];
}

class RunningMachine implements RunningImage {
  readonly ended: Promise<number>;
  readonly apart = true;
  readonly #machine: Machine;
  readonly #type: (bytes: Buffer) => void;
  #pressing: NodeJS.Timeout | undefined;
  #killedWith: number | undefined;

  constructor(machine: Machine, output: ConsoleOutput) {
    this.#machine = machine;
    this.#type = (bytes) => machine.write(bytes.toString());
    process.stdin.on("data", this.#type);
    // What is typed is passed on while there is a machine; an open terminal alone keeps nothing alive.
    if (process.stdin instanceof Socket) process.stdin.unref();
    const over = (): void => {
      clearInterval(this.#pressing);
      output.end();
      process.stdin.off("data", this.#type);
      process.stdin.pause();
    };
    this.ended = machine.exited.then(
      (status) => {
        over();
        return status;
      },
      (error: unknown) => {
        over();
        if (this.#killedWith !== undefined) return this.#killedWith;
        throw error instanceof MachineError ? failure(error.message, error.fix) : error;
      },
    );
  }

  signal(name: NodeJS.Signals): void {
    if (this.#pressing === undefined) this.#press();
    else this.#kill(name === "SIGINT" ? interrupted : killed);
  }

  async stop(patience: number): Promise<void> {
    this.#press();
    const timer = setTimeout(() => this.#kill(killed), patience);
    await this.ended.catch(() => 0);
    clearTimeout(timer);
  }

  /** Presses until the machine is off: a press before the image listens is lost, and later ones are the same to it. */
  #press(): void {
    // When the machine is gone already, there is nothing to press.
    const press = (): void => void this.#machine.powerButton().catch(() => undefined);
    press();
    this.#pressing ??= setInterval(press, pressAgain);
  }

  #kill(status: number): void {
    this.#killedWith ??= status;
    this.#machine.kill();
  }
}
