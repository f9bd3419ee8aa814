// Applications written for Node.js's own modules, on our stack over a tap device, with the kernel as their peer.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { LaunchedImage } from "../system/launched-image.ts";

const reason = unavailable("curl");
const patience = 120_000;
let namespace: Namespace;
let image: LaunchedImage;

/** Starts it in a namespace of its own. */
async function start(app: string, ready: string, ...flags: readonly string[]): Promise<void> {
  namespace = Namespace.create();
  const network = ["--host-address", "10.0.0.1/24", "--ipv4", "10.0.0.2/24 via 10.0.0.1"];
  const args = [`test/fixtures/apps/${app}`, "--target", "tap", ...network, ...flags];
  image = await LaunchedImage.start(args, ready, namespace.name);
}

async function stop(): Promise<void> {
  const status = await image.stop();
  namespace.destroy();
  expect(status, image.output).toBe(0);
}

const curl = (...args: string[]): Promise<string> => namespace.succeeds("curl", ["-sS", "--fail", "-m", "20", ...args]);

const skipped = reason === undefined ? "" : ` (${reason})`;

describe.skipIf(reason !== undefined)(`frameworks on a tap device${skipped}`, { timeout: patience }, () => {
  beforeAll(() => start("frameworks", "all three listen"), patience);
  afterAll(stop, patience);

  test.each([
    ["Express", 3001],
    ["Fastify", 3002],
    ["Hono", 3003],
  ])("%s answers", async (_, port) => {
    const base = `http://10.0.0.2:${String(port)}`;
    const json = ["-H", "content-type: application/json", "-d", '{"from":"outside"}'];
    expect(JSON.parse(await curl(...json, `${base}/hello/you`))).toEqual({ from: "outside", hello: "you" });
    expect(await curl(`${base}/long`)).toBe("a line of text\n".repeat(20_000));
    // It is not the kernel of the namespace that listens.
    expect(namespace.run("ss", ["-tln"])).not.toContain(String(port));
  });
});

describe.skipIf(reason !== undefined)(`Node.js's modules on a tap device${skipped}`, { timeout: patience }, () => {
  beforeAll(() => start("node-server", "listening", "--port", "8080"), patience);
  afterAll(stop, patience);

  test("node:http answers, and asks itself with fetch, inside the stack", async () => {
    expect(image.output).toContain("localhost=127.0.0.1");
    expect(await curl("http://10.0.0.2:8080/outer")).toBe("GET /outer: from inside");
  });
});
