import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { build } from "esbuild";
import { XenHost } from "@tesserae/xen-host/host";
import { createLinuxGuest } from "@tesserae/xen-host/linux-guest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../namespace/namespace.ts";
import { buildForVm } from "../vm/test-machine.ts";

// examples/xenstored as a domain of its own on real Xen: all that dom0's toolstack and kernel and the guests ask of
// xenstore goes to it, and it is replaced by newer code in the middle.

const reason = unavailable("qemu-system-x86_64", "gcc");
const minutes = 60_000;
/** All nodes with their permissions: a thousand requests, each through two domains that share an emulated processor. */
const listing = "xenstore-ls -fp";
/** A guest that watches its own node, and says what it hears. */
const listener = [
  "xenstore-watch data/word | while read path; do",
  'word=$(xenstore-read data/word 2>/dev/null); echo "HEARD $word"; done',
].join("\n");

describe.skipIf(reason !== undefined)(`a xenstore domain${reason === undefined ? "" : ` (${reason})`}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-store-domain-"));
  let host: XenHost;

  beforeAll(async () => {
    const tool = path.resolve("tool/cli/bin/tesserae.js");
    const words = [tool, "build", "examples/xenstored", "--target", "vm", "--no-check"];
    const built = spawnSync(process.execPath, words, { encoding: "utf8", timeout: 5 * minutes });
    expect(built.status, built.stderr).toBe(0);
    const image = path.resolve("examples/xenstored/.tesserae/vm/image");
    const store = { kernel: path.join(image, "kernel.elf"), ramdisk: path.join(image, "image.bin"), memory: 320 };
    const ours = (await buildForVm("examples/www", [], "xen")).files;
    const files = { "/root/www/kernel.elf": ours.kernel, "/root/www/image.bin": ours.image };
    host = await XenHost.start({ memory: 2048, dom0Memory: 640, timeout: 10 * minutes, store, files });
  }, 20 * minutes);
  afterAll(async () => {
    await host.close();
    rmSync(folder, { recursive: true });
  });

  test(
    "serves dom0, Linux and our guests, before and after its server is killed and replaced by newer code; nothing is left",
    async () => {
      const list = (): Promise<string> => host.sh(listing, { timeout: 10 * minutes });
      expect(await host.sh("xl list")).toMatch(/^Xenstore +1 /m);
      expect(await host.sh("xenstore-read /tool/xenstored/domid")).toBe("1\n");
      const one = await createLinuxGuest(host, { name: "one", interfaces: [{}], script: listener });
      await one.waitFor("HEARD", 10 * minutes);
      const word = `/local/domain/${String(one.id)}/data/word`;
      await host.sh(`xenstore-write ${word} before; xenstore-chmod ${word} n${String(one.id)}`);
      await one.waitFor("HEARD before");

      const ours = await host.createGuest({
        ...{ name: "ours", kernel: "/root/www/kernel.elf", ramdisk: "/root/www/image.bin", memory: 256 },
        interfaces: [{}],
      });
      const [, address = ""] = await ours.waitFor(/(10\.0\.2\.\d+)/, 10 * minutes);
      await ours.waitFor("serving", 10 * minutes);
      const page = readFileSync(path.resolve("examples/www/site/index.html"), "utf8");
      const fetchPage = (): Promise<string> => host.sh(`wget -q -O - http://${address}:8080/index.html`);
      expect(await fetchPage()).toBe(page);

      // The server dies in the middle of requests, of dom0's and of the guests', and none of them sees it.
      const whole = await list();
      await host.sh("for each in 1 2 3; do xenstore-control kill 1; xenstore-write /killed $each; done");
      expect(await host.sh("xenstore-read /killed; xenstore-rm /killed")).toBe("3\n");
      expect(await list()).toBe(whole);
      expect(await host.sh("xenstore-control memreport")).toMatch(/faults 3\n?$/);
      await host.sh(`xenstore-write ${word} survived`);
      await one.waitFor("HEARD survived");

      const newer = path.join(folder, "newer.mjs");
      await build({
        ...{ entryPoints: [path.resolve("lib/xenstore/server.ts")], outfile: newer, bundle: true, format: "esm" },
        ...{ conditions: ["tesserae-source"], minify: true, logLevel: "warning" },
      });
      await host.put(newer, "/root/newer.mjs");
      await host.sh("xenstore-control live-update /root/newer.mjs", { timeout: 5 * minutes });
      expect(await list()).toBe(whole.replace(`${word} = "before"`, `${word} = "survived"`));
      await host.sh(`xenstore-write ${word} after`);
      await one.waitFor("HEARD after");
      // It is asked to through a watch that it had set before.
      expect(await fetchPage()).toBe(page);
      expect(await ours.shutdown(10 * minutes), ours.console).toBe(0);

      const two = await createLinuxGuest(host, {
        name: "two",
        interfaces: [{}],
        script: "echo NAME $(xenstore-read name)",
      });
      await two.waitFor("NAME two", 10 * minutes);
      await two.ended;
      await host.sh("xl destroy one");
      await one.ended;
      expect(await host.sh("sleep 2; xenstore-control check")).toBe("OK\n");
      const left = await host.sh("xenstore-ls -f | grep -E '/(domain|vif|vm)/(2|3|4)(/|$)' || true");
      expect(left).toBe("");
      expect(await host.sh("xenstore-control memreport")).toMatch(/domains 1, .*transactions 0/);
    },
    30 * minutes,
  );
});
