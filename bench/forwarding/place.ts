// A router between two network namespaces: the kernel's in a namespace of its own, over veth pairs, or ours over two tap
// devices. The router has core 1; who sends and who receives, and what the kernel does for them, has core 0.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { Namespace } from "../../test/namespace/namespace.ts";

export type RouterKind = "kernel" | "tap";

export interface ForwardingOptions {
  readonly router: RouterKind;
  /** Whether what leaves on the far side does so from the router's address there. */
  readonly nat: boolean;
}

/** The near side sends, the far side receives; the router has .1 of each network. */
export const nearNetwork = "10.20.0";
export const farNetwork = "10.21.0";
export const nearDevice = "near0";
export const farDevice = "far0";
/** In a process that is to be a router of ours: `plain` or `nat`. */
export const roleVariable = "TESSERAE_FORWARDING_ROLE";

const routerCore = 1;
const otherCore = 0;
const port = 9;

/** @returns the path of the program, compiled anew */
export function compileFlood(): string {
  const program = path.resolve("out/bench-flood");
  mkdirSync(path.dirname(program), { recursive: true });
  const source = path.resolve("bench/forwarding/flood.c");
  execFileSync("gcc", ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source]);
  return program;
}

export class ForwardingPlace {
  readonly #flood: string;
  readonly #near: Namespace;
  readonly #far: Namespace;
  readonly #router: Namespace | undefined;
  readonly #children: ChildProcess[] = [];

  private constructor(flood: string, router: Namespace | undefined) {
    this.#flood = flood;
    this.#near = Namespace.create();
    this.#far = Namespace.create();
    this.#router = router;
  }

  static async open(flood: string, { router, nat }: ForwardingOptions): Promise<ForwardingPlace> {
    const place = new ForwardingPlace(flood, router === "kernel" ? Namespace.create() : undefined);
    try {
      if (router === "kernel") place.#openKernel(nat);
      else await place.#openOwn(nat);
      place.#openEnds();
      return place;
    } catch (error) {
      place.close();
      throw error;
    }
  }

  /** Packets of `size` bytes, with their IP header, that arrive in a second. */
  async measure(size: number, milliseconds: number): Promise<number> {
    const words = ["send", `${farNetwork}.2`, String(port), String(size - 28), String(milliseconds)];
    const before = this.#arrived();
    const start = performance.now();
    await this.#near.succeeds("taskset", ["-c", String(otherCore), this.#flood, ...words]);
    const seconds = (performance.now() - start) / 1000;
    return (this.#arrived() - before) / seconds;
  }

  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const each of [this.#near, this.#far, this.#router]) each?.destroy();
  }

  #openKernel(nat: boolean): void {
    const router = this.#router;
    if (router === undefined) return;
    for (const [end, device, network] of [
      [this.#near, nearDevice, nearNetwork],
      [this.#far, farDevice, farNetwork],
    ] as const) {
      end.ip(`link add name ${device} type veth peer name ${device} netns ${router.name}`);
      router.ip(`address add ${network}.1/24 dev ${device}`);
      router.ip(`link set dev ${device} up`);
      steer(router, device, routerCore);
    }
    router.run("sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
    if (!nat) return;
    const rules = [
      "add table ip nat",
      "add chain ip nat leaving { type nat hook postrouting priority srcnat; }",
      `add rule ip nat leaving oifname ${farDevice} masquerade`,
    ];
    router.run("nft", ["-f", "-"], { input: `${rules.join("\n")}\n` });
  }

  async #openOwn(nat: boolean): Promise<void> {
    const child = spawn(
      "ip",
      [
        ...["netns", "exec", this.#near.name, "taskset", "-c", String(routerCore)],
        ...[process.execPath, ...process.argv.slice(1, 2)],
      ],
      { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, [roleVariable]: nat ? "nat" : "plain" } },
    );
    this.#children.push(child);
    await Promise.race([
      once(createInterface({ input: child.stdout }), "line"),
      once(child, "exit").then(() => {
        throw new Error("our router ended before it was ready");
      }),
    ]);
    // The device stays open; its other end goes to the far side.
    this.#near.ip(`link set ${farDevice} netns ${this.#far.name}`);
  }

  #openEnds(): void {
    for (const [end, device, network, other] of [
      [this.#near, nearDevice, nearNetwork, farNetwork],
      [this.#far, farDevice, farNetwork, nearNetwork],
    ] as const) {
      end.ip(`address replace ${network}.2/24 dev ${device}`);
      end.ip(`link set dev ${device} up`);
      end.ip(`route replace ${other}.0/24 via ${network}.1`);
      steer(end, device, otherCore);
    }
    this.#children.push(this.#far.start("taskset", ["-c", String(otherCore), this.#flood, "sink", String(port)]));
  }

  /** Datagrams that have come up to UDP on the far side, those that found the socket full among them. */
  #arrived(): number {
    const [names = [], values = []] = this.#far
      .run("cat", ["/proc/net/snmp"])
      .split("\n")
      .filter((line) => line.startsWith("Udp: "))
      .map((line) => line.split(" "));
    const value = (name: string): number => Number(values[names.indexOf(name)]);
    return value("InDatagrams") + value("InErrors");
  }
}

/** What is received on the device is done on that core, as a network card's interrupt would have it. */
function steer(namespace: Namespace, device: string, core: number): void {
  const mask = (1 << core).toString(16);
  namespace.run("sh", ["-c", `echo ${mask} > /sys/class/net/${device}/queues/rx-0/rps_cpus`]);
}
