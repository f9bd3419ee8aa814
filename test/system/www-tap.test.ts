import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Namespace, netemUnavailable, unavailable } from "../namespace/namespace.ts";
import { garbageSeconds, lossyBytes, loadSeconds, patience } from "./duration.ts";
import { LaunchedImage } from "./launched-image.ts";
import {
  checkConcurrent,
  checkDownload,
  checkLoad,
  checkPages,
  checkRanges,
  checkUpload,
  clientFor,
  noiseDigest,
  siteTests,
  type Client,
} from "./site-checks.ts";

const reason = unavailable("curl", "wrk", "tshark", "tc", "ping");

/** Some kernels are built without netem. There our own faults stand in (`--loss`, `--delay`). */
const netem = netemUnavailable() === undefined;

function clientIn(namespace: Namespace): Client {
  return clientFor("http://10.0.0.2:8080", namespace.name);
}

function start(host: Namespace, ...flags: readonly string[]): Promise<LaunchedImage> {
  const args = ["examples/www", "--target", "tap", "--tap", "tap0", "--host-address", "10.0.0.1/24"];
  return LaunchedImage.start([...args, "--ipv4", "10.0.0.2/24 via 10.0.0.1", ...flags], "serving", host.name);
}

const skipped = reason === undefined ? "" : ` (${reason})`;

describe.skipIf(reason !== undefined)(`examples/www on our stack, against the kernel's TCP${skipped}`, () => {
  let host: Namespace;
  let image: LaunchedImage;
  let client: Client;

  beforeAll(async () => {
    host = Namespace.create();
    client = clientIn(host);
    image = await start(host);
  }, patience);

  afterAll(async () => {
    expect(await image.stop(), image.output).toBe(0);
    host.destroy();
  }, patience);

  siteTests(() => client);

  test(
    "serves on under hostile frames, in bounded memory",
    async () => {
      await checkPages(client);
      const mac = /lladdr (\S+)/.exec(host.run("ip", ["neigh", "show", "10.0.0.2", "dev", "tap0"]))?.[1] ?? "";
      expect(mac).toMatch(/^[0-9a-f:]{17}$/);
      const before = image.memory;
      const script = path.join(import.meta.dirname, "garbage-sender.mjs");
      const sending = host.ran(process.execPath, [script, "tap0", mac, "10.0.0.2", "8080", String(garbageSeconds)]);
      let during = before;
      let served = 0;
      let done = false;
      void sending.then(() => {
        done = true;
      });
      while (!(done as boolean)) {
        await checkPages(client);
        served++;
        during = Math.max(during, image.memory);
      }
      const { status, stdout } = await sending;
      expect(status).toBe(0);
      await checkPages(client);
      const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
      console.log(
        `${stdout.trim()} hostile frames in ${garbageSeconds} s; the site was read ${served} times meanwhile; ` +
          `resident memory ${megabytes(before)} MB before, at most ${megabytes(during)} MB during, ` +
          `${megabytes(image.memory)} MB after`,
      );
      expect(Number(stdout)).toBeGreaterThan(1000);
      expect(served).toBeGreaterThan(0);
      expect(during).toBeLessThan(before + 300e6);
    },
    patience,
  );
});

const impairment = netem ? "tc netem" : "faults on the interface, this kernel has no netem";
describe.skipIf(reason !== undefined)(`examples/www over a bad path by ${impairment}${skipped}`, () => {
  let router: Namespace;
  let visitor: Namespace;
  let image: LaunchedImage;
  let client: Client;

  // visitor --veth-- router --tap-- image; 5 % loss and 25 ms each way
  beforeAll(async () => {
    router = Namespace.create();
    visitor = Namespace.create();
    router.ip(`link add v0 type veth peer name v1 netns ${visitor.name}`);
    router.ip("address add 10.1.0.1/24 dev v0");
    router.ip("link set v0 up");
    visitor.ip("address add 10.1.0.2/24 dev v1");
    visitor.ip("link set v1 up");
    visitor.ip("route add default via 10.1.0.1");
    router.run("sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
    if (netem) {
      router.netem("v0", { loss: 0.05, delay: 25 });
      visitor.netem("v1", { loss: 0.05, delay: 25 });
    }
    client = clientIn(visitor);
    image = await start(router, ...(netem ? [] : ["--loss", "0.05", "--delay", "25"]));
  }, patience);

  afterAll(async () => {
    expect(await image.stop(), image.output).toBe(0);
    visitor.destroy();
    router.destroy();
  }, patience);

  test("every page", () => checkPages(client), patience);
  test("ranges and conditions", () => checkRanges(client), patience);
  test("1,000 connections at once", () => checkConcurrent(client, 1000), patience);
  test("a download", async () => checkDownload(client, lossyBytes, await noiseDigest(lossyBytes)), patience);
  test("an upload", () => checkUpload(client, lossyBytes), patience);
  test("load", async () => console.log(await checkLoad(client, loadSeconds)), patience);
});

describe.skipIf(reason !== undefined)(`a capture of examples/www${skipped}`, () => {
  test(
    "tshark reads it, and finds no malformed packet and no bad checksum",
    async () => {
      const host = Namespace.create();
      const folder = mkdtempSync(path.join(tmpdir(), "tesserae-capture-"));
      const file = path.join(folder, "www.pcapng");
      try {
        const image = await start(host, "--pcap", file);
        const client = clientIn(host);
        await checkPages(client);
        await checkUpload(client, 300_000);
        await checkDownload(client, 300_000, await noiseDigest(300_000));
        host.run("ping", ["-c", "3", "-i", "0.2", "-s", "3000", "10.0.0.2"]);
        expect(await image.stop()).toBe(0);
        expect(existsSync(file)).toBe(true);
        const read = (filter: string): string[] => {
          const checks = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"];
          const flags = checks.flatMap((each) => ["-o", `${each}:TRUE`]);
          const args = ["-r", file, ...flags, "-Y", filter];
          const { stdout, stderr, status } = spawnSync("tshark", args, { encoding: "utf8", maxBuffer: 1e9 });
          expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
          return stdout.split("\n").filter((line) => line !== "");
        };
        const bad = 'ip.checksum.status == "Bad" || tcp.checksum.status == "Bad" || udp.checksum.status == "Bad"';
        expect(read(`_ws.malformed || ${bad} || icmp.checksum.status == "Bad"`)).toEqual([]);
        expect(read("http.request").length).toBeGreaterThan(10);
        expect(read("icmp.type == 0").length).toBeGreaterThanOrEqual(3);
      } finally {
        host.destroy();
        rmSync(folder, { recursive: true, force: true });
      }
    },
    patience,
  );
});
