import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { XenGuest } from "@tesserae/xen-host/guest";
import { createLinuxGuest } from "@tesserae/xen-host/linux-guest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noise } from "../../examples/www/noise.ts";
import { unavailable } from "../namespace/namespace.ts";
import { VchanPair } from "./vchan-pair.ts";
import { patience, XenBench, xenUnavailable } from "./xen-host.ts";

// Images of ours as guests of the real Xen, in QEMU: one boot of it for all that is here.

const reason = await xenUnavailable();
/** How long the web server is under load. */
const loadSeconds = Number(process.env["XEN_LOAD_SECONDS"] ?? 5);
const withoutDig = unavailable("dig");
const withoutCompiler = unavailable("gcc");
/** Xen's own library for vchans, of Debian's libxenmisc4.17. */
const vchanLibrary = "/usr/lib/x86_64-linux-gnu/libxenvchan.so.4.17";
/** The path in dom0 of the disk that a saved guest is written to; as much as one has of memory, and some. */
const saved = "/root/saved";
const savedBytes = 320 * 2 ** 20;
const downloadBytes = 6 * 2 ** 20;
const site = path.resolve(import.meta.dirname, "../../examples/www/site");

describe.skipIf(reason !== undefined)(`on Xen${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  let bench: XenBench;
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-xen-guests-"));
  beforeAll(async () => {
    const file = path.join(folder, "saved");
    writeFileSync(file, "");
    truncateSync(file, savedBytes);
    const apps = {
      ...{ hello: "examples/hello", www: "examples/www", nameserver: "examples/nameserver" },
      ...{ disk: "test/fixtures/apps/disk", vchan: "examples/vchan" },
    };
    bench = await XenBench.start(apps, { files: { [saved]: { file, readOnly: false } } });
  }, patience);
  afterAll(async () => {
    await bench.host.close();
    rmSync(folder, { recursive: true });
  });

  test(
    "a guest writes on its console, keeps time, and ends with its status",
    async () => {
      const guest = await bench.create("hello", { commandLine: "times=2 name=Xen" });
      const status = await guest.waitForEnd();
      expect([status, guest.console]).toEqual([0, expect.stringContaining("hello, Xen (2 of 2)")]);
      expect(guest.console).toContain("hello, Xen (1 of 2)\nhello, Xen (2 of 2)\n");
      const refused = await bench.create("hello", { commandLine: "tims=2" });
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
      const guest = await bench.create("disk", { disks });
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

  test(
    "a web server is reached from dom0, from this machine and from a Linux guest, under load, and shuts down",
    async () => {
      const { host } = bench;
      const guest = await bench.create("www", { interfaces: [{}] });
      const [, address = ""] = await guest.waitFor(/(10\.0\.2\.\d+)/);
      await guest.waitFor("serving");
      for (const file of filesOf(site)) {
        const hash = createHash("sha256")
          .update(readFileSync(path.join(site, file)))
          .digest("hex");
        const got = await host.sh(`wget -q -O - http://${address}:8080/${file} | sha256sum`);
        expect(got.split(" ")[0], file).toBe(hash);
      }
      const port = await host.forward(8080, address);
      const response = await fetch(`http://127.0.0.1:${String(port)}/`);
      expect(await response.text()).toBe(readFileSync(path.join(site, "index.html"), "utf8"));

      const script = `ip link set eth0 up; ip addr add 10.0.2.99/24 dev eth0; wget -q -O - http://${address}:8080/robots.txt`;
      const linux = await createLinuxGuest(host, { name: "linux", script, interfaces: [{}] });
      await linux.waitForEnd();
      expect(linux.console).toContain(readFileSync(path.join(site, "robots.txt"), "utf8").trim());

      const load = [
        `end=$(($(date +%s) + ${String(loadSeconds)}))`,
        "work() { n=0",
        "while [ $(date +%s) -lt $end ]; do",
        `wget -q -O - http://${address}:8080/index.html | cmp -s - /tmp/index.html || { echo bad; exit 1; }`,
        "n=$((n + 1)); done; echo $n; }",
        "work & work & work & work & wait",
      ].join("\n");
      await host.put(path.join(site, "index.html"), "/tmp/index.html");
      const counts = (await host.sh(load, { timeout: patience })).trim().split("\n");
      expect(counts).toHaveLength(4);
      for (const count of counts) expect(Number(count)).toBeGreaterThan(0);

      expect(await host.sh(`timeout 5 xl console -t pv www </dev/null; xl list www | tail -1`)).toContain("www");
      expect(await guest.shutdown(), guest.console).toBe(0);
      expect((await host.run("xl domid www")).status).not.toBe(0);
    },
    patience,
  );

  test(
    "a web server is saved and restored in the middle of a download, which has every byte",
    async () => {
      const { host } = bench;
      const guest = await bench.create("www", { interfaces: [{}] });
      const [, address = ""] = await guest.waitFor(/(10\.0\.2\.\d+)/);
      await guest.waitFor("serving");
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
      const whole = new Uint8Array(await new Response(noise(downloadBytes)).arrayBuffer());
      expect(await download, restored.console).toContain(createHash("sha256").update(whole).digest("hex"));
      expect(await restored.shutdown(), restored.console).toBe(0);
    },
    patience,
  );

  test.skipIf(withoutDig !== undefined)(
    `the name server answers dig over UDP and TCP${withoutDig === undefined ? "" : ` (${withoutDig})`}`,
    async () => {
      const { host } = bench;
      const guest = await bench.create("nameserver", { interfaces: [{}] });
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
          const { milliseconds, sent, received } = await pair.transfer(kind, direction, 100_003);
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
      await host.sh("head -c 300000 /dev/urandom > /tmp/there");
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
      const size = "\\000\\004\\223\\340";
      await ask(33, `printf '\\001${size}'`, "cat /tmp/there");
      expect((await host.get("/tmp/answer")).toString("hex")).toBe(`00${await hash("/tmp/there")}`);
      // As many bytes as a client may take at once do not fit into the ring.
      await ask(300_032, `printf '\\002${size}\\001'`);
      const answer = await host.get("/tmp/answer");
      expect(answer).toHaveLength(300_032);
      expect(createHash("sha256").update(answer.subarray(32)).digest("hex")).toBe(answer.toString("hex", 0, 32));
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
      await client.type("vchan receive 300000\n");
      const [, sent = "", received] = await client.waitFor(/sha256 sent (\w{64}), received (\w{64})/);
      expect([sent, received]).toEqual([await hash("/tmp/there"), await hash("/tmp/there")]);
      await client.type("quit\n");
      expect(await client.waitForEnd(), client.console).toBe(0);
      await serving;
      expect((await host.get("/tmp/asked")).toString("hex")).toBe("02000493e000");
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
});

/** Files below a folder, with paths relative to it. */
function filesOf(folder: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter((name) => statSync(path.join(folder, name)).isFile());
}
