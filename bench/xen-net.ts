// Bytes and requests a second of one web server of ours in QEMU without KVM, asked from this machine: as a guest of the
// real Xen, over netfront, dom0's netback and its bridge, against the same application on a machine with virtio-net.
import { XenBench, xenUnavailable } from "../test/xen/xen-host.ts";
import { buildForVm, TestMachine } from "../test/vm/test-machine.ts";
import { main } from "./harness/main.ts";
import type { Race } from "./harness/race.ts";

const application = "examples/www";
const port = 8080;
/** Of one download. */
const bytes = 4 * 2 ** 20;
/** Of pages, one after the other. */
const requests = 20;

/** Milliseconds that it takes to read what is there. @throws Error when it is not all there. */
async function read(url: string, length?: number): Promise<number> {
  const since = performance.now();
  const response = await fetch(url);
  let count = 0;
  for await (const chunk of response.body ?? []) count += chunk.length;
  if (!response.ok || count === 0 || (length !== undefined && count !== length)) {
    throw new Error(`${url}: status ${response.status}, ${count} bytes`);
  }
  return performance.now() - since;
}

async function download(base: string): Promise<number> {
  return (bytes / (await read(`${base}/noise/${bytes}`, bytes))) * 1000;
}

async function pages(base: string): Promise<number> {
  const since = performance.now();
  for (let request = 0; request < requests; request++) await read(`${base}/index.html`);
  return (requests / (performance.now() - since)) * 1000;
}

async function races(): Promise<void> {
  const reason = await xenUnavailable();
  if (reason !== undefined) {
    console.log(`xen-net skipped: ${reason}`);
    return;
  }
  const machine = await TestMachine.start(await buildForVm(application), { forward: [port] });
  try {
    await machine.waitFor("serving");
    const bench = await XenBench.start({ www: application });
    try {
      const bases = [
        ["virtio-net", `http://127.0.0.1:${machine.port(port)}`],
        ["netfront", `http://127.0.0.1:${await served(bench)}`],
      ] as const;
      const race = (name: string, unit: string, measure: (base: string) => Promise<number>): Race => ({
        name,
        unit,
        rival: "virtio-net",
        contenders: bases.map(([contender, base]) => ({ name: contender, measure: () => measure(base) })),
      });
      await main([race("4 MiB", "bytes/s", download), race("a page, and the next", "requests/s", pages)], 5);
    } finally {
      await bench.host.close();
    }
  } finally {
    await machine.kill();
  }
}

/** Starts the server as a guest. @returns the port of this machine that leads to it */
async function served(bench: XenBench): Promise<number> {
  const guest = await bench.create("www", { interfaces: [{}] });
  const [, address] = await guest.waitFor(/(10\.0\.2\.\d+)/);
  await guest.waitFor("serving");
  return bench.host.forward(port, address);
}

await races();
