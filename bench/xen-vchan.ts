// Bytes a second between two guests of ours on one host of the real Xen, in QEMU: over a vchan (shared memory), against
// TCP between the same two over netfront, dom0's back ends and its bridge.
import { main } from "./harness/main.ts";
import type { Race } from "./harness/race.ts";
import { VchanPair } from "../test/xen/vchan-pair.ts";
import { XenBench, xenUnavailable } from "../test/xen/xen-host.ts";

/** Of one transfer. */
const bytes = 2 ** 20;

async function races(): Promise<void> {
  const reason = await xenUnavailable();
  if (reason !== undefined) {
    console.log(`xen-vchan skipped: ${reason}`);
    return;
  }
  const bench = await XenBench.start({ vchan: "examples/vchan" });
  try {
    const pair = await VchanPair.start(bench);
    const race = (name: string, direction: "send" | "receive"): Race => ({
      name,
      unit: "bytes/s",
      rival: "tcp",
      contenders: (["tcp", "vchan"] as const).map((kind) => ({
        name: kind,
        measure: async () => {
          const { milliseconds, sent, received } = await pair.transfer(kind, direction, bytes);
          if (sent !== received) throw new Error(`${kind}: ${received} has come of ${sent}`);
          return (bytes / milliseconds) * 1000;
        },
      })),
    });
    await main([race("1 MiB to the server", "send"), race("1 MiB from the server", "receive")], 5);
    await pair.stop();
  } finally {
    await bench.host.close();
  }
}

await races();
