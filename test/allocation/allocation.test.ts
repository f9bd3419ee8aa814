import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { restoreConstants } from "../../tool/cli/top-level-constants.ts";

const packets = Number(process.env["ALLOCATION_PACKETS"] ?? 1_000_000);

interface Cost {
  readonly packets: number;
  readonly answered: number;
  readonly bytes: number;
}

test("a million packets go from the ring to a socket and back and leave no object behind", async () => {
  const file = join(import.meta.dirname, "../../node_modules", `.tesserae-allocation-${process.pid}.mjs`);
  try {
    const made = await build({
      entryPoints: [join(import.meta.dirname, "program.ts")],
      ...{ bundle: true, platform: "node", format: "esm", target: "node20", write: false, logLevel: "error" },
      ...{ conditions: ["tesserae-source"], external: ["koffi"] },
    });
    writeFileSync(file, restoreConstants(made.outputFiles[0]?.text ?? ""));
    // All that is allocated stays where it is until it is counted.
    const young = ["--min-semi-space-size=256", "--max-semi-space-size=256", "--expose-gc"];
    const ran = spawnSync(process.execPath, [...young, file, String(packets)], { encoding: "utf8", timeout: 120_000 });
    expect(ran.stderr).toBe("");
    const { udp, many, received, sent } = JSON.parse(ran.stdout) as Record<"udp" | "many" | "received" | "sent", Cost>;
    expect(udp.answered).toBe(packets);
    // The least heap object has 16 bytes: less than one for each packet of a batch is none.
    expect(udp.bytes).toBeLessThan(2);
    // One frame for sixteen, and the view that its bytes are copied by.
    expect(many.answered).toBe(packets / 16);
    expect(many.bytes).toBeLessThan(12);
    // Nothing for a segment: what is left is for each batch and each read or write, and its promises.
    expect(received.bytes).toBeLessThan(40);
    expect(sent.bytes).toBeLessThan(50);
  } finally {
    rmSync(file, { force: true });
  }
}, 150_000);
