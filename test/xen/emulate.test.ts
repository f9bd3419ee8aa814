import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { LaunchedImage } from "../system/launched-image.ts";
import { patience, xenUnavailable } from "./xen-host.ts";

// What docs/xen.md begins with: `tesserae run --target xen --emulate`, as a user types it.

const reason = await xenUnavailable();
const page = path.resolve(import.meta.dirname, "../../examples/www/site/index.html");

/** A TCP port of 127.0.0.1 that nobody has right now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

const skipped = reason === undefined ? "" : ` (skipped: ${reason})`;

describe.skipIf(reason !== undefined)(`tesserae run --target xen --emulate${skipped}`, () => {
  let image: LaunchedImage | undefined;
  afterEach(() => image?.kill());

  test(
    "boots Xen, forwards the port to the guest, and Ctrl-C shuts it down with status 0",
    async () => {
      const port = await freePort();
      const flags = ["--target", "xen", "--emulate", "--port", String(port)];
      image = await LaunchedImage.start(["examples/www", ...flags], "serving", undefined, patience / 100);
      const response = await fetch(`http://127.0.0.1:${String(port)}/`);
      expect(await response.text()).toBe(readFileSync(page, "utf8"));
      expect(await image.stop(), image.output).toBe(0);
      // The kernel's last line is for programs, and not for those who read the console.
      expect(image.output).not.toContain("[kernel] exit");
    },
    2 * patience,
  );
});
