// What the scenarios do with sockets again and again.
import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type net from "node:net";
import { describeError, type Transcript } from "./transcript.ts";

export const host = "127.0.0.1";

export async function listen(server: net.Server, options: net.ListenOptions = {}): Promise<number> {
  server.listen({ port: 0, host, ...options });
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

export async function close(server: net.Server): Promise<void> {
  if (server instanceof http.Server || server instanceof https.Server) server.closeAllConnections();
  server.close();
  await once(server, "close");
}

/** Waits for the end of a socket, whatever it ends with. */
export async function closed(socket: net.Socket): Promise<void> {
  socket.on("error", () => undefined);
  // The event follows when libuv has closed the handle, in the same or the next turn of the loop.
  if (socket.closed) for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  else await new Promise((resolve) => socket.once("close", resolve));
}

/** Waits for the next connection. */
export function accepted(server: net.Server, event = "connection"): Promise<net.Socket> {
  return new Promise((resolve) => server.once(event, resolve));
}

/** Writes down everything that a socket emits. */
export function watch(transcript: Transcript, party: string, socket: net.Socket): net.Socket {
  for (const event of ["connect", "ready", "secureConnect", "end", "finish", "timeout"] as const) {
    socket.on(event, () => transcript.log(party, event));
  }
  socket.on("data", (data: Buffer) => transcript.log(party, "data", data.toString("latin1")));
  socket.on("error", (error) => {
    const mask = [[socket.remotePort ?? "none", "PORT"]] as const;
    transcript.log(party, "error", describeError(error, mask));
  });
  socket.on("close", (hadError) => transcript.log(party, "close", hadError));
  return socket;
}

/** A byte pattern that shows misplaced pieces. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
  return bytes;
}

export async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

export const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex").slice(0, 16);
