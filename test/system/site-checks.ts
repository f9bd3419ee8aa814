import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { noise } from "../../examples/www/noise.ts";
import { loadSeconds, patience, transferBytes } from "./duration.ts";

/** What `examples/www` must do for real clients, wherever it runs. */

export const root = path.resolve(import.meta.dirname, "../..");
const siteFolder = path.join(root, "examples/www/site");

/** How a client command is run: on this host, or inside a network namespace. */
export interface Client {
  /** Where the site is, without a slash at the end. */
  readonly base: string;
  /** The command line that runs `command` where the client is. */
  shell(command: string): Promise<{ readonly status: number; readonly stdout: Buffer; readonly stderr: string }>;
}

/** A client on this host, or in a network namespace of it. */
export function clientFor(base: string, namespace?: string): Client {
  const within = namespace === undefined ? [] : ["ip", "netns", "exec", namespace];
  return {
    base,
    shell: (command) =>
      new Promise((resolve) => {
        const words = [...within, "bash", "-c", command];
        const child = spawn(words[0] ?? "", words.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
        const stdout: Buffer[] = [];
        let stderr = "";
        child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
        child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
        child.once("close", (status) => resolve({ status: status ?? -1, stdout: Buffer.concat(stdout), stderr }));
      }),
  };
}

async function output(client: Client, command: string): Promise<Buffer> {
  const { status, stdout, stderr } = await client.shell(command);
  expect({ command, status, stderr: status === 0 ? "" : stderr }).toEqual({ command, status: 0, stderr: "" });
  return stdout;
}

async function text(client: Client, command: string): Promise<string> {
  return (await output(client, command)).toString();
}

export const files = [
  ["/about.html", "about.html", "text/html"],
  ["/style.css", "style.css", "text/css"],
  ["/img/tiles.svg", "img/tiles.svg", "image/svg+xml"],
  ["/robots.txt", "robots.txt", "text/plain"],
  ["/", "index.html", "text/html"],
  ["/docs/", "docs/index.html", "text/html"],
] as const;

/** Every page with its bytes and media type, HEAD, redirects, and what is not there. */
export async function checkPages(client: Client): Promise<void> {
  for (const [url, file, type] of files) {
    const expected = readFileSync(path.join(siteFolder, file));
    const got = await output(client, `curl -sS --fail --max-time 60 '${client.base}${url}'`);
    expect(got.equals(expected), url).toBe(true);
    const head = await text(client, `curl -sS --max-time 60 -I '${client.base}${url}'`);
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    expect(head.toLowerCase()).toContain(`content-type: ${type}`);
    expect(head.toLowerCase()).toContain(`content-length: ${expected.length}`);
  }
  const redirect = await text(
    client,
    `curl -sS --max-time 60 -o /dev/null -w '%{http_code} %{redirect_url}' '${client.base}/docs'`,
  );
  expect(redirect).toMatch(/^30[1278] http.*\/docs\/$/);
  const missing = await text(client, `curl -sS --max-time 60 -o /dev/null -w '%{http_code}' '${client.base}/nowhere'`);
  expect(missing).toBe("404");
  expect(await text(client, `curl -sS --fail --max-time 60 '${client.base}/api/hello/you'`)).toBe('{"hello":"you"}');
  expect(await text(client, `curl -sS --fail --max-time 60 '${client.base}/now'`)).toContain("visit number");
}

/** Ranges (RFC 9110 §14) and conditional requests (§13). */
export async function checkRanges(client: Client): Promise<void> {
  const whole = readFileSync(path.join(siteFolder, "about.html"));
  const url = `'${client.base}/about.html'`;
  const first = await output(client, `curl -sS --fail --max-time 60 -r 0-99 ${url}`);
  expect(first.equals(whole.subarray(0, 100))).toBe(true);
  const last = await output(client, `curl -sS --fail --max-time 60 -r -10 ${url}`);
  expect(last.equals(whole.subarray(-10))).toBe(true);
  const several = await text(client, `curl -sS --fail --max-time 60 -i -r 0-1,5-9 ${url}`);
  expect(several).toContain("206 Partial Content");
  expect(several).toContain("multipart/byteranges");
  expect(several).toContain(`bytes 5-9/${whole.length}`);
  const beyond = await text(client, `curl -sS --max-time 60 -o /dev/null -D - -r 999999- ${url}`);
  expect(beyond).toContain("416");
  expect(beyond.toLowerCase()).toContain(`content-range: bytes */${whole.length}`);
  const head = await text(client, `curl -sS --max-time 60 -I ${url}`);
  const tag = /^etag: *(.+?)\r?$/im.exec(head)?.[1] ?? "";
  expect(tag).toMatch(/^"/);
  const unchanged = await text(client, `curl -sS --max-time 60 -i -H 'If-None-Match: ${tag}' ${url}`);
  expect(unchanged).toMatch(/^HTTP\/1\.1 304 /);
}

/** Several requests on one connection. */
export async function checkKeepAlive(client: Client): Promise<void> {
  const urls = files.map(([url]) => `-o /dev/null '${client.base}${url}'`).join(" ");
  const connects = await text(client, `curl -sS --fail --max-time 60 -w '%{num_connects} ' ${urls}`);
  expect(connects.trim().split(" ")).toEqual(["1", ...files.slice(1).map(() => "0")]);
}

/** `count` connections open at once, each asked twice; `opening` of them are opened at a time. */
export async function checkConcurrent(client: Client, count: number, opening = count): Promise<void> {
  const script = path.join(import.meta.dirname, "concurrent.mjs");
  const { hostname, port } = new URL(client.base);
  expect(JSON.parse(await text(client, `node ${script} ${hostname} ${port} ${count} ${opening}`))).toEqual({
    connected: count,
    mostOpen: count,
    answers: 2 * count,
    errors: [],
  });
}

/** SHA-256 of the first `bytes` bytes of the noise that `/noise/:bytes` serves. */
export async function noiseDigest(bytes: number): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of noise(bytes)) hash.update(chunk);
  return hash.digest("hex");
}

export async function checkDownload(client: Client, bytes: number, digest: string): Promise<void> {
  const sum = await text(client, `set -o pipefail; curl -sS --fail '${client.base}/noise/${bytes}' | sha256sum`);
  expect(sum.slice(0, 64)).toBe(digest);
}

export async function checkUpload(client: Client, bytes: number): Promise<void> {
  const source = `head -c ${bytes} /dev/zero | openssl enc -aes-128-ctr -nosalt -K 0123456789abcdef0123456789abcdef -iv 00`;
  const expected = await text(client, `set -o pipefail; ${source} 2>/dev/null | sha256sum`);
  const answer = await text(client, `${source} 2>/dev/null | curl -sS --fail -T - '${client.base}/digest'`);
  expect(answer.trim()).toBe(expected.slice(0, 64));
}

/** Load for `seconds`; every answer must be good. */
export async function checkLoad(client: Client, seconds: number, connections = 64): Promise<string> {
  const report = await text(client, `wrk -t1 -c${connections} -d${seconds}s --timeout 10s '${client.base}/about.html'`);
  expect(report).not.toMatch(/Socket errors|Non-2xx/);
  expect(Number(/(\d+) requests in/.exec(report)?.[1])).toBeGreaterThan(0);
  return report;
}

/** How much is asked of the site. */
export interface SiteExtent {
  /** Open at once. */
  readonly connections: number;
  /** Opened at a time. Default: all. */
  readonly opening?: number;
  /** Bytes of the large download and upload. */
  readonly transferBytes: number;
  /** Seconds of load. */
  readonly loadSeconds: number;
  /** That the load is on. Default 64. */
  readonly loadConnections?: number;
}

/** Everything that the site must do on a good path. */
export function siteTests(
  client: () => Client,
  extent: SiteExtent = { connections: 1000, transferBytes, loadSeconds },
): void {
  const { connections, opening } = extent;
  test("every page", () => checkPages(client()), patience);
  test("ranges and conditions", () => checkRanges(client()), patience);
  test("keep-alive", () => checkKeepAlive(client()), patience);
  test(
    `${connections.toLocaleString("en")} connections at once`,
    () => checkConcurrent(client(), connections, opening),
    patience,
  );
  test(
    "a large download",
    async () => checkDownload(client(), extent.transferBytes, await noiseDigest(extent.transferBytes)),
    patience,
  );
  test("a large upload", () => checkUpload(client(), extent.transferBytes), patience);
  test(
    "load",
    async () => console.log(await checkLoad(client(), extent.loadSeconds, extent.loadConnections)),
    patience,
  );
}
