// The original iperf3 against examples/iperf3 on our stack over a tap device: both ways, many streams.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { LaunchedImage } from "../system/launched-image.ts";

const reason = unavailable("iperf3");
const patience = 120_000;

describe.skipIf(reason !== undefined)(`iperf3${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: Namespace;
  let image: LaunchedImage;

  beforeAll(async () => {
    host = Namespace.create();
    const args = ["examples/iperf3", "--target", "tap", "--tap", "tap0", "--host-address", "10.0.0.1/24"];
    image = await LaunchedImage.start([...args, "--ipv4", "10.0.0.2/24 via 10.0.0.1"], "serving iperf3", host.name);
  }, patience);

  afterAll(async () => {
    expect(await image.stop(), image.output).toBe(0);
    host.destroy();
  }, patience);

  interface Sum {
    readonly bytes: number;
    readonly bits_per_second: number;
  }

  async function iperf3(
    ...args: readonly string[]
  ): Promise<Readonly<Record<string, Sum>> & { readonly streams: number }> {
    const text = await host.succeeds("iperf3", ["-c", "10.0.0.2", "-J", "-t", "1", ...args]);
    const { end } = JSON.parse(text) as { end: Record<string, Sum> & { streams: readonly unknown[] } };
    return Object.assign({}, end, { streams: end.streams.length });
  }

  test(
    "the kernel sends",
    async () => {
      const end = await iperf3();
      // Nothing is lost between what it sent and what we counted, but what was in flight in the end.
      expect(end["sum_received"]!.bytes).toBeGreaterThan(1_000_000);
      expect(end["sum_received"]!.bytes).toBeLessThanOrEqual(end["sum_sent"]!.bytes);
    },
    patience,
  );

  test(
    "we send (-R)",
    async () => {
      const end = await iperf3("-R");
      expect(end["sum_received"]!.bytes).toBeGreaterThan(1_000_000);
      expect(end["sum_received"]!.bytes).toBeLessThanOrEqual(end["sum_sent"]!.bytes);
    },
    patience,
  );

  test(
    "both at once (--bidir)",
    async () => {
      const end = await iperf3("--bidir");
      expect(end["sum_received"]!.bytes).toBeGreaterThan(1_000_000);
      expect(end["sum_received_bidir_reverse"]!.bytes).toBeGreaterThan(1_000_000);
    },
    patience,
  );

  test.each([
    ["100 streams to us", "-P"],
    ["100 streams from us", "-R", "-P"],
  ])(
    "%s",
    async (_name, ...args) => {
      const end = await iperf3(...args, "100");
      expect(end.streams).toBe(100);
      expect(end["sum_received"]!.bytes).toBeGreaterThan(1_000_000);
    },
    patience,
  );

  test(
    "segments of 88 and of 536 bytes (-M)",
    async () => {
      for (const mss of ["88", "536"])
        expect((await iperf3("-M", mss))["sum_received"]!.bytes).toBeGreaterThan(100_000);
    },
    patience,
  );
});
