// The processes of an emulated path: the emulator, and at each end one on the kernel's sockets and one on our stack.
// A program that calls `playRole` first can be started again as any of them.
import { readSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import process from "node:process";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Stack } from "@tesserae/device/stack";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import type { LinkSettings } from "@tesserae/sim/link-settings";
import { loadCalls } from "@tesserae/tap/libc";
import { createTap } from "@tesserae/tap/netif";
import type { TcpLimits } from "@tesserae/tcpip/tcp/context";
import type { ConnectionStatistics } from "@tesserae/tcpip/tcp/statistics";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { PathEmulator, type DirectionStatistics, type Lateness } from "./emulator.ts";
import { answerLine, errorLine, parseRequest, type Asked } from "./requests.ts";
import { receiveOne, sendOne, type Received, type TransferLimits } from "./transfer.ts";

/** What the emulator is asked. */
export type EmulatorRequests = {
  readonly add: readonly [{ readonly near: string; readonly far: string; readonly device: string }, number];
  readonly configure: readonly [
    { readonly path: number; readonly settings: LinkSettings; readonly seed: string },
    undefined,
  ];
  readonly statistics: readonly [
    { readonly path: number },
    { readonly directions: readonly [DirectionStatistics, DirectionStatistics]; readonly lateness: Lateness },
  ];
};

/** What an end is asked. */
export type EndRequests = {
  /** Listens for one connection on a path. The answer is the transfer's number, for `received`. */
  readonly listen: readonly [{ readonly path: number; readonly port: number } & TransferLimits, number];
  readonly received: readonly [{ readonly transfer: number }, Received];
  readonly send: readonly [
    { readonly path: number; readonly address: string; readonly port: number; readonly bytes: number },
    undefined,
  ];
  /** Our own stack's connections on a path. */
  readonly connections: readonly [{ readonly path: number }, readonly ConnectionStatistics[]];
};

export type Side = "near" | "far";
export type StackKind = "kernel" | "own";

/** Frames in the queue of a device, so many that it never overflows: the queue that counts is the emulator's. */
export const ampleQueue = 20_000;

const roleVariable = "TESSERAE_PATH_ROLE";

/** The environment of a process that is to be the emulator, or an end. */
export function roleEnvironment(role: "emulator" | `${StackKind} ${Side}`, tcp: Partial<TcpLimits> = {}) {
  return { ...process.env, [roleVariable]: role, TESSERAE_PATH_TCP: JSON.stringify(tcp) };
}

/** Plays the role that this process was started in, until stdin ends. @returns false when there is none */
export async function playRole(): Promise<boolean> {
  const role = process.env[roleVariable];
  if (role === undefined) return false;
  if (role === "emulator") await emulate();
  else {
    const [kind, side] = role.split(" ");
    await new End(kind === "kernel" ? "kernel" : "own", side === "near" ? "near" : "far").serve();
  }
  return true;
}

/** On path `path`, `near` and `far` share 10.50.path.0/24. */
export function linkAddress(path: number, side: Side): string {
  return `10.50.${path}.${side === "near" ? 1 : 2}`;
}

/** Where our stack is at that end: behind the kernel, which has .1 of its network and forwards. */
export function ownNetwork(path: number, side: Side): string {
  return `10.${side === "near" ? 60 : 70}.${path}`;
}

/** The address that a stack of that kind has on a path. */
export function addressOn(path: number, side: Side, kind: StackKind): string {
  return kind === "kernel" ? linkAddress(path, side) : `${ownNetwork(path, side)}.2`;
}

async function emulate(): Promise<void> {
  const emulator = new PathEmulator(await loadCalls());
  const chunk = Buffer.alloc(65_536);
  let text = "";
  const act = (request: Asked<EmulatorRequests>): unknown => {
    switch (request.do) {
      case "add":
        return emulator.add(request.near, request.far, request.device);
      case "configure":
        emulator.configure(request.path, request.settings, request.seed);
        return undefined;
      case "statistics":
        return { directions: emulator.statistics(request.path), lateness: emulator.lateness() };
    }
  };
  emulator.watch(0, () => {
    const length = readSync(0, chunk);
    if (length === 0) emulator.stop();
    text += chunk.toString("utf8", 0, length);
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const request = parseRequest<EmulatorRequests>(text.slice(0, end));
      text = text.slice(end + 1);
      let line: string;
      try {
        line = answerLine(request.id, act(request));
      } catch (error) {
        line = errorLine(request.id, error);
      }
      writeSync(1, line);
    }
  });
  emulator.run();
  process.exit(0);
}

class End {
  readonly #kind: StackKind;
  readonly #side: Side;
  readonly #timers = createTimers();
  readonly #kernel: Stack = createKernelStack({ report: () => undefined });
  readonly #own = new Map<number, Promise<IpStack>>();
  readonly #transfers: Promise<Received>[] = [];

  constructor(kind: StackKind, side: Side) {
    this.#kind = kind;
    this.#side = side;
  }

  async serve(): Promise<void> {
    for await (const line of createInterface({ input: process.stdin })) {
      const request = parseRequest<EndRequests>(line);
      void this.#act(request).then(
        (answer) => process.stdout.write(answerLine(request.id, answer)),
        (error: unknown) => process.stdout.write(errorLine(request.id, error)),
      );
    }
    process.exit(0);
  }

  async #act(request: Asked<EndRequests>): Promise<unknown> {
    switch (request.do) {
      case "listen": {
        const { path, port } = request;
        const { received } = await receiveOne(await this.#stack(path), this.#timers, port, request);
        received.catch(() => undefined);
        return this.#transfers.push(received) - 1;
      }
      case "received":
        return this.#transfers[request.transfer];
      case "send": {
        const { path, address, port, bytes } = request;
        await sendOne(await this.#stack(path), IpAddress.parse(address), port, bytes);
        return undefined;
      }
      case "connections": {
        const connections = (await this.#own.get(request.path))?.tcp.connections() ?? [];
        return connections.map((each) => ({ ...each, local: undefined, remote: undefined }));
      }
    }
  }

  async #stack(path: number): Promise<Stack> {
    if (this.#kind === "kernel") return this.#kernel;
    let stack = this.#own.get(path);
    if (stack === undefined) {
      stack = this.#open(path);
      this.#own.set(path, stack);
    }
    return stack;
  }

  async #open(path: number): Promise<IpStack> {
    const network = ownNetwork(path, this.#side);
    const hostAddress = Prefix.parse(`${network}.1/24`);
    const netif = await createTap({ name: `own${path}`, hostAddress, queue: ampleQueue });
    return createStack({
      netif,
      timers: this.#timers,
      random: createRandom(),
      ipv4: { kind: "static", address: Prefix.parse(`${network}.2/24`), gateway: IpAddress.parse(`${network}.1`) },
      // as: written by `roleEnvironment`
      tcp: JSON.parse(process.env["TESSERAE_PATH_TCP"] ?? "{}") as Partial<TcpLimits>,
    });
  }
}
