// Two network namespaces, any number of emulated paths between them, and processes at both ends to send over them.
import { spawn, type ChildProcess } from "node:child_process";
import process from "node:process";
import type { LinkSettings } from "@tesserae/sim/link-settings";
import type { TcpLimits } from "@tesserae/tcpip/tcp/context";
import { Namespace, netemUnavailable, type NetemOptions } from "../namespace/namespace.ts";
import type { DirectionStatistics, Lateness } from "./emulator.ts";
import { Requests } from "./requests.ts";
import {
  addressOn,
  ampleQueue,
  linkAddress,
  ownNetwork,
  roleEnvironment,
  type EmulatorRequests,
  type EndRequests,
  type Side,
  type StackKind,
} from "./roles.ts";
import type { Received, TransferLimits } from "./transfer.ts";

export interface PathNetworkOptions {
  /** A module that calls `playRole`, as plain JavaScript. */
  readonly program: string;
  /** How many paths, 1 to 200. */
  readonly paths: number;
  /** Of the links, in bytes. Default 1500. */
  readonly mtu?: number;
  /** The kernel's congestion control. Default `cubic`. */
  readonly congestion?: string;
  /** The most that the kernel's and our own buffers may grow to, in bytes. Default 8 MiB. */
  readonly buffers?: number;
  /** Further limits of our own TCP. */
  readonly tcp?: Partial<TcpLimits>;
  /**
   * What makes the paths bad: our emulator between tap devices, or the kernel's netem on veth pairs, where the kernel has
   * it. Default `tap`.
   */
  readonly emulator?: "tap" | "netem";
}

export interface TransferOptions extends TransferLimits {
  readonly path: number;
  readonly from: StackKind;
  readonly to: StackKind;
}

const firstPort = 20_000;
const ports = 10_000;

/** Emulated paths. Needs root: see `unavailable`. */
export class PathNetwork {
  readonly near: Namespace;
  readonly far: Namespace;
  /** Idle where netem is used. */
  readonly emulator: Requests<EmulatorRequests>;
  readonly #ends = new Map<string, Requests<EndRequests>>();
  readonly #children: ChildProcess[] = [];
  readonly #options: PathNetworkOptions;
  #port = 0;

  private constructor(options: PathNetworkOptions) {
    this.#options = options;
    this.near = Namespace.create();
    this.far = Namespace.create();
    // Before everything else on this machine, so that the model's times are kept; and then the ends.
    const command = ["chrt", "--rr", "10", process.execPath, options.program];
    this.emulator = new Requests(this.#start(command, roleEnvironment("emulator")));
  }

  /** Makes the paths, without any limit or fault: see {@link PathNetwork.configure}. */
  static async open(options: PathNetworkOptions): Promise<PathNetwork> {
    const network = new PathNetwork(options);
    try {
      await network.#setUp();
    } catch (error) {
      network.close();
      throw error;
    }
    return network;
  }

  /** Both ways. With netem `seed` has no meaning. */
  async configure(path: number, settings: LinkSettings, seed: string): Promise<void> {
    if (!this.#isNetem) await this.emulator.ask("configure", { path, settings, seed });
    else for (const side of ["near", "far"] as const) this[side].netem(`path${path}`, netemOf(settings));
  }

  /** Since the path was configured: from near to far, and back. `undefined` with netem. */
  async statistics(path: number): Promise<readonly [DirectionStatistics, DirectionStatistics] | undefined> {
    return this.#isNetem ? undefined : (await this.emulator.ask("statistics", { path })).directions;
  }

  /** How late frames left since it was asked last; `undefined` with netem. */
  async lateness(): Promise<Lateness | undefined> {
    return this.#isNetem ? undefined : (await this.emulator.ask("statistics", { path: 0 })).lateness;
  }

  get #isNetem(): boolean {
    return this.#options.emulator === "netem";
  }

  /** The process at one end, on the kernel's sockets or on our stack. */
  end(side: Side, kind: StackKind): Requests<EndRequests> {
    const key = `${kind} ${side}` as const;
    let end = this.#ends.get(key);
    if (end === undefined) {
      const buffers = this.#options.buffers ?? defaultBuffers;
      const tcp = { maxReceiveBuffer: buffers, maxSendBuffer: buffers, ...this.#options.tcp };
      const command = [
        ...["ip", "netns", "exec", this[side].name, "chrt", "--rr", "5"],
        ...[process.execPath, this.#options.program],
      ];
      end = new Requests(this.#start(command, roleEnvironment(key, tcp)));
      this.#ends.set(key, end);
    }
    return end;
  }

  /** One connection from near to far over a path, until a limit is reached: see `receiveOne`. */
  async transfer(options: TransferOptions): Promise<Received> {
    const { path, from, to, bytes, milliseconds, skip = 0 } = options;
    const port = firstPort + (this.#port++ % ports);
    const receiver = this.end("far", to);
    const transfer = await receiver.ask("listen", { path, port, bytes, milliseconds, skip });
    const address = addressOn(path, "far", to);
    const sent = this.end("near", from).ask("send", { path, address, port, bytes });
    // A sender that cannot even connect is not waited for.
    const failed = sent.then(() => new Promise<never>(() => undefined));
    const result = await Promise.race([receiver.ask("received", { transfer }), failed]);
    await sent;
    return result;
  }

  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    this.near.destroy();
    this.far.destroy();
  }

  async #setUp(): Promise<void> {
    const { paths, mtu = 1500, congestion = "cubic", buffers = defaultBuffers } = this.#options;
    const reason = this.#isNetem ? netemUnavailable() : undefined;
    if (reason !== undefined) throw new Error(reason);
    for (let path = 0; path < paths; path++) {
      const device = `path${path}`;
      if (this.#isNetem) this.#addPair(device);
      else await this.emulator.ask("add", { near: this.near.name, far: this.far.name, device });
    }
    for (const side of ["near", "far"] as const) {
      const other = side === "near" ? "far" : "near";
      const namespace = this[side];
      namespace.run("sysctl", [
        "-qw",
        "net.ipv4.ip_forward=1",
        "net.ipv4.conf.all.rp_filter=0",
        // Else one transfer would begin with what the one before found out.
        "net.ipv4.tcp_no_metrics_save=1",
        `net.ipv4.tcp_rmem=4096 131072 ${buffers}`,
        `net.ipv4.tcp_wmem=4096 65536 ${buffers}`,
      ]);
      const words: string[] = [];
      for (let path = 0; path < paths; path++) {
        const device = `path${path}`;
        words.push(
          `link set dev ${device} address ${macOf(path, side)} mtu ${mtu} txqueuelen ${ampleQueue} up`,
          `address add ${linkAddress(path, side)}/24 dev ${device}`,
          // What is lost is to be TCP's.
          `neigh add ${linkAddress(path, other)} lladdr ${macOf(path, other)} dev ${device} nud permanent`,
          // By route, as the sysctl of a namespace takes only what the whole machine allows to all its users.
          `route change 10.50.${path}.0/24 dev ${device} src ${linkAddress(path, side)} congctl ${congestion}`,
          `route add ${ownNetwork(path, other)}.0/24 via ${linkAddress(path, other)} congctl ${congestion}`,
        );
      }
      namespace.run("ip", ["-batch", "-"], { input: `${words.join("\n")}\n` });
    }
  }

  /** A veth pair that carries frames one by one, so that each is lost by itself. */
  #addPair(device: string): void {
    this.near.ip(`link add ${device} type veth peer name ${device} netns ${this.far.name}`);
    const off = ["tso", "gso", "gro"].flatMap((offload) => [offload, "off"]);
    for (const side of ["near", "far"] as const) this[side].run("ethtool", ["-K", device, ...off]);
  }

  #start(command: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const [program = "", ...args] = command;
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env });
    this.#children.push(child);
    return child;
  }
}

const defaultBuffers = 8_388_608;
/** Of an Ethernet frame at an MTU of 1500, in bytes. */
const fullFrame = 1514;

/** The same path in netem's words. Its queue is of packets, and holds those on their way, too. */
export function netemOf(settings: LinkSettings): NetemOptions {
  const { bandwidth = Infinity, delay = 0.1, jitter = 0, loss = 0, queue = 262_144 } = settings;
  if (typeof jitter !== "number" || typeof loss !== "number" || typeof queue !== "number") {
    throw new TypeError("netem gets plain numbers only: jitter, loss, queue");
  }
  const rate = bandwidth === Infinity ? {} : { rate: `${Math.round(bandwidth)}bit` };
  const underWay = bandwidth === Infinity ? 0 : (bandwidth * delay) / 8000;
  const limit = bandwidth === Infinity ? 1_000_000 : Math.ceil((underWay + queue) / fullFrame);
  return { delay, loss, limit, ...rate, ...(jitter === 0 ? {} : { jitter }) };
}

/** Locally administered. */
function macOf(path: number, side: Side): string {
  return `02:50:00:00:${path.toString(16).padStart(2, "0")}:${side === "near" ? "01" : "02"}`;
}
