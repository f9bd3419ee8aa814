// What pacing is for: queues shorter than a burst, and ACKs that come in heaps, as over Wi-Fi or to a process that is
// woken late. In the simulator, so each figure is exact.
import { describe, expect, test } from "vitest";
import { ampleBuffers, simulateTransfer, type SimulatedTransferOptions } from "./simulated-transfer.ts";

async function goodputs(link: SimulatedTransferOptions["link"], milliseconds: number) {
  const transfer = { link, seed: "a", milliseconds, bytes: 2 ** 40 };
  const paced = await simulateTransfer({ ...transfer, tcp: ampleBuffers });
  const plain = await simulateTransfer({ ...transfer, tcp: { ...ampleBuffers, pacing: false } });
  return { paced: paced.goodput, plain: plain.goodput };
}

describe("RFC 9002 §7.7: pacing", () => {
  test("100 Mb/s and 100 ms with a queue of a tenth of what is under way: twice as fast as bursts", async () => {
    const { paced, plain } = await goodputs({ bandwidth: 1e8, delay: 50, queue: 131_072 }, 10_000);
    expect(paced).toBeGreaterThan(2 * plain);
  }, 120_000);

  test("20 Mb/s and 40 ms with a short queue and ACKs up to 30 ms late: half as fast again", async () => {
    const link = { bandwidth: 2e7, delay: 20, queue: 30_000, forward: { jitter: 30 } };
    const { paced, plain } = await goodputs(link, 20_000);
    expect(paced).toBeGreaterThan(1.5 * plain);
  }, 120_000);

  test("with queue enough and regular ACKs it costs nothing", async () => {
    const { paced, plain } = await goodputs({ bandwidth: 2e7, delay: 20, queue: 100_000 }, 10_000);
    expect(paced).toBeGreaterThan(0.98 * plain);
  }, 120_000);
});
