import { afterAll, beforeAll, describe, expect } from "vitest";
import { withoutPrograms } from "../programs.ts";
import { patience as longPatience } from "../system/duration.ts";
import { clientFor, siteTests } from "../system/site-checks.ts";
import { siteExtent } from "./extent.ts";
import { buildForVm, TestMachine, vmUnavailable } from "./test-machine.ts";

// The suite of the site, as the other targets pass it, through QEMU's network in user space.

const reason = vmUnavailable() ?? withoutPrograms("curl", "wrk", "openssl");

describe.skipIf(reason !== undefined)(`examples/www in a machine${reason === undefined ? "" : ` (${reason})`}`, () => {
  let machine: TestMachine;

  beforeAll(async () => {
    machine = await TestMachine.start(await buildForVm("examples/www"), { forward: [8080] });
    await machine.waitFor("serving");
  }, longPatience);

  afterAll(async () => {
    expect(await machine.powerOff(), machine.output).toBe(0);
  }, longPatience);

  siteTests(() => clientFor(`http://127.0.0.1:${String(machine.port(8080))}`), siteExtent);
});
