// The two ways from a load generator to an application: over the kernel's TCP, and over ours on a tap device. Both
// cross one link between the generator's namespace and the application's, and each end has a core of its own.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Stack } from "@tesserae/device/stack";
import type { Timers } from "@tesserae/device/clock";
import { inlineDeeply } from "@tesserae/node/engine";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createTap } from "@tesserae/tap/netif";
import { createStack } from "@tesserae/tcpip/stack/stack";
import { Namespace } from "../../test/namespace/namespace.ts";

/** Where the application listens. */
export const serverAddress = "10.7.0.2";
export const serverPort = 8080;
const generatorAddress = "10.7.0.1";

export interface PathOptions {
  readonly stack: "kernel" | "tap";
  /** Of the link, in bytes. */
  readonly mtu: number;
  /** Tap only: whether through io_uring, which is the default, or batches of reads and writes. */
  readonly uring?: boolean;
  /** Kernel only: whether the link takes segments longer than its MTU. */
  readonly offload?: boolean;
}

const roleVariable = "TESSERAE_BENCH_ROLE";

/** In a process started by {@link Path}: which application it is to be. */
export function role(): string | undefined {
  return process.env[roleVariable]?.split(" ")[0];
}

/** In such a process: what {@link Path.generate} was given for it. */
export function roleArgument(): string {
  return process.env[roleVariable]?.split(" ")[1] ?? "";
}

/** In such a process: the stack to listen on. */
export async function stackOfRole(): Promise<{ stack: Stack; timers: Timers }> {
  const [, kind, mtu, uring] = (process.env[roleVariable] ?? "").split(" ");
  const timers = createTimers();
  inlineDeeply();
  if (kind === "kernel") return { stack: createKernelStack(), timers };
  const netif = await createTap({
    name: "bench0",
    mtu: Number(mtu),
    uring: uring !== "false",
    hostAddress: Prefix.parse(`${generatorAddress}/24`),
  });
  const ipv4 = {
    kind: "static",
    address: Prefix.parse(`${serverAddress}/24`),
    gateway: IpAddress.parse(generatorAddress),
  } as const;
  return { stack: await createStack({ netif, timers, random: createRandom(), ipv4 }), timers };
}

/** One application with a link to a generator's namespace. */
export class Path {
  readonly generator: Namespace;
  readonly #application: Namespace | undefined;
  readonly #server: ChildProcess;

  private constructor(generator: Namespace, application: Namespace | undefined, server: ChildProcess) {
    this.generator = generator;
    this.#application = application;
    this.#server = server;
  }

  /** Builds the link, starts this program again in the role given, and waits until it says that it listens. */
  static async open(name: string, { stack, mtu, offload = false, uring = true }: PathOptions): Promise<Path> {
    const generator = Namespace.create();
    let application: Namespace | undefined;
    if (stack === "kernel") {
      application = Namespace.create();
      generator.ip(`link add name bench0 mtu ${mtu} type veth peer name bench0 mtu ${mtu} netns ${application.name}`);
      for (const [namespace, address] of [
        [generator, generatorAddress],
        [application, serverAddress],
      ] as const) {
        namespace.ip(`address add ${address}/24 dev bench0`);
        namespace.ip("link set dev bench0 up");
        if (!offload) namespace.run("ethtool", ["-K", "bench0", "tx", "off", "tso", "off", "gso", "off", "gro", "off"]);
      }
    }
    const inside = application ?? generator;
    const server = spawn(
      "ip",
      ["netns", "exec", inside.name, "taskset", "-c", "0", process.execPath, ...process.argv.slice(1, 2)],
      {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, [roleVariable]: `${name} ${stack} ${mtu} ${uring}` },
      },
    );
    const lines = createInterface({ input: server.stdout });
    await Promise.race([
      once(lines, "line"),
      once(server, "exit").then(() => {
        throw new Error(`the ${name} application on ${stack} ended before it listened`);
      }),
    ]);
    return new Path(generator, application, server);
  }

  /** Starts this program again in the generator's namespace, and gives what it printed. */
  async generate(name: string, argument: string): Promise<string> {
    return await this.generator.succeeds("env", [
      `${roleVariable}=${name} ${argument}`,
      ...["taskset", "-c", "1", process.execPath, ...process.argv.slice(1, 2)],
    ]);
  }

  /** Sends the application's process a signal. */
  signal(signal: NodeJS.Signals): void {
    this.#server.kill(signal);
  }

  close(): void {
    this.#server.kill("SIGKILL");
    this.#application?.destroy();
    this.generator.destroy();
  }
}
