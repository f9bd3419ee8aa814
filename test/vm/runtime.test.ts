import path from "node:path";
import { buildImage } from "@tesserae/vm-image/build-image";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { kernelCache, patience, TestMachine, vmUnavailable, type BuiltMachine } from "./test-machine.ts";

// A stock Node.js on the kernel, without our libraries. What is checked is in test/fixtures/guest.

const reason = vmUnavailable();
const root = path.resolve(import.meta.dirname, "../..");
const output = path.join(root, "node_modules/.cache/tesserae-guest");
let app: BuiltMachine;
let machine: TestMachine | undefined;
afterEach(() => machine?.kill());

async function start(run: string): Promise<TestMachine> {
  machine = await TestMachine.start(app, { commandLine: `run=${run}`, networks: [] });
  return machine;
}

describe.skipIf(reason !== undefined)(`Node.js on the kernel${reason === undefined ? "" : ` (${reason})`}`, () => {
  beforeAll(async () => {
    const bundle = path.join(root, "test/fixtures/guest");
    const { kernel, image, manifest } = await buildImage({ bundle, output, cache: kernelCache });
    const files = { kernel: kernel.file, image: image.file, manifest, bytes: image.size, sizes: [], formats: {} };
    app = { name: "guest", files };
  }, patience);

  test.each(["files", "machine", "refusals", "loop", "workers", "wasm"])(
    "%s",
    async (name) => {
      const { exited } = await start(name);
      expect(await exited, machine?.output).toBe(0);
      expect(machine?.output).toContain(`${name}: ok`);
    },
    patience,
  );

  test(
    "standard input is what is typed on the console",
    async () => {
      const typed = await start("input");
      await typed.waitFor("type something");
      typed.write("hello\r");
      expect(await typed.exited, typed.output).toBe(0);
      expect(typed.output).toContain('it was "hello\\n"');
    },
    patience,
  );
});
