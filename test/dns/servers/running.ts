// Starts name servers on the loopback interface, each on a port of its own, and waits until they answer.
import { spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { NameServer, ServedZone } from "./name-server.ts";

const address = "127.0.0.1";

export interface RunningServer {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Of the process that was started; its children may do the work. */
  readonly pid: number;
  /** What it wrote to its standard error so far. */
  readonly said: () => string;
  /** Kills it, with what it started. */
  close(): Promise<void>;
}

/**
 * Starts a server for the zones.
 *
 * @param folder where its files go, in a folder named after it
 * @throws Error when it does not answer for the first zone within 30 s
 */
export async function startServer(
  server: NameServer,
  zones: readonly ServedZone[],
  folder: string,
  extra?: Readonly<Record<string, string>>,
): Promise<RunningServer> {
  const port = await freePort();
  const { program, args, environment } = server.configure({
    ...{ address, port, zones, folder: path.join(folder, server.name) },
    ...(extra === undefined ? {} : { extra }),
  });
  const child = spawn(program, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`, ...environment },
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-20_000)));
  const close = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    killTree(child);
    await gone;
  };
  const running = { name: server.name, address, port, pid: child.pid ?? 0, said: () => said, close };
  try {
    await ready(running, zones[0]?.apex ?? ".", child);
    return running;
  } catch (error) {
    await close();
    throw error;
  }
}

/** A port that neither UDP nor TCP uses now. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0, address);
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}

async function ready({ name, port, said }: RunningServer, apex: string, child: ChildProcess): Promise<void> {
  const socket = createSocket("udp4");
  let answers = 0;
  socket.on("message", (message) => {
    // An answer without an error that has a record in it.
    if ((message[3]! & 15) === 0 && message.readUInt16BE(6) > 0) answers++;
  });
  socket.on("error", () => undefined);
  const labels = apex.split(".").filter((label) => label !== "");
  const owner = Buffer.concat(labels.map((label) => Buffer.from(String.fromCharCode(label.length) + label, "latin1")));
  const query = Buffer.concat([Buffer.from([9, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), owner, Buffer.from([0, 0, 6, 0, 1])]);
  const until = Date.now() + 30_000;
  try {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${said()}`);
      socket.send(query, port, address);
      await sleep(50);
      if (answers > 0) return;
      if (Date.now() > until) throw new Error(`${name} does not answer for ${apex}: ${said()}`);
    }
  } finally {
    socket.close();
  }
}

/** Kills a process and what it started: NSD's children outlive it else. */
export function killTree({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  for (const each of [...descendants(pid), pid]) {
    try {
      process.kill(each, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
}

/** The processes that descend from this one. */
export function descendants(pid: number): number[] {
  let children: string;
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  } catch {
    return [];
  }
  return children
    .trim()
    .split(" ")
    .filter((word) => word !== "")
    .flatMap((word) => [Number(word), ...descendants(Number(word))]);
}
