import { randomBytes } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import path from "node:path";
import { channelArguments, type DiskFile } from "@tesserae/qemu/arguments";
import { findQemu, type Qemu } from "@tesserae/qemu/find";
import { startQemu, type QemuProcess } from "@tesserae/qemu/launch";
import { placeForwards, type Forward } from "@tesserae/qemu/network";
import { xlConfig, type XlGuest } from "@tesserae/vm-image/formats/xl-config";
import { quote, runInDom0, summary, type AgentPlace, type Ran, type RunOptions } from "./agent.ts";
import { obtainAssets, type HostAssets } from "./assets.ts";
import { agentAddress, agentNetwork, agentPort, bridge, consoleFolder, readyLine } from "./dom0-scripts.ts";
import { XenHostError } from "./failure.ts";
import { XenGuest } from "./guest.ts";
import { linuxKernel, linuxRamdisk } from "./linux-files.ts";

/** What serves xenstore: Xen's daemon in C, the one in OCaml, or an image of ours in a domain of its own. */
export type Store = "xenstored" | "oxenstored" | StoreDomain | "none";

/** A xenstore in a domain, started with init-xenstore-domain. Paths on this machine. */
export interface StoreDomain {
  readonly kernel: string;
  readonly ramdisk?: string;
  readonly commandLine?: string;
  /** In MiB. */
  readonly memory: number;
}

export interface XenHostOptions {
  /** Of the whole machine, in MiB. Default: 1536. */
  readonly memory?: number;
  /** Of dom0, in MiB: files that are put there lie in it. Default: 512. */
  readonly dom0Memory?: number;
  /** Default: `xenstored`. With `none` nothing is started that needs one. */
  readonly store?: Store;
  /**
   * Files of this machine by the paths that they get in dom0: QEMU gives them as disks, so nothing is copied and they
   * take no memory, and up to 511 zeros follow their bytes. A mere path is read-only. What guests are booted from, and
   * disks for guests, belong here.
   */
  readonly files?: Readonly<Record<string, string | DiskFile>>;
  /** Ports of this machine that lead to the first guest with an address from DHCP. */
  readonly forwards?: readonly Forward[] | undefined;
  /** A file for all frames that cross QEMU's network card: what guests and the outside say to each other. */
  readonly pcap?: string | undefined;
  /** Milliseconds until dom0 must listen. Default: 300,000: alone it takes eight seconds. */
  readonly timeout?: number;
  readonly qemu?: Qemu;
  readonly assets?: HostAssets;
  /** What is going on, in words, for people who wait. */
  readonly onProgress?: (text: string) => void;
  /** Gets what Xen and dom0 write on their console. Must not throw. */
  readonly onConsole?: (text: string) => void;
}

const usualMemory = 1536;
const usualDom0Memory = 512;
const usualTimeout = 300_000;
/** Characters of the console that are kept. */
const consoleBound = 256 * 1024;
/** Lines of the console in an error. */
const linesInError = 40;
const nap = 5_000;
/** Disks that QEMU's bus has room for, and letters for their names. */
const mostFiles = 22;

/**
 * Xen's hypervisor in QEMU, with a Linux dom0 and its toolstack. Nothing of it outlives this process, and no privilege
 * is needed. Guests' network cards and dom0 are on one bridge, in QEMU's own network 10.0.2.0/24: 10.0.2.2 is this
 * machine, 10.0.2.3 answers names, and 10.0.2.15 is the first address that its DHCP gives.
 */
export class XenHost {
  /** What it was started from. */
  readonly assets: HostAssets;
  readonly #process: QemuProcess;
  readonly #place: AgentPlace;
  #console = "";
  #over: string | undefined;

  /** @param start gets what keeps the console and gives what is kept */
  private constructor(assets: HostAssets, place: AgentPlace, start: (keep: (text: string) => string) => QemuProcess) {
    this.assets = assets;
    this.#place = place;
    this.#process = start((text) => (this.#console = (this.#console + text).slice(-consoleBound)));
  }

  /**
   * Boots Xen and dom0, and starts xenstore and the console daemon.
   *
   * @throws MachineError, ImageFailure (rejects) when something is not installed or cannot be fetched.
   * @throws XenHostError (rejects) with the console's last lines when it does not come up.
   */
  static async start(options: XenHostOptions = {}): Promise<XenHost> {
    const { memory = usualMemory, dom0Memory = usualDom0Memory, onProgress = () => undefined } = options;
    const qemu = options.qemu ?? findQemu();
    const assets = options.assets ?? (await obtainAssets({ onProgress }));
    const secret = randomBytes(16).toString("hex");
    const [agent] = await placeForwards([{ address: "127.0.0.1", hostPort: 0, guestPort: agentPort }], false);
    const port = agent?.hostPort ?? 0;
    const files = { [linuxKernel]: assets.kernel, [linuxRamdisk]: assets.guestInitramfs, ...options.files };
    if (Object.keys(files).length > mostFiles) {
      throw new XenHostError(`a Xen host takes ${String(mostFiles - 2)} files at most`);
    }
    const disks = Object.values(files).map((file) => (typeof file === "string" ? { file, readOnly: true } : file));
    const { forwards = [], pcap } = options;
    const machine: HostMachine = { memory, dom0Memory, port, secret, files: disks, forwards, pcap };
    let ready: () => void = () => undefined;
    const listening = new Promise<void>((resolve) => (ready = resolve));
    const host = new XenHost(assets, { port, secret }, (output) => {
      return startQemu({
        qemu,
        // Commas and spaces in paths mean something to -initrd.
        folder: assets.folder,
        args: hostArguments(machine, assets),
        onConsole: (text) => {
          options.onConsole?.(text);
          if (output(text).includes(readyLine)) ready();
        },
      });
    });
    const ended = host.#watch();
    onProgress("booting Xen");
    const since = performance.now();
    const timer = setInterval(() => {
      onProgress(`booting Xen (${String(Math.round((performance.now() - since) / 1000))} s)`);
    }, nap);
    try {
      await within(Promise.race([listening, ended]), options.timeout ?? usualTimeout, "Xen did not come up");
      await host.sh(linkFiles(Object.keys(files)));
      await host.#startServices(options.store ?? "xenstored", onProgress);
      return host;
    } catch (error) {
      await host.close();
      if (!(error instanceof XenHostError)) throw error;
      const last = host.#console.trimEnd().split("\n").slice(-linesInError).join("\n");
      throw new XenHostError(error.message, last, { cause: error });
    } finally {
      clearInterval(timer);
    }
  }

  /** The end of what Xen and dom0 wrote on their console. */
  get console(): string {
    return this.#console;
  }

  /** Runs a shell script in dom0, whatever its status. Several may run at once. @throws XenHostError (rejects) */
  async run(script: string, options: RunOptions = {}): Promise<Ran> {
    if (this.#over !== undefined) throw new XenHostError(this.#over);
    return runInDom0(this.#place, script, options);
  }

  /** Runs a shell script in dom0 and gives its output as text. @throws XenHostError (rejects) also when it fails. */
  async sh(script: string, options: RunOptions = {}): Promise<string> {
    const { status, output } = await this.run(script, options);
    const text = output.toString("utf8");
    if (status !== 0) throw new XenHostError(`dom0: ${summary(script)}: status ${String(status)}`, text.trimEnd());
    return text;
  }

  /** Copies a file of this machine, or bytes, to a path in dom0; folders are made. @throws XenHostError (rejects) */
  async put(source: string | Uint8Array, to: string): Promise<void> {
    const size = typeof source === "string" ? statSync(source).size : source.length;
    const quoted = quote(to);
    const script = `mkdir -p ${quote(path.posix.dirname(to))} && cat > ${quoted} && chmod 755 ${quoted} && stat -c %s ${quoted}`;
    const input = typeof source === "string" ? createReadStream(source) : source;
    const written = Number(await this.sh(script, { input, timeout: 600_000 }));
    if (written !== size) throw new XenHostError(`dom0 has ${String(written)} of the ${String(size)} bytes of ${to}`);
  }

  /** The bytes of a file in dom0. @throws XenHostError (rejects) */
  async get(from: string): Promise<Buffer> {
    const { status, output } = await this.run(`cat ${quote(from)}`);
    if (status !== 0) throw new XenHostError(`dom0: ${output.toString("utf8").trim()}`);
    return output;
  }

  /**
   * Creates and starts a guest with `xl create`. Interfaces without a bridge are put on the host's one. Paths are
   * dom0's: {@link put} kernel and ramdisk there first.
   *
   * @throws XenHostError (rejects) with what xl said.
   */
  async createGuest(config: XlGuest): Promise<XenGuest> {
    const interfaces = config.interfaces?.map((each) => ({ bridge, ...each }));
    const text = xlConfig({
      ...config,
      ...(interfaces === undefined ? {} : { interfaces }),
      // Xen does not trust the emulated processor's counter, and each look at the time would cost a thousand times more.
      more: ['tsc_mode = "native"', ...(config.more ?? [])],
    });
    const file = `/etc/xen/${config.name}.cfg`;
    const script = [
      "set -e",
      // What a guest of that name wrote before is not this one's.
      `rm -f ${consoleFolder}/guest-${config.name}.log; cat > ${file}`,
      // Paused at first: one that ends at once would be gone before its number is known.
      `xl create -p ${file}; id=$(xl domid ${config.name}); xl unpause $id; echo $id`,
    ].join("\n");
    const said = await this.sh(script, { input: Buffer.from(text), timeout: 900_000 });
    return new XenGuest(this, config.name, lastNumber(said));
  }

  /** Goes on with a guest that was saved to a file in dom0, in a new domain. @throws XenHostError (rejects) */
  async restoreGuest(name: string, file: string): Promise<XenGuest> {
    const script = `rm -f ${consoleFolder}/guest-${name}.log; xl restore ${quote(file)} && xl domid ${quote(name)}`;
    return new XenGuest(this, name, lastNumber(await this.sh(script, { timeout: 900_000 })));
  }

  /**
   * Makes a port of this machine lead to one of an address on the bridge, for TCP and UDP.
   *
   * @param address default: the first address that DHCP gave
   * @param hostPort default: any that is free
   * @returns the port here.
   * @throws XenHostError (rejects) when QEMU refuses.
   */
  async forward(guestPort: number, address = "10.0.2.15", hostPort = 0): Promise<number> {
    const [placed] = await placeForwards([{ address: "127.0.0.1", hostPort, guestPort }], true);
    const port = placed?.hostPort ?? hostPort;
    for (const kind of ["tcp", "udp"]) {
      const rule = `${kind}:127.0.0.1:${String(port)}-${address}:${String(guestPort)}`;
      const said = await this.#process.qmp.execute("human-monitor-command", {
        "command-line": `hostfwd_add net0 ${rule}`,
      });
      if (said !== "") throw new XenHostError(`QEMU forwards no port: ${String(said).trim()}`);
    }
    return port;
  }

  /** Pulls the plug. Idempotent. */
  async close(): Promise<void> {
    this.#over ??= "the Xen host was closed";
    this.#process.kill();
    await this.#process.ended.catch(() => undefined);
  }

  /** Remembers how QEMU ended; rejects then. */
  async #watch(): Promise<never> {
    const { code, signal, stderr } = await this.#process.ended;
    const said = stderr
      .split("\n")
      .filter((line) => line !== "" && !line.includes("warning: "))
      .join("\n");
    const how = signal ?? `status ${String(code)}`;
    this.#over ??= `the Xen host ended (${how})${said === "" ? "" : `: ${said}`}`;
    throw new XenHostError(this.#over);
  }

  async #startServices(store: Store, onProgress: (text: string) => void): Promise<void> {
    if (store === "none") return;
    onProgress("starting the toolstack");
    if (typeof store === "string") {
      // Its log of accesses would fill dom0's memory.
      const option = store === "oxenstored" ? "--no-access-log" : "--pid-file=/run/xenstored.pid";
      await this.sh(`${store} ${option} </dev/null >/var/log/xen/xenstored.log 2>&1`);
    } else await this.#startStoreDomain(store);
    await this.sh(
      [
        "n=0; until xenstore-exists / 2>/dev/null; do n=$((n + 1)); [ $n -gt 2000 ] && exit 1; sleep 0.1; done",
        "xen-init-dom0 </dev/null >/var/log/xen/init-dom0.log 2>&1 || { cat /var/log/xen/init-dom0.log; exit 1; }",
        `xenconsoled --pid-file=/run/xenconsoled.pid --log=guest --log-dir=${consoleFolder} </dev/null >/dev/null 2>&1`,
      ].join("\n"),
      { timeout: usualTimeout },
    );
  }

  async #startStoreDomain({ kernel, ramdisk, commandLine, memory }: StoreDomain): Promise<void> {
    await this.put(kernel, "/root/store-kernel");
    const words = ["init-xenstore-domain --kernel /root/store-kernel", `--memory ${String(memory)}`];
    if (ramdisk !== undefined) {
      await this.put(ramdisk, "/root/store-ramdisk");
      words.push("--ramdisk /root/store-ramdisk");
    }
    if (commandLine !== undefined) words.push(`--param ${quote(commandLine)}`);
    await this.sh(
      `${words.join(" ")} </dev/null >/var/log/xen/store.log 2>&1 || { cat /var/log/xen/store.log; exit 1; }`,
      { timeout: usualTimeout },
    );
  }
}

interface HostMachine {
  readonly memory: number;
  readonly dom0Memory: number;
  /** The agent's port on this machine. */
  readonly port: number;
  readonly secret: string;
  /** Absolute. */
  readonly files: readonly DiskFile[];
  readonly forwards: readonly Forward[];
  readonly pcap: string | undefined;
}

/** The number in the last line of what xl said: a domain's. */
function lastNumber(output: string): number {
  return Number(output.trimEnd().split("\n").at(-1));
}

/** A script that gives each of the disks its path. */
function linkFiles(paths: readonly string[]): string {
  const lines = paths.map((each, index) => {
    const disk = `/dev/vd${String.fromCharCode("a".charCodeAt(0) + index)}`;
    return `mkdir -p ${quote(path.posix.dirname(each))} && ln -sf ${disk} ${quote(each)} && [ -b ${disk} ]`;
  });
  return ["set -e", ...lines].join("\n");
}

/**
 * All that QEMU's translator has but what Xen or Linux on it cannot bear (Xen faults in MWAIT, a PV Linux dies of SMAP),
 * without AVX, which from time to time is not there any more in a guest that had found it a moment before, and without
 * ERMS: who is told of it copies with REP MOVSB, which is translated to a loop of single bytes.
 */
const processor = "max,-smap,-rdtscp,-monitor,-avx,-avx2,-f16c,-fma,-vaes,-vpclmulqdq,-erms";

/**
 * Nobody attacks an emulated processor by its speculation, and what defends one costs a third of the time: each call
 * through a pointer is several for the translator. eager-fpu, or the registers of floating point of one guest are found
 * in another.
 */
function hostArguments(machine: HostMachine, assets: HostAssets): readonly string[] {
  const { memory, dom0Memory, port, secret, files, forwards, pcap } = machine;
  const inFolder = (file: string): string => path.relative(assets.folder, file);
  const xenLine = [
    ...["console=com1", "com1=115200,8n1", "spec-ctrl=no,eager-fpu", "guest_loglvl=all", "bootscrub=0"],
    ...[`dom0_mem=${String(dom0Memory)}M,max:${String(dom0Memory)}M`, "dom0_max_vcpus=1"],
  ];
  const dom0Line = `console=hvc0 quiet panic=-1 mitigations=off AGENT_SECRET=${secret}`;
  const forwarded = forwards.flatMap(({ address, hostPort, guestPort }) =>
    ["tcp", "udp"].map((kind) => `,hostfwd=${kind}:${address}:${String(hostPort)}-:${String(guestPort)}`),
  );
  // The agent has a card of its own: guests never see what is said to it, and a capture does not have it.
  const agent = `127.0.0.1:${String(port)}-${agentAddress}:${String(agentPort)}`;
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "pc", "-accel", "tcg", "-smp", "1"],
    ...["-cpu", processor, "-m", `${String(memory)}M`, ...channelArguments],
    ...["-netdev", `user,id=net0${forwarded.join("")}`, "-device", "virtio-net-pci,netdev=net0,romfile=,addr=3"],
    ...["-netdev", `user,id=agent,net=${agentNetwork},restrict=on,hostfwd=tcp:${agent}`],
    ...["-device", "virtio-net-pci,netdev=agent,romfile=,addr=4"],
    ...(pcap === undefined ? [] : ["-object", `filter-dump,id=capture,netdev=net0,maxlen=65536,file=${twice(pcap)}`]),
    ...files.flatMap(({ file, readOnly }, index) => [
      ...["-drive", `if=none,id=file${String(index)},format=raw${readOnly ? ",read-only=on" : ""},file=${twice(file)}`],
      ...["-device", `virtio-blk-pci,drive=file${String(index)},addr=${(index + 5).toString(16)}`],
    ]),
    ...["-kernel", inFolder(assets.xen), "-append", xenLine.join(" ")],
    ...["-initrd", `${inFolder(assets.kernel)} ${dom0Line},${inFolder(assets.initramfs)}`],
  ];
}

/** A value of one of QEMU's options, with its commas twice. */
function twice(value: string): string {
  return value.replaceAll(",", ",,");
}

async function within<T>(work: Promise<T>, milliseconds: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new XenHostError(`${what} within ${String(milliseconds / 1000)} s`)), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
