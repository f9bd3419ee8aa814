import { afterAll, beforeAll, describe, expect } from "vitest";
import { missing } from "../../scripts/prerequisites.mjs";
import { patience } from "./duration.ts";
import { LaunchedImage } from "./launched-image.ts";
import { clientFor, siteTests } from "./site-checks.ts";

const lacking = missing().filter(({ command }) => command === "curl" || command === "wrk");
const reason = lacking.map(({ command, debian }) => `needs ${command}, Debian package ${debian}`).join(", ");
const port = 18_080;

const client = clientFor(`http://127.0.0.1:${port}`);

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
