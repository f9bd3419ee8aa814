// What connections cost in memory: a hundred thousand that are idle, and some with full buffers, both ends of each in
// this process, so that a connection here is two of a host's. Bytes are of the engine's heap and of its buffers.
// Beside them, what an end costs the Linux kernel.
//   npm run bench -- tcp-memory [--connections N]
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { MemoryIp } from "@tesserae/tcpip/tcp/memory-ip";
import { createTcp, type TcpHost } from "@tesserae/tcpip/tcp/tcp";

// Rounds: bytes are the same in every one.
const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "100000" },
    markdown: { type: "string" },
    rounds: { type: "string" },
  },
});
const connections = Number(values.connections);
/** Of each port of the listening host, so that local ports suffice. */
const perPort = 10_000;

const clientAddress = IpAddress.parse("10.0.0.1");
const serverAddress = IpAddress.parse("10.0.0.2");
const clock = new VirtualClock();
const timers = new Scheduler(clock);

/** What one host has sent and the other has not got: copies, in order. */
class Wire {
  readonly #queue: { readonly to: MemoryIp; readonly bytes: Uint8Array }[] = [];

  sink(to: () => MemoryIp): (bytes: Uint8Array, offset: number, length: number) => void {
    return (bytes, offset, length) => {
      this.#queue.push({ to: to(), bytes: bytes.slice(offset, offset + length) });
    };
  }

  /** Delivers what is under way, and what comes of it, until nothing more does. */
  async settle(hosts: readonly TcpHost[]): Promise<void> {
    for (;;) {
      for (const { to, bytes } of this.#queue.splice(0)) to.deliver(bytes, 0, bytes.length);
      for (const host of hosts) host.flush();
      await Promise.resolve();
      if (this.#queue.length > 0) continue;
      // Delayed ACKs, and nothing that is far off.
      const next = timers.nextDeadline();
      if (next > clock.now() + 1000) return;
      clock.advanceTo(Math.max(next, clock.now()));
      timers.run();
    }
  }
}

/** Bytes in use, once what is garbage is gone. */
function memory(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("run with --expose-gc");
  for (let round = 0; round < 3; round++) gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const wire = new Wire();
const client: MemoryIp = new MemoryIp(
  clientAddress,
  serverAddress,
  wire.sink(() => server),
);
const server: MemoryIp = new MemoryIp(
  serverAddress,
  clientAddress,
  wire.sink(() => client),
);
const options = { timers, random: new SeededRandom(1), maxConnections: 1_048_576, maxHalfOpen: 65_536 };
const asking = createTcp({ ...options, ip: client });
const serving = createTcp({ ...options, ip: server });
const hosts = [asking, serving];
const accepted: Flow[] = [];
const opened: Flow[] = [];

const rows: { what: string; bytes: number; of: number }[] = [];
const before = memory();
for (let port = 0; port * perPort < connections; port++) {
  serving.open({ port: 1000 + port, backlog: 65_535 }, (flow) => {
    accepted.push(flow);
  });
}
for (let from = 0; from < connections; from += 500) {
  const batch: Promise<Flow>[] = [];
  for (let index = from; index < Math.min(connections, from + 500); index++) {
    batch.push(asking.connect({ address: serverAddress, port: 1000 + Math.floor(index / perPort) }));
  }
  await wire.settle(hosts);
  opened.push(...(await Promise.all(batch)));
}
const ends = opened.length + accepted.length;
if (ends !== 2 * connections) throw new Error(`${String(ends)} ends of ${String(2 * connections)} are open`);
rows.push({ what: "idle, never used", bytes: memory() - before, of: ends });

const page = new Uint8Array(1024).fill(1);
const into = new Uint8Array(2048);
for (let from = 0; from < connections; from += 500) {
  const end = Math.min(connections, from + 500);
  for (const flows of [opened, accepted]) {
    for (const flow of flows.slice(from, end)) await flow.write(page);
    await wire.settle(hosts);
  }
  for (const flows of [opened, accepted]) {
    for (const flow of flows.slice(from, end)) if ((await flow.read(into)) !== 1024) throw new Error("not all came");
  }
  await wire.settle(hosts);
}
rows.push({ what: "idle, after 1 KiB each way", bytes: memory() - before, of: ends });

const idle = memory();
const busy = Math.min(1000, connections);
const block = new Uint8Array(1_000_000);
const writes = opened.slice(0, busy).map((flow) => flow.write(block).catch(() => undefined));
await wire.settle(hosts);
rows.push({ what: "its reader asleep, 1 MB written", bytes: memory() - idle, of: busy });
for (const flow of [...opened, ...accepted]) flow.abort();
await Promise.all(writes);
await wire.settle(hosts);
opened.length = 0;
accepted.length = 0;
rows.push({ what: "closed: left over", bytes: memory() - before, of: ends });

// The kernel's ends, in another process; files and epoll entries belong to them there.
const kernelConnections = Math.min(connections, 5000);
const kernel = spawnSync(process.execPath, ["bench/kernel-connections.mjs", String(kernelConnections)], {
  encoding: "utf8",
  timeout: 120_000,
});
if (kernel.status === 0) {
  rows.push({ what: "idle, of Linux's sockets (its slabs)", bytes: Number(kernel.stdout), of: 2 * kernelConnections });
}

const lines = [
  "| ends of connections | how many | bytes each | in all |",
  "| ------------------- | -------- | ---------- | ------ |",
  ...rows.map(
    ({ what, bytes, of }) =>
      `| ${what} | ${String(of)} | ${(bytes / of).toFixed(0)} | ${(bytes / 2 ** 20).toFixed(1)} MiB |`,
  ),
];
console.log(lines.join("\n"));
if (values.markdown !== undefined) writeFileSync(values.markdown, `${lines.join("\n")}\n`);
process.exit(0);
