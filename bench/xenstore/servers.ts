import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { createTimers } from "@tesserae/node/timers";
import type { Line } from "@tesserae/xenstore/connection";
import { XenstoreServer } from "@tesserae/xenstore/server";
import { encodeStrings, messageType } from "@tesserae/xenstore/wire";
import { processorTimeOf } from "./processor-time.ts";
import { RawClient } from "./raw-client.ts";
import { connectTo, type Connected } from "./socket-client.ts";

/** A server that takes local clients. */
export interface RunningServer {
  readonly name: string;
  connect(): Promise<Connected>;
  /** Milliseconds of processor time that the server has taken so far; undefined: it is this process. */
  processorTime(): number | undefined;
  stop(): Promise<void>;
}

const xenPrograms = "/usr/lib/xen-4.17/bin";
const folder = mkdtempSync(path.join(tmpdir(), "tesserae-bench-xenstore-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** Why Xen's own servers cannot take part, in words; undefined when they can. */
export function lackOfRivals(): string | undefined {
  if (!existsSync(path.join(xenPrograms, "oxenstored"))) return "xen-utils-4.17 is not installed";
  return spawnSync("gcc", ["--version"]).status === 0 ? undefined : "gcc is not installed";
}

let shim: string | undefined;

/** `no-xen.c`, compiled once. */
function compileShim(): string {
  if (shim !== undefined) return shim;
  const output = path.join(folder, "no-xen.so");
  const source = path.resolve("bench/xenstore/no-xen.c");
  const { status, stderr } = spawnSync("gcc", ["-O1", "-shared", "-fPIC", "-o", output, source, "-ldl"]);
  if (status !== 0) throw new Error(`no-xen.c does not compile: ${String(stderr)}`);
  shim = output;
  return output;
}

/** A client in the server's process: bytes go in and out by calls. */
function connectWithin(server: XenstoreServer): Connected {
  const buffer = new Uint8Array(65_536);
  let isCarrying = false;
  const carry = (): void => {
    if (isCarrying) return;
    isCarrying = true;
    for (let length = line.take(buffer, 0, buffer.length); length > 0; length = line.take(buffer, 0, buffer.length))
      client.receive(buffer, length);
    isCarrying = false;
  };
  // What is not heard at once, as another's transaction goes first, is kept.
  const waiting: Uint8Array[] = [];
  const send = (): void => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const taken = line.receive(first, 0, first.length);
      if (taken < first.length) {
        waiting[0] = first.subarray(taken);
        return;
      }
      waiting.shift();
    }
  };
  const client = new RawClient((bytes) => {
    waiting.push(bytes);
    queueMicrotask(send);
  });
  const line: Line = server.connect(
    { kind: "local" },
    {
      wake: () => {
        carry();
        if (waiting.length > 0) queueMicrotask(send);
      },
      closed: () => client.end(),
    },
  );
  return { client, close: () => line.close("the client left") };
}

async function untilAnswers(socketPath: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (child.exitCode !== null) throw new Error(`the server of ${socketPath} ended with status ${child.exitCode}`);
    try {
      const { client, close } = await connectTo(socketPath);
      await client.ask(messageType.directory, 0, encodeStrings("/"));
      close();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`nobody answers at ${socketPath}`);
}

async function run(name: string, command: string, args: string[], socket: string, more: NodeJS.ProcessEnv) {
  const child = spawn(command, args, { env: { ...process.env, ...more }, stdio: ["ignore", "ignore", "inherit"] });
  await untilAnswers(socket, child);
  const { pid = 0 } = child;
  const server: RunningServer = {
    name,
    connect: () => connectTo(socket),
    processorTime: () => processorTimeOf(pid),
    stop: () =>
      new Promise((resolve) => {
        child.once("close", () => resolve());
        child.kill("SIGKILL");
      }),
  };
  return server;
}

/** A folder of its own for each server that is started. */
let started = 0;
function place(): { own: string; socket: string } {
  const own = path.join(folder, String(++started));
  mkdirSync(own);
  return { own, socket: path.join(own, "socket") };
}

export const startServer: Readonly<Record<string, () => Promise<RunningServer>>> = {
  "ours in process": () => {
    const server = new XenstoreServer({ timers: createTimers() });
    return Promise.resolve({
      name: "ours in process",
      connect: () => Promise.resolve(connectWithin(server)),
      processorTime: () => undefined,
      stop: () => Promise.resolve(),
    });
  },
  ours: async () => {
    const { socket } = place();
    // This very program, which serves when it is told so.
    return run("ours", process.execPath, [process.argv[1] ?? "", "--serve", socket], socket, {});
  },
  oxenstored: async () => {
    const { own, socket } = place();
    const config = path.join(own, "oxenstored.conf");
    writeFileSync(
      config,
      ["pid-file", "xenstored-log-file", "access-log-file"].map((key) => `${key} = ${path.join(own, key)}\n`).join("") +
        "xenstored-kva = /proc/xen/xsd_kva\nxenstored-port = /proc/xen/xsd_port\nquota-activate = true\nquota-maxentity = 1000\nquota-transaction = 10\npersistent = false\n",
    );
    const args = ["--no-fork", "--no-access-log", "--config-file", config];
    const environment = { LD_PRELOAD: compileShim(), XENSTORED_PATH: socket };
    return run("oxenstored", path.join(xenPrograms, "oxenstored"), args, socket, environment);
  },
  "C xenstored": async () => {
    const { own, socket } = place();
    const environment = {
      LD_PRELOAD: compileShim(),
      XENSTORED_PATH: socket,
      XENSTORED_RUNDIR: own,
      XENSTORED_ROOTDIR: own,
    };
    return run("C xenstored", path.join(xenPrograms, "xenstored"), ["-N"], socket, environment);
  },
};
