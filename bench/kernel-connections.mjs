// Opens connections over loopback on the kernel's sockets, and prints what they cost the kernel: bytes of its slabs and
// of socket buffers. node kernel-connections.mjs CONNECTIONS
import { readFileSync } from "node:fs";
import net from "node:net";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";

const connections = Number(process.argv[2]);
/** Of each port, so that local ports suffice. */
const perPort = 10_000;

/** Bytes of slabs that cannot be given back. */
function slabs() {
  const kib = /SUnreclaim:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? "NaN";
  return Number(kib) * 1024;
}

/** @type {net.Socket[]} */
const sockets = [];
/** @type {number[]} */
const ports = [];
for (let first = 0; first < connections; first += perPort) {
  const server = net.createServer((socket) => sockets.push(socket));
  await new Promise((done) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => done(undefined)));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  ports.push(address.port);
}
await pause(500);
const before = slabs();
for (let from = 0; from < connections; from += 200) {
  const batch = [];
  for (let index = from; index < Math.min(connections, from + 200); index++) {
    const port = ports[Math.floor(index / perPort)] ?? 0;
    batch.push(
      new Promise((done, failed) => {
        const socket = net.connect({ port, host: "127.0.0.1" }, () => done(undefined));
        socket.on("error", failed);
        sockets.push(socket);
      }),
    );
  }
  await Promise.all(batch);
}
while (sockets.length < 2 * connections) await pause(10);
await pause(500);
console.log(slabs() - before);
process.exit(0);
