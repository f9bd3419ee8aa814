// Virtual machines side by side: each in a network namespace with one tap device, on one core, under one emulation.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Namespace } from "../../test/namespace/namespace.ts";

export const guestAddress = "10.7.0.2";
export const hostAddress = "10.7.0.1";
export const httpPort = 8080;
export const udpPort = 5353;

export type MachineType = "q35" | "microvm";

/** What QEMU is to start. */
export interface GuestPlan {
  readonly name: string;
  readonly kernel: string;
  readonly initrd: string;
  /** Whether q35 maps the ramdisk as an NVDIMM instead of loading it, as `tesserae run` does. */
  readonly mapped?: boolean;
  readonly commandLine: string;
  /** A raw disk image for reading, if the guest has one. */
  readonly disk?: string;
}

const machineOptions: Readonly<Record<MachineType, readonly string[]>> = {
  q35: ["-M", "q35"],
  // With ACPI, which says where the devices are: Debian's kernel does not take them from its command line.
  microvm: ["-M", "microvm,acpi=on,rtc=on", "-global", "virtio-mmio.force-legacy=false"],
};

function nvdimm(file: string): readonly string[] {
  const size = String(statSync(file).size);
  return [
    ...["-object", `memory-backend-file,id=image,share=on,readonly=on,mem-path=${file},size=${size}`],
    ...["-device", "nvdimm,memdev=image,unarmed=on"],
  ];
}

/** A running virtual machine and the namespace that its network is in. */
export class Guest {
  readonly host: Namespace;
  readonly #process: ChildProcess;
  #console = "";

  private constructor(host: Namespace, process: ChildProcess) {
    this.host = host;
    this.#process = process;
    for (const stream of [process.stdout, process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#console = (this.#console + text).slice(-20_000);
      });
    }
  }

  /** What it printed last, at most 20,000 characters. */
  get console(): string {
    return this.#console;
  }

  /** @param memory in MiB */
  static start(plan: GuestPlan, machine: MachineType, memory: number): Guest {
    const host = Namespace.create();
    host.ip("tuntap add dev guest0 mode tap");
    host.ip(`address add ${hostAddress}/24 dev guest0`);
    host.ip("link set dev guest0 up");
    const mapped = plan.mapped === true && machine === "q35";
    const bus = machine === "q35" ? "pci" : "device";
    const child = spawn(
      "ip",
      [
        ...["netns", "exec", host.name, "taskset", "-c", "0", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max"],
        ...machineOptions[machine],
        ...(mapped ? ["-M", "nvdimm=on", "-m", `${String(memory)}M,slots=1,maxmem=4G`] : ["-m", String(memory)]),
        ...["-smp", "1", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
        ...["-serial", "stdio", "-kernel", plan.kernel, "-append", plan.commandLine],
        ...(mapped ? nvdimm(plan.initrd) : ["-initrd", plan.initrd]),
        ...["-netdev", "tap,id=net,ifname=guest0,script=no,downscript=no"],
        // Without the boot ROM of the network card, which only costs time.
        ...["-device", `virtio-net-${bus},netdev=net${machine === "q35" ? ",romfile=" : ""}`],
        ...["-object", "rng-random,filename=/dev/urandom,id=rng", "-device", `virtio-rng-${bus},rng=rng`],
        ...(plan.disk === undefined ? [] : ["-drive", `file=${plan.disk},format=raw,if=none,id=disk,readonly=on`]),
        ...(plan.disk === undefined ? [] : ["-device", `virtio-blk-${bus},drive=disk`]),
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    return new Guest(host, child);
  }

  /**
   * Waits for the first answer to `GET /1k`, asked for anew every few milliseconds.
   *
   * @returns milliseconds from the call
   * @throws Error with the end of its console when it ended or did not answer within `bound` ms
   */
  async answered(bound: number): Promise<number> {
    const start = performance.now();
    const asking = this.host.start("taskset", [
      "-c",
      "1",
      process.execPath,
      "bench/vm/ask.mjs",
      guestAddress,
      String(httpPort),
    ]);
    const outcome = await Promise.race([
      once(asking, "exit").then(() => "answered" as const),
      once(this.#process, "exit").then(() => "ended" as const),
      pause(bound, "silent" as const, { ref: false }),
    ]);
    const took = performance.now() - start;
    asking.kill("SIGKILL");
    if (outcome !== "answered")
      throw new Error(`the guest ${outcome === "ended" ? "ended" : "gave no answer"}:\n${this.#console}`);
    return took;
  }

  /** Memory of the process that the machine is, in MiB: what it has touched. */
  get resident(): number {
    const pid = this.#process.pid ?? 0;
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8"))?.[1] ?? Number.NaN) / 1024;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL");
      await once(this.#process, "exit");
    }
    this.host.destroy();
  }
}
