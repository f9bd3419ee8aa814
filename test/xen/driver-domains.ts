// Images of ours as driver domains of the real Xen, for guests of ours and for Linux.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { sha256 } from "@tesserae/cli/manifest";
import type { XenGuest } from "@tesserae/xen-host/guest";
import { createLinuxGuest } from "@tesserae/xen-host/linux-guest";
import { expect } from "vitest";
import type { XenBench } from "./xen-host.ts";

const site = path.resolve(import.meta.dirname, "../../examples/www/site");
const pages = ["index.html", "robots.txt"];
/** The path in dom0 of the disk that the driver domain for disks cuts into parts. */
export const parts = "/root/parts";
const sectors = 4096;
const half = sectors * 512;
/** MiB of each of ours. */
const memory = 160;

/** Writes what {@link parts} is. @returns its path on this machine */
export function writeParts(folder: string): string {
  const file = path.join(folder, "parts");
  const contents = Buffer.alloc(2 * half);
  contents.write("the first");
  contents.write("the second", half);
  writeFileSync(file, contents);
  return file;
}

/**
 * A driver domain for networks and one for disks serve a web server of ours, an image of ours that writes on disks, and
 * a Linux; guests come and go, and one is left by its driver domain.
 *
 * @param bench has `network-driver`, `disk-driver`, `www`, `disk`, and {@link parts}
 */
export async function driverDomains(bench: XenBench): Promise<void> {
  const { host } = bench;
  const network = await bench.create("network-driver", { interfaces: [{}], memory });
  const disk = await bench.create("disk-driver", { disks: [{ file: parts, device: "xvda" }], memory });
  await network.waitFor("bridging");
  await disk.waitFor("ready");
  const before = await left(bench);

  const interfaces = [{ backend: "network-driver" }];
  const www = await tried(() => bench.create("www", { name: "behind", interfaces, memory }));
  const [, address = ""] = await www.waitFor(/(10\.0\.2\.\d+)/);
  await www.waitFor("serving");
  await network.waitFor(` connected name=vif${String(www.id)}.0`);
  const fetchAll = pages.map((page) => `wget -q -O - http://${address}:8080/${page} | sha256sum`).join("; ");
  const hashes = pages.map((page) => `${sha256(readFileSync(path.join(site, page)))}  -\n`).join("");
  expect(await host.sh(fetchAll)).toBe(hashes);

  const from = { backend: "disk-driver" };
  const first = { ...from, file: `0+${String(sectors)}`, device: "xvda" };
  const second = { ...from, file: `${String(sectors)}+${String(sectors)}`, device: "xvdb" };
  const writer = await tried(() => bench.create("disk", { disks: [first, second], memory }));
  expect(await writer.waitForEnd(), writer.console).toBe(0);
  expect(writer.console).toContain('first: 4096 sectors, "the first"\nsecond: 4096 sectors, "the second"\n');

  const script = [
    "ip link set eth0 up; ip addr add 10.0.2.99/24 dev eth0",
    // Linux takes its interface for ready before the back end is: the first questions are not answered.
    `until wget -q -O /dev/null http://${address}:8080/robots.txt; do sleep 1; done 2>/dev/null; ${fetchAll}`,
    // It writes one disk, and may only read the other.
    "dd if=/dev/xvdb bs=512 count=1 2>/dev/null | tr -d '\\0'; echo",
    "seq 1 60000 | dd of=/dev/xvda bs=64k seek=1 conv=fsync 2>/dev/null && echo written",
    "dd if=/dev/zero of=/dev/xvdb bs=512 count=1 conv=fsync 2>/dev/null || echo refused",
  ].join("\n");
  const disks = [first, { ...second, readOnly: true }];
  const linux = await tried(() => createLinuxGuest(host, { name: "linux", script, interfaces, disks }));
  await linux.waitForEnd();
  expect(linux.console.replaceAll("\r", "")).toContain(`${hashes}second was here\nwritten\nrefused\n`);

  const written = Array.from({ length: 60_000 }, (_, index) => `${String(index + 1)}\n`).join("");
  const read = `dd if=${parts} iflag=direct bs=64k 2>/dev/null`;
  const bytes = (await host.run(`${read} count=8`)).output;
  expect(bytes.toString("latin1", 0, 14)).toBe("first was here");
  expect(sha256(bytes.subarray(65_536, 65_536 + written.length))).toBe(sha256(written));
  const behind = (await host.run(`${read} skip=${String(half / 65_536)} count=1`)).output;
  expect(behind.toString("latin1", 0, 15)).toBe("second was here");
  // xl has waited until the driver domains had removed what they had of those guests.
  await network.waitFor(`disconnected name=vif${String(linux.id)}.0`);
  expect(await host.sh(`xenstore-list /local/domain/${String(network.id)}/backend/vif`)).toBe(`${String(www.id)}\n`);

  await network.destroy();
  await www.waitFor("device/vif/0: the back end is not there; waiting for another");
  expect(await www.shutdown(), www.console).toBe(0);
  expect(await left(bench)).toBe(before.replaceAll(new RegExp(`^${String(network.id)}\n`, "gm"), ""));
  expect(await disk.shutdown(), disk.console).toBe(0);
}

/** What xenstore has of guests, and of devices that other domains than dom0 serve. */
function left({ host }: XenBench): Promise<string> {
  const served = "xenstore-ls -f /local/domain | grep '^/local/domain/[1-9][0-9]*/backend/v'";
  return host.sh(`xenstore-list /local/domain; xenstore-list /libxl; ${served}; :`);
}

/** xl gives a driver domain ten seconds to answer; where the emulated host has little of a processor, that is too few. */
async function tried(create: () => Promise<XenGuest>): Promise<XenGuest> {
  for (let tries = 1; ; tries++) {
    try {
      return await create();
    } catch (error) {
      if (tries === 5 || !String(error).includes("unable to add")) throw error;
    }
  }
}
