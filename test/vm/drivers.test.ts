import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { MachineType } from "@tesserae/qemu/arguments";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { patience, TestMachine, vmUnavailable, type BuiltMachine } from "./test-machine.ts";
import { buildModule } from "./module-machine.ts";

// The suites of the signatures, run inside a machine by drivers/main.ts against the drivers of its devices.

const reason = vmUnavailable();
const folder = mkdtempSync(path.join(tmpdir(), "tesserae-drivers-"));
let machine: TestMachine | undefined;
afterEach(() => machine?.kill());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let built: Promise<BuiltMachine> | undefined;

/** Two network cards on one hub, two disks, a source of entropy and two consoles on one line, in QEMU's words. */
function devices(bus: "pci" | "device", more: string): readonly string[] {
  const disks = ["one", "two"].map((name) => {
    const file = path.join(folder, `${name}.raw`);
    writeFileSync(file, "");
    truncateSync(file, 2 ** 20);
    return `if=none,id=${name},format=raw,file=${file}`;
  });
  const line = path.join(folder, "console.sock");
  rmSync(line, { force: true });
  return [
    ...["-netdev", "hubport,hubid=0,id=left", "-netdev", "hubport,hubid=0,id=right"],
    ...["-device", `virtio-net-${bus},netdev=left${more}`, "-device", `virtio-net-${bus},netdev=right${more}`],
    ...["-drive", disks[0]!, "-drive", `${disks[1]!},read-only=on`],
    ...["-device", `virtio-blk-${bus},drive=one${more}`, "-device", `virtio-blk-${bus},drive=two${more}`],
    ...["-chardev", `socket,id=near,path=${line},server=on,wait=off`, "-chardev", `socket,id=far,path=${line}`],
    ...["-device", `virtio-serial-${bus},max_ports=1,id=nears`, "-device", "virtconsole,chardev=near,bus=nears.0"],
    ...["-device", `virtio-serial-${bus},max_ports=1,id=fars`, "-device", "virtconsole,chardev=far,bus=fars.0"],
  ];
}

const kinds: readonly {
  readonly name: string;
  readonly type: MachineType;
  readonly more: readonly string[];
  /** What the machine says that it can do about power. */
  readonly power: string;
}[] = [
  {
    name: "q35, messages for interrupts",
    type: "q35",
    more: devices("pci", ""),
    power: "off true, reset true, button true",
  },
  {
    name: "pc, lines for interrupts",
    type: "pc",
    more: devices("pci", ",vectors=0"),
    power: "off true, reset false, button true",
  },
  {
    name: "microvm, devices from ACPI",
    type: "microvm",
    more: devices("device", ""),
    power: "off true, reset true, button true",
  },
  {
    name: "microvm without ACPI, devices from the command line",
    type: "microvm",
    more: ["-M", "acpi=off", ...devices("device", "")],
    power: "off false, reset false, button false",
  },
];

const title = `the drivers keep their contracts${reason === undefined ? "" : ` (${reason})`}`;
describe.skipIf(reason !== undefined)(title, () => {
  test.each(kinds)(
    "on $name",
    async ({ type, more, power }) => {
      machine = await TestMachine.start(await (built ??= buildModule("drivers", "drivers/main.ts", folder)), {
        commandLine: type === "q35" ? "suite=random" : "",
        machine: type,
        networks: [],
        more,
      });
      const status = await machine.exited;
      const { output } = machine;
      expect(output.match(/^(failed|note).*$/gm), output).toBeNull();
      expect(output).toContain(`power: ${power}\n`);
      // Every suite was there.
      const suites = type === "q35" ? ["random"] : [];
      for (const suite of [...suites, "timers", "netif", "block", "read-only block", "console", "entropy"]) {
        expect(output).toMatch(new RegExp(`^passed ${suite}: `, "m"));
      }
      expect(output).toMatch(/^\d+ passed, 0 failed, 1 skipped$/m);
      expect(status).toBe(0);
    },
    patience,
  );
});
