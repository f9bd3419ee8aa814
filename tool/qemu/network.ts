import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { MachineError } from "./failure.ts";

/** A port of this machine that leads to one of the guest's, TCP and UDP alike. */
export interface Forward {
  /** The address of this machine to listen on: `127.0.0.1`, `0.0.0.0`. */
  readonly address: string;
  /** 1 to 65535, or 0 for any that is free. */
  readonly hostPort: number;
  /** 1 to 65535. */
  readonly guestPort: number;
}

/** How the machine's network card is connected. */
export type Network =
  /** QEMU's own network in user space, with DHCP: no privilege is needed, and only what is forwarded reaches the guest. */
  | { readonly kind: "user"; readonly forwards: readonly Forward[] }
  /** A tap device of this machine, as a cable to its kernel. */
  | { readonly kind: "tap"; readonly name: string };

/**
 * Parses `8080:80` (host:guest), `8080` (both), `0.0.0.0:8080:80` (listening on all of this machine's addresses).
 *
 * @throws MachineError saying what is allowed.
 */
export function parseForward(text: string): Forward {
  const match = /^(?:(\d{1,3}(?:\.\d{1,3}){3}):)?(\d{1,5})(?::(\d{1,5}))?$/.exec(text);
  const hostPort = Number(match?.[2]);
  const guestPort = Number(match?.[3] ?? match?.[2]);
  const address = match?.[1] ?? "127.0.0.1";
  const fits =
    hostPort <= 65_535 &&
    guestPort >= 1 &&
    guestPort <= 65_535 &&
    (match?.[1] === undefined || match[3] !== undefined) &&
    address.split(".").every((each) => Number(each) <= 255);
  if (fits) return { address, hostPort, guestPort };
  throw new MachineError(`"${text}" is no forwarded port`, "write HOST:GUEST such as 8080:80, or 0.0.0.0:8080:80");
}

/** A forward with the port that it gets, and whether that is the one asked for. */
export interface PlacedForward extends Forward {
  readonly wanted: number;
}

/**
 * Gives every forward a port that is free now for TCP and for UDP: the one asked for, or any other.
 *
 * @param strict refuses to take another
 * @throws MachineError (rejects) naming the port, when `strict`.
 */
export async function placeForwards(forwards: readonly Forward[], strict: boolean): Promise<readonly PlacedForward[]> {
  const placed: PlacedForward[] = [];
  for (const forward of forwards) {
    const { address, hostPort } = forward;
    const taken = placed.some((each) => each.hostPort === hostPort && hostPort !== 0);
    const problem = taken ? "another port is forwarded from it" : await whyNot(address, hostPort);
    if (problem === undefined && hostPort !== 0) {
      placed.push({ ...forward, wanted: hostPort });
      continue;
    }
    if (strict && problem !== undefined) {
      throw new MachineError(`port ${String(hostPort)} cannot be forwarded: ${problem}`, "give another with --forward");
    }
    placed.push({ ...forward, hostPort: await freePort(address), wanted: hostPort });
  }
  return placed;
}

/** Why a port cannot be listened on, for TCP or UDP, in words; `undefined` when it can. */
async function whyNot(address: string, port: number): Promise<string | undefined> {
  try {
    await listen(address, port);
    return undefined;
  } catch (error) {
    // as: what listening rejects with has a code.
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") return "it is taken";
    if (code === "EACCES") return "ports below 1024 need a privilege";
    return message;
  }
}

async function freePort(address: string): Promise<number> {
  for (let tries = 0; ; tries++) {
    try {
      return await listen(address, 0);
    } catch (error) {
      // Free for TCP and taken for UDP: another one then.
      if (tries === 20) throw error;
    }
  }
}

/** Listens for a moment, on TCP and on UDP; gives the port. */
async function listen(address: string, port: number): Promise<number> {
  const server = createServer();
  const socket = createSocket("udp4");
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port, exclusive: true }, resolve);
    });
    const bound = server.address();
    const got = typeof bound === "object" && bound !== null ? bound.port : port;
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ address, port: got, exclusive: true }, resolve);
    });
    return got;
  } finally {
    await new Promise<void>((resolve) => {
      if (server.listening) server.close(() => resolve());
      else resolve();
    });
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  }
}
