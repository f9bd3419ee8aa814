// Runs inside a machine: the suites of all signatures that its devices have, against the real drivers. A line for each
// case and a last line with the counts; see ../drivers.test.ts.
import { readFileSync } from "node:fs";
import process from "node:process";
import { blockSuite, readOnlyBlockSuite } from "@tesserae/conformance/block";
import { consoleSuite } from "@tesserae/conformance/console";
import { netifSuite } from "@tesserae/conformance/netif";
import { randomSuite } from "@tesserae/conformance/random";
import { runSuite, type Outcome, type Suite } from "@tesserae/conformance/suite";
import { timersSuite } from "@tesserae/conformance/timers";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { discover } from "@tesserae/vm/machine";
import { createVirtioBlock } from "@tesserae/vm/virtio/block";
import { createVirtioConsole, openConsolePort } from "@tesserae/vm/virtio/console";
import { createVirtioEntropy, stirEntropy } from "@tesserae/vm/virtio/entropy";
import { createVirtioNet } from "@tesserae/vm/virtio/net";
import { deviceType } from "@tesserae/vm/virtio/transport";
import { openWindow } from "@tesserae/vm/window/window";

const window = openWindow();
const machine = discover(window);
for (const note of machine.notes) console.log(`note: ${note}`);
console.log(`devices: ${machine.devices.map(({ place, type }) => `${place} ${type}`).join(", ")}`);
const { off, reset, button } = machine.power;
console.log(`power: off ${String(off)}, reset ${String(reset)}, button ${String(button)}`);

const counts = { passed: 0, failed: 0, skipped: 0 };
const ofType = (type: number) => machine.devices.filter((device) => device.type === type);

function show(suite: string, outcomes: readonly Outcome[]): void {
  for (const { name, status, error } of outcomes) {
    counts[status]++;
    const why = error instanceof Error ? `: ${error.message}` : "";
    console.log(`${status} ${suite}: ${name}${status === "passed" ? "" : why}`);
  }
}

/** A subject for each case, and its end. */
async function each<Subject>(
  suite: string,
  cases: Suite<Subject>,
  make: () => Promise<Subject>,
  end: (subject: Subject) => Promise<unknown>,
): Promise<void> {
  for (const one of cases) {
    let subject: Subject | undefined;
    show(suite, await runSuite([one], async () => (subject = await make())));
    if (subject !== undefined) await end(subject);
  }
}

// A case of the timers' throws on purpose; anything else is an end.
process.on("uncaughtException", (error) => {
  if (error.message.includes("deliberately thrown")) return;
  console.log(error.stack);
  process.exit(1);
});

const timers = createTimers();
await each(
  "timers",
  timersSuite,
  async () => timers,
  async () => undefined,
);
// It is the same on every kind of machine, and takes long.
if (readFileSync("/proc/cmdline", "utf8").includes("suite=random")) {
  await each(
    "random",
    randomSuite,
    async () => createRandom(),
    async () => undefined,
  );
}

const [one, two] = ofType(deviceType.net);
if (one !== undefined && two !== undefined) {
  await each(
    "netif",
    netifSuite,
    async () => {
      const [a, b] = await Promise.all([
        createVirtioNet({ device: one, name: "eth0" }),
        createVirtioNet({ device: two, name: "eth1" }),
      ]);
      return { a, b, timers };
    },
    ({ a, b }) => Promise.all([a.close(), b.close()]),
  );
}

const disks = ofType(deviceType.block);
if (disks[0] !== undefined) {
  const disk = disks[0];
  await each(
    "block",
    blockSuite,
    async () => {
      const block = await createVirtioBlock({ device: disk });
      const reopen = async () => {
        await block.close();
        return createVirtioBlock({ device: disk });
      };
      return { block, reopen };
    },
    ({ block }) => block.close(),
  );
}
if (disks[1] !== undefined) {
  const disk = disks[1];
  const make = async () => ({ block: await createVirtioBlock({ device: disk }) });
  await each("read-only block", readOnlyBlockSuite, make, ({ block }) => block.close());
}

const [near, far] = ofType(deviceType.console);
if (near !== undefined && far !== undefined) {
  await each(
    "console",
    consoleSuite,
    async () => {
      const console = await createVirtioConsole({ device: near });
      const port = await openConsolePort({ device: far });
      const decoder = new TextDecoder();
      let output = "";
      port.on("data", (bytes: Uint8Array) => (output += decoder.decode(bytes, { stream: true })));
      const type = (text: string): void => void port.write(text);
      return { console, timers, output: () => output, type, port };
    },
    async ({ console, port }) => {
      port.destroy();
      await console.close();
    },
  );
}

const sources = ofType(deviceType.entropy);
if (sources[0] !== undefined) {
  const signal = AbortSignal.timeout(20_000);
  const entropy = await createVirtioEntropy({ device: sources[0] });
  const first = await entropy.read({ signal });
  const second = await entropy.read({ signal });
  await entropy.close();
  const same = first.length === second.length && first.every((byte, index) => byte === second[index]);
  const stirred = await stirEntropy(sources, { signal });
  const passed = first.length > 0 && !same && stirred > 0;
  counts[passed ? "passed" : "failed"]++;
  console.log(`${passed ? "passed" : "failed"} entropy: two requests of ${first.length} bytes differ`);
}

console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed === 0 ? 0 : 1);
