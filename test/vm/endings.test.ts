import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { buildForVm, patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// How an image ends, and what it says when something is wrong: one clear line and a status that is not 0.

const reason = vmUnavailable();
const folder = mkdtempSync(path.join(tmpdir(), "tesserae-endings-"));
let machine: TestMachine | undefined;
afterEach(() => machine?.kill());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs an application to its end. */
async function run(app: string, commandLine: string, more: Parameters<typeof TestMachine.start>[1] = {}) {
  machine = await TestMachine.start(await buildForVm(app), { commandLine, networks: [], ...more });
  const status = await machine.exited;
  return { status, output: machine.output };
}

describe.skipIf(reason !== undefined)(`endings${reason === undefined ? "" : ` (${reason})`}`, () => {
  const conduct = "test/fixtures/apps/conduct";

  test("when main is done: status 0", async () => expect((await run(conduct, "how=end")).status).toBe(0), patience);

  test.each([
    ["throw", "Error: main failed"],
    ["reject-unhandled", "Error: nobody cares"],
    ["throw-later", "TypeError: out of the blue"],
  ])(
    "by %s: the error with its stack, status 1",
    async (how, words) => {
      const { status, output } = await run(conduct, `how=${how}`);
      expect(status, output).toBe(1);
      expect(output).toContain(words);
      expect(output).toMatch(/^ {4}at .*\/app\/main\.mjs:\d+:\d+/m);
    },
    patience,
  );

  test(
    "by process.exit: with that status",
    async () => expect((await run(conduct, "how=exit")).status).toBe(7),
    patience,
  );

  test(
    "when nothing can wake main any more",
    async () => {
      const { status, output } = await run(conduct, "how=stuck");
      expect(status, output).toBe(1);
      expect(output).toContain("conduct: main waits for something that can never happen");
    },
    patience,
  );

  test(
    "when the heap is full: V8's own words, and not the kernel's",
    async () => {
      const { status, output } = await run(conduct, "how=heap");
      expect(status, output).toBeGreaterThan(0);
      expect(output).toContain("JavaScript heap out of memory");
      expect(output).not.toContain("panic");
    },
    patience,
  );

  test(
    "at the power button: the signal aborts, and who listens hears SIGTERM",
    async () => {
      const app = await buildForVm(conduct);
      machine = await TestMachine.start(app, { commandLine: "how=listen-for-sigterm", networks: [] });
      await machine.waitFor("ending by");
      expect(await machine.powerOff(), machine.output).toBe(0);
      expect(machine.output).toContain("heard SIGTERM");
      expect(machine.output).toContain("the signal aborted");
    },
    patience,
  );

  test(
    "at the second press: at once, with the status of a signal",
    async () => {
      machine = await TestMachine.start(await buildForVm(conduct), { commandLine: "how=wait", networks: [] });
      await machine.waitFor("ending by");
      // Presses within three seconds are one.
      await machine.machine.powerButton();
      const again = setInterval(() => void machine?.machine.powerButton().catch(() => undefined), 3500);
      expect(await machine.exited, machine.output).toBe(64 + 15);
      clearInterval(again);
    },
    patience,
  );

  test(
    "at Ctrl-C on the console",
    async () => {
      machine = await TestMachine.start(await buildForVm(conduct), {
        commandLine: "how=listen-for-sigterm",
        networks: [],
      });
      await machine.waitFor("ending by");
      machine.write("\x03");
      expect(await machine.exited, machine.output).toBe(0);
      expect(machine.output).toContain("the signal aborted");
    },
    patience,
  );

  test(
    "what is typed on the console is read",
    async () => {
      machine = await TestMachine.start(await buildForVm(conduct), { commandLine: "how=ask", networks: [] });
      await machine.waitFor("ending by");
      machine.write("late\n");
      expect(await machine.exited, machine.output).toBe(0);
      expect(machine.output).toContain("it is late");
    },
    patience,
  );

  test(
    "an unknown key, a key that is malformed, and help",
    async () => {
      const unknown = await run(conduct, "hwo=end");
      expect(unknown.status, unknown.output).toBe(2);
      expect(unknown.output).toContain(
        'conduct: unknown key "hwo" (did you mean "how"?); the word help lists them all\n',
      );
      const malformed = await run(conduct, "how=never");
      expect(malformed.status, malformed.output).toBe(2);
      expect(malformed.output).toMatch(/^conduct: --how: "never" is not "end" or /m);
      const help = await run(conduct, "console=ttyS0 help");
      expect(help.status, help.output).toBe(0);
      expect(help.output).toMatch(/^ {2}how=CHOICE +how to end/m);
    },
    patience,
  );

  test(
    "no network card where the image needs one",
    async () => {
      const { status, output } = await run("examples/echo", "");
      expect(status, output).toBe(1);
      expect(output).toMatch(
        /^echo: device "netif" needs a network card, and this machine has no network card \(.*\)$/m,
      );
    },
    patience,
  );

  test(
    "a network card from before virtio 1.0",
    async () => {
      const card = "virtio-net-pci,netdev=net,disable-modern=on,disable-legacy=off,romfile=";
      const more = ["-netdev", "hubport,hubid=0,id=net", "-device", card];
      const { status, output } = await run("examples/echo", "kernel.quiet", { more });
      expect(status, output).toBe(1);
      expect(output).toMatch(
        /^echo: device "netif" needs a network card, .*; passed over: .*00:\w\w\.0: no virtio 1\.0 registers \(legacy; QEMU wants disable-modern=off\)\n\[kernel\] exit 1\n$/,
      );
    },
    patience,
  );

  test(
    "too little memory, for the image or beside it",
    async () => {
      await expect(run(conduct, "", { memory: 64 })).rejects.toThrow("does not fit into the machine's memory");
      const { files } = await buildForVm(conduct);
      const { status, output } = await run(conduct, "", { memory: Math.ceil(files.bytes / 2 ** 20) + 4 });
      expect(status, output).toBe(102);
      expect(output).toMatch(
        /^\[kernel\] out of memory: of \d+ MiB RAM the image leaves \d+, and \d+ are the least .*$/m,
      );
    },
    patience,
  );

  test(
    "little memory beside the image: enough to run, and V8 is who runs out of it",
    async () => {
      const { files } = await buildForVm(conduct);
      const least = Math.ceil(files.bytes / 2 ** 20);
      expect((await run(conduct, "how=end", { memory: least + 24 })).status).toBe(0);
      const { status, output } = await run(conduct, "how=heap", { memory: least + 16 });
      expect(status, output).toBe(64 + 6);
      expect(output).toMatch(/^FATAL ERROR: .*JavaScript heap out of memory$/m);
      expect(output).toMatch(/\n\[kernel\] program killed by signal 6\n\[kernel\] exit 70\n$/);
    },
    patience,
  );

  test(
    "an image that was cut short",
    async () => {
      const app = await buildForVm(conduct);
      const image = path.join(folder, "short.bin");
      writeFileSync(image, readFileSync(app.files.image).subarray(0, 10_000_000));
      const { status, output } = await run(conduct, "", { image });
      expect(status, output).toBeGreaterThan(0);
      expect(output).toMatch(/^\[kernel\] .*image/m);
    },
    patience,
  );

  test(
    "disks in the order given, kept from run to run; one too few is named",
    async () => {
      const disks = ["a", "b"].map((name, index) => {
        const file = path.join(folder, name);
        writeFileSync(file, `disk ${name}`);
        truncateSync(file, (index + 1) * 2 ** 20);
        return file;
      });
      for (const type of ["q35", "microvm"] as const) {
        const { status, output } = await run("test/fixtures/apps/disk", "", { blocks: disks, machine: type });
        expect(status, output).toBe(0);
        const before = type === "q35" ? ["disk a", "disk b"] : ["first was here", "second was here"];
        expect(output).toContain(`first: 2048 sectors, "${before[0] ?? ""}"`);
        expect(output).toContain(`second: 4096 sectors, "${before[1] ?? ""}"`);
      }
      expect(readFileSync(disks[1] ?? "", "utf8").slice(0, 15)).toBe("second was here");
      const lacking = await run("test/fixtures/apps/disk", "", { blocks: disks.slice(0, 1) });
      expect(lacking.status, lacking.output).toBe(1);
      expect(lacking.output).toContain('disk: device "second" needs a disk, and this machine has only 1 of the kind');
    },
    patience,
  );
});

describe.skipIf(reason !== undefined)("Node.js's own networking", () => {
  test(
    "node:http serves over our stack, and fetch asks over it",
    async () => {
      machine = await TestMachine.start(await buildForVm("test/fixtures/apps/node-server"), { forward: [8080] });
      await machine.waitFor("listening");
      await machine.waitFor("localhost=127.0.0.1");
      const answer = await fetch(`http://127.0.0.1:${String(machine.port(8080))}/outer`);
      expect([answer.status, await answer.text()]).toEqual([200, "GET /outer: from inside"]);
      expect(await machine.powerOff(), machine.output).toBe(0);
    },
    patience,
  );
});
