import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { missing } from "../../scripts/prerequisites.mjs";
import { patience } from "./duration.ts";
import { LaunchedImage } from "./launched-image.ts";
import { siteTests, type Client } from "./site-checks.ts";

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

  siteTests(() => client);
});
