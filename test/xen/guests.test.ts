import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { sha256 } from "@tesserae/cli/manifest";
import { XenGuest } from "@tesserae/xen-host/guest";
import type { XenHost } from "@tesserae/xen-host/host";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noise } from "../../examples/www/noise.ts";
import { unavailable } from "../namespace/namespace.ts";
import { driverDomains, parts, writeParts } from "./driver-domains.ts";
import { VchanPair } from "./vchan-pair.ts";
import { patience, XenBench, xenUnavailable } from "./xen-host.ts";

// Images of ours as guests of the real Xen, in QEMU: one boot of it for all that is here.

const reason = await xenUnavailable();
/** How long the web server is under load beside other guests. More than a minute is all the load that dom0 can make. */
const loadSeconds = Number(process.env["XEN_LOAD_SECONDS"] ?? 60);
const withoutDig = unavailable("dig");
const withoutCompiler = unavailable("gcc");
/** Xen's own library for vchans, of Debian's libxenmisc4.17. */
const vchanLibrary = "/usr/lib/x86_64-linux-gnu/libxenvchan.so.4.17";
/** Where dom0 keeps a saved guest: in memory. */
const saved = "/tmp/saved";
const downloadBytes = 6 * 2 ** 20;
/** MiB for an image of ours that does little: what is saved and restored is all of it. */
const little = 160;
const site = path.resolve(import.meta.dirname, "../../examples/www/site");

describe.skipIf(reason !== undefined)(`on Xen${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  let bench: XenBench;
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-xen-guests-"));
  beforeAll(async () => {
    const apps = {
      ...{ hello: "examples/hello", www: "examples/www", nameserver: "examples/nameserver" },
      ...{ disk: "test/fixtures/apps/disk", vchan: "examples/vchan" },
      ...{ "network-driver": "examples/network-driver", "disk-driver": "examples/disk-driver" },
    };
    const files = { [parts]: { file: writeParts(folder), readOnly: false } };
    bench = await XenBench.start(apps, { memory: 2048, dom0Memory: 768, files });
  }, patience);
  afterAll(async () => {
    await bench.host.close();
    rmSync(folder, { recursive: true });
  });

  test(
    "a guest writes on its console, keeps time, and ends with its status",
    async () => {
      const guest = await bench.create("hello", { commandLine: "times=2 name=Xen", memory: little });
      const status = await guest.waitForEnd();
      expect([status, guest.console]).toEqual([0, expect.stringContaining("hello, Xen (2 of 2)")]);
      expect(guest.console).toContain("hello, Xen (1 of 2)\nhello, Xen (2 of 2)\n");
      const refused = await bench.create("hello", { commandLine: "tims=2", memory: little });
      expect(await refused.waitForEnd()).toBe(2);
      expect(refused.console).toContain('did you mean "times"');
      expect(await bench.host.sh("xl list | wc -l")).toBe("2\n");
    },
    patience,
  );

  test(
    "disks are read and written, and dom0 finds the bytes",
    async () => {
      const { host } = bench;
      for (const name of ["first", "second"]) {
        await host.sh(`dd if=/dev/zero of=/tmp/${name}.raw bs=1M count=4 2>/dev/null`);
        await host.sh(`printf 'from dom0 ${name.slice(0, 3)}' | dd of=/tmp/${name}.raw conv=notrunc 2>/dev/null`);
      }
      const disks = [
        { file: "/tmp/first.raw", device: "xvda" },
        { file: "/tmp/second.raw", device: "xvdb" },
      ];
      const guest = await bench.create("disk", { disks, memory: little });
      await guest.waitForEnd();
      expect(guest.console).toContain('first: 8192 sectors, "from dom0 fir"\nsecond: 8192 sectors, "from dom0 sec"\n');
      for (const name of ["first", "second"]) {
        const bytes = await host.get(`/tmp/${name}.raw`);
        expect(bytes.toString("latin1", 0, 16).replace(/\0.*$/s, "")).toBe(`${name} was here`);
        expect(bytes.length).toBe(4 * 2 ** 20);
      }
    },
    patience,
  );

  let web: Loaded | undefined;
  test(
    "a web server is reached from dom0 and from this machine",
    async () => {
      const { host } = bench;
      // It may have more memory, some time, than it starts with.
      const guest = await bench.create("www", {
        interfaces: [{}],
        memory: little + 16,
        commandLine: "kernel.grants=2",
        more: [`maxmem = ${little + 48}`],
      });
      const [, address = ""] = await guest.waitFor(/(10\.0\.2\.\d+)/);
      await guest.waitFor("serving");
      expect(await host.sh("xl debug-keys g; xl dmesg")).toContain(`remote d${guest.id} (v2)`);
      const files = filesOf(site);
      const urls = files.map((file) => `http://${address}:8080/${file}`);
      const hashes = await host.sh(`for each in ${urls.join(" ")}; do wget -q -O - $each | sha256sum; done`);
      const expected = files.map((file) => `${sha256(readFileSync(path.join(site, file)))}  -\n`);
      expect(hashes).toBe(expected.join(""));
      const port = await host.forward(8080, address);
      const response = await fetch(`http://127.0.0.1:${String(port)}/`);
      expect(await response.text()).toBe(readFileSync(path.join(site, "index.html"), "utf8"));
      web = { guest, address, counts: load(host, address, loadSeconds) };
      web.counts.catch(() => undefined);
    },
    patience,
  );

  test.skipIf(withoutDig !== undefined)(
    `the name server answers dig over UDP and TCP${withoutDig === undefined ? "" : ` (${withoutDig})`}`,
    async () => {
      const { host } = bench;
      const guest = await bench.create("nameserver", { interfaces: [{}], memory: little });
      const [, address = ""] = await guest.waitFor(/(10\.0\.2\.\d+)/);
      await guest.waitFor("answering");
      const port = String(await host.forward(5300, address));
      const dig = async (...words: string[]): Promise<string> => {
        const all = ["@127.0.0.1", "-p", port, "+timeout=20", "+tries=2", ...words];
        return (await promisify(execFile)("dig", all)).stdout;
      };
      expect(await dig("+short", "ftp.example.org")).toBe("www.example.org.\n192.0.2.80\n");
      expect(await dig("+short", "+tcp", "host77.example.org")).toBe("10.0.0.77\n");
      expect(await dig("nobody.example.org")).toMatch(/status: NXDOMAIN[^]*flags: qr aa[^]*\bSOA\b/);
      expect(await guest.shutdown(), guest.console).toBe(0);
      expect(guest.console).toContain("answered");
    },
    patience,
  );

  test(
    "two guests move the same bytes over a vchan and over TCP, both ways",
    async () => {
      const pair = await VchanPair.start(bench);
      for (const direction of ["send", "receive"] as const) {
        for (const kind of ["vchan", "tcp"] as const) {
          const { milliseconds, sent, received } = await pair.transfer(kind, direction, 40_003);
          expect([kind, direction, received]).toEqual([kind, direction, sent]);
          expect(milliseconds).toBeGreaterThan(0);
        }
      }
      expect(await pair.stop(), pair.client.console + pair.server.console).toEqual([0, 0]);
    },
    patience,
  );

  test.skipIf(withoutCompiler !== undefined)(
    `a C program in dom0 speaks over a vchan with a guest, by Xen's own library${withoutCompiler === undefined ? "" : ` (${withoutCompiler})`}`,
    async () => {
      const { host } = bench;
      const program = path.join(folder, "vchan-cat");
      const source = path.join(import.meta.dirname, "vchan-cat.c");
      execFileSync("gcc", ["-O2", "-Wall", "-Werror", "-o", program, source, vchanLibrary]);
      await host.put(program, "/root/vchan-cat");
      await host.put(vchanLibrary, `/lib/x86_64-linux-gnu/${path.basename(vchanLibrary)}`);
      await host.sh("head -c 100000 /dev/urandom > /tmp/there");
      const hash = async (file: string): Promise<string> => (await host.sh(`sha256sum < ${file}`)).slice(0, 64);

      // The guest serves: what is sent is answered with a zero and its digest, what is asked for comes behind its digest.
      const server = await bench.create("vchan", { interfaces: [{}], commandLine: "peer=0" });
      await server.waitFor("serving");
      const home = `/local/domain/${String(server.id)}/data`;
      await host.sh(`xenstore-write ${home}/peer 0`);
      await server.waitFor("offering");
      const ask = async (count: number, ...parts: readonly string[]): Promise<void> => {
        const client = `timeout 900 /root/vchan-cat client ${String(server.id)} ${home}/vchan ${String(count)}`;
        // Xen's library does not wait for the next offer: it is in xenstore only once the guest has seen the last client go.
        const script = [
          `{ ${parts.join("; ")}; } > /tmp/request; tries=0`,
          `until ${client} < /tmp/request > /tmp/answer; do`,
          "tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1; sleep 1; done",
        ].join("\n");
        await host.sh(script, { timeout: patience });
      };
      const size = "\\000\\001\\206\\240";
      await ask(33, `printf '\\001${size}'`, "cat /tmp/there");
      expect((await host.get("/tmp/answer")).toString("hex")).toBe(`00${await hash("/tmp/there")}`);
      // As many bytes as a client may take at once do not fit into the ring.
      await ask(100_032, `printf '\\002${size}\\001'`);
      const answer = await host.get("/tmp/answer");
      expect(answer).toHaveLength(100_032);
      expect(sha256(answer.subarray(32))).toBe(answer.toString("hex", 0, 32));
      expect(await server.shutdown(), server.console).toBe(0);

      // And dom0 serves: a digest and bytes, for a guest that asks for them.
      await host.sh(`printf '%b' "$(sha256sum < /tmp/there | cut -c 1-64 | sed 's/../\\\\x&/g')" > /tmp/digest`);
      const client = await bench.create("vchan", { interfaces: [{}], commandLine: "role=ask peer=0" });
      const offered = "/local/domain/0/data/vchan";
      const serving = host.sh(
        `cat /tmp/digest /tmp/there | timeout 900 /root/vchan-cat server ${String(client.id)} ${offered} > /tmp/asked`,
        { timeout: patience },
      );
      await client.waitFor("connected by vchan:");
      await client.type("vchan receive 100000\n");
      const [, sent = "", received] = await client.waitFor(/sha256 sent (\w{64}), received (\w{64})/);
      expect([sent, received]).toEqual([await hash("/tmp/there"), await hash("/tmp/there")]);
      await client.type("quit\n");
      expect(await client.waitForEnd(), client.console).toBe(0);
      await serving;
      expect((await host.get("/tmp/asked")).toString("hex")).toBe("02000186a000");
    },
    patience,
  );

  test(
    "a guest that cannot start, and one that panics, say why in one line, and the toolstack hears of a crash",
    async () => {
      const small = await bench.create("hello", { memory: 88 });
      expect(await small.waitForEnd(), small.console).toBe(102);
      expect(small.console).toMatch(
        /^\[kernel\] out of memory: of 88 MiB RAM the image leaves \d+, and \d+ are the least/m,
      );
      const wrong = await bench.create("hello", { ramdisk: "/root/hello/kernel.elf" });
      expect(await wrong.waitForEnd(), wrong.console).toBe(103);
      const broken = await bench.create("hello", { commandLine: "kernel.fault=panic", onCrash: "preserve" });
      await broken.waitFor("[kernel] exit 101");
      expect(broken.console).toMatch(/panic: requested on the command line\n(.*\n)*\[kernel\] {3}at .* kmain/);
      const state = async (): Promise<string> => (await bench.host.sh("xl list hello")).split(/\s+/).at(-3) ?? "";
      await expect.poll(state, { timeout: patience, interval: 500 }).toMatch(/^.{4}c.$/);
      await broken.destroy();
      expect(await broken.waitForEnd()).toBe(101);
    },
    patience,
  );

  test(
    "a guest is made anew when the toolstack reboots it",
    async () => {
      const { host } = bench;
      const guest = await bench.create("hello", { commandLine: "times=1000", memory: 128 });
      await guest.waitFor("hello, world (1 of");
      await host.sh("xl reboot hello");
      expect(await guest.waitForEnd(), guest.console).toBe(0);
      const id = Number(await host.sh("until xl domid hello 2>/dev/null; do sleep 1; done", { timeout: patience }));
      expect(id).toBeGreaterThan(guest.id);
      const second = new XenGuest(host, "hello", id);
      // The log is the first one's, too.
      await second.waitFor(/\(1 of 1000\)[^]*\(1 of 1000\)[^]*\(2 of 1000\)/);
      expect(await second.shutdown(), second.console).toBe(0);
    },
    patience,
  );
  test(
    "driver domains of ours serve network cards and disks to guests of ours and to a Linux guest",
    () => driverDomains(bench),
    patience,
  );

  test(
    "the web server has given the right page all the while; it is saved and restored in the middle of a download",
    async () => {
      const { host } = bench;
      if (web === undefined) throw new Error("it was not started");
      const { guest, address, counts } = web;
      for (const count of await counts) expect(count).toBeGreaterThan(0);
      expect(await host.sh("timeout 2 xl console -t pv www </dev/null; xl list www | tail -1")).toContain("www");
      await setMemory(host, "www", little);
      // Dom0 takes its time until there is /tmp/go, and keeps little of what it has not read.
      await host.sh("rm -f /tmp/go /tmp/got; echo 4096 65536 131072 > /proc/sys/net/ipv4/tcp_rmem");
      const slowly = [
        `wget -q -O - http://${address}:8080/noise/${String(downloadBytes)} | while :; do`,
        "dd bs=64k count=1 iflag=fullblock of=/tmp/part 2>/dev/null; [ -s /tmp/part ] || break",
        "cat /tmp/part >> /tmp/got; [ -e /tmp/go ] || sleep 0.3; done",
        "sha256sum < /tmp/got",
      ].join("\n");
      const download = host.sh(slowly, { timeout: patience });
      const got = async (): Promise<number> => Number(await host.sh("stat -c %s /tmp/got 2>/dev/null || echo 0"));
      await expect.poll(got, { timeout: patience, interval: 100 }).toBeGreaterThan(0);
      await guest.save(saved);
      expect(await got()).toBeLessThan(downloadBytes / 2);
      expect((await host.run("xl domid www")).status).not.toBe(0);

      const restored = await host.restoreGuest("www", saved);
      expect(restored.id).toBeGreaterThan(guest.id);
      await host.sh("touch /tmp/go");
      await setMemory(host, "www", little + 32);
      const whole = new Uint8Array(await new Response(noise(downloadBytes)).arrayBuffer());
      expect(await download, restored.console).toContain(sha256(whole));
      expect(await restored.shutdown(), restored.console).toBe(0);
      expect((await host.run("xl domid www")).status).not.toBe(0);
    },
    patience + loadSeconds * 1000,
  );
});

/** Gives a guest more memory or less, in MiB, and waits until it has that. */
async function setMemory(host: XenHost, name: string, memory: number): Promise<void> {
  await host.sh(`xl mem-set ${name} ${memory}m`);
  const held = async (): Promise<number> => Number((await host.sh(`xl list ${name} | tail -1`)).split(/\s+/)[2]);
  await expect.poll(held, { timeout: patience, interval: 500 }).toBe(memory);
}

/** Files below a folder, with paths relative to it. */
function filesOf(folder: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter((name) => statSync(path.join(folder, name)).isFile());
}

interface Loaded {
  readonly guest: XenGuest;
  readonly address: string;
  /** How many pages each of those who ask has got. */
  readonly counts: Promise<readonly number[]>;
}

/** Asks a web server from dom0 for its pages, again and again, and compares them with what they should be. */
async function load(host: XenHost, address: string, seconds: number): Promise<readonly number[]> {
  const pages = ["index.html", "about.html", "style.css", "img/tiles.svg"];
  await host.put(Buffer.concat(pages.map((page) => readFileSync(path.join(site, page)))), "/tmp/pages");
  const urls = pages.map((page) => `http://${address}:8080/${page}`).join(" ");
  // The shell's own means: to start a program costs an emulated dom0 more than a page.
  const script = [
    "now() { read -r now rest < /proc/uptime; now=${now%.*}; }",
    `now; end=$((now + ${String(seconds)})); n=0`,
    "work() { while now; [ $now -lt $end ]; do",
    `wget -q -O - ${urls} | cmp -s - /tmp/pages || { echo bad; exit 1; }`,
    `n=$((n + ${String(pages.length)})); ${seconds > 60 ? ":" : "usleep 700000"}; done; echo $n; }`,
    "work & work & wait",
  ].join("\n");
  const counts = (await host.sh(script, { timeout: patience + seconds * 1000 })).trim().split("\n");
  expect(counts).toHaveLength(2);
  return counts.map(Number);
}
