import { nodeFlags } from "@tesserae/node/boot";
import { simFlags } from "@tesserae/sim/settings";
import { tapFlags } from "@tesserae/tap/flags";
import { vmFlags } from "@tesserae/vm/flags";
import { machineFlags } from "@tesserae/cli/machine-flags";
import { xenFlags } from "@tesserae/cli/xen-flags";
import { expect, test } from "vitest";
import { targets } from "./target.ts";

// The tool knows the flags without loading the targets, which an application need not have installed.
test.each([
  ["node", nodeFlags],
  ["tap", tapFlags],
  ["sim", simFlags],
] as const)("the flags of target %s are those that its boot understands", (name, flags) => {
  const known = targets.find((each) => each.name === name)?.flags;
  expect(known).toEqual(Object.fromEntries(flags.map((flag) => [flag.name, flag.value ?? ""])));
});

test.each([
  ["vm", machineFlags],
  ["xen", xenFlags],
] as const)(
  "the flags of target %s are those of its boot, and those of the machine that it is run in",
  (name, flags) => {
    const known = Object.entries(targets.find((each) => each.name === name)?.flags ?? {});
    expect(known.slice(0, vmFlags.length)).toEqual(vmFlags.map((flag) => [flag.name, flag.value ?? ""]));
    expect(known.slice(vmFlags.length).map(([flag]) => flag)).toEqual([...flags]);
  },
);

test("every target is tested here", () => {
  expect(targets.map((each) => each.name)).toEqual(["node", "tap", "sim", "vm", "xen"]);
});
