import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing } from "../../scripts/prerequisites.mjs";
import { loadSeconds, patience, transferBytes } from "./duration.ts";
import { LaunchedImage } from "./launched-image.ts";
import {
  checkConcurrent,
  checkDownload,
  checkKeepAlive,
  checkLoad,
  checkPages,
  checkRanges,
  checkUpload,
  noiseDigest,
  type Client,
} from "./site-checks.ts";

const lacking = missing().filter(({ command }) => command === "curl" || command === "wrk");
const reason = lacking.map(({ command, debian }) => `needs ${command}, Debian package ${debian}`).join(", ");
const port = 18_080;

const client: Client = {
  base: `http://127.0.0.1:${port}`,
  shell: (command) =>
    new Promise((resolve) => {
      const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "pipe"] });
      const stdout: Buffer[] = [];
      let stderr = "";
      child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
      child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      child.once("close", (status) => resolve({ status: status ?? -1, stdout: Buffer.concat(stdout), stderr }));
    }),
};

describe.skipIf(reason !== "")(`examples/www on the node target${reason === "" ? "" : ` (${reason})`}`, () => {
  let image: LaunchedImage;

  beforeAll(async () => {
    image = await LaunchedImage.start(["examples/www", "--target", "node", "--port", String(port)], "serving");
  }, patience);

  afterAll(async () => {
    expect(await image.stop(), image.output).toBe(0);
  }, patience);

  test("every page", () => checkPages(client), patience);
  test("ranges and conditions", () => checkRanges(client), patience);
  test("keep-alive", () => checkKeepAlive(client), patience);
  test("1,000 connections at once", () => checkConcurrent(client, 1000), patience);
  test(
    "a large download",
    async () => checkDownload(client, transferBytes, await noiseDigest(transferBytes)),
    patience,
  );
  test("a large upload", () => checkUpload(client, transferBytes), patience);
  test("load", async () => console.log(await checkLoad(client, loadSeconds)), patience);
});
