import { afterAll, beforeAll, describe, expect } from "vitest";
import { withoutPrograms } from "../programs.ts";
import { patience } from "./duration.ts";
import { LaunchedImage } from "./launched-image.ts";
import { clientFor, siteTests } from "./site-checks.ts";

const reason = withoutPrograms("curl", "wrk");
const port = 18_080;

const client = clientFor(`http://127.0.0.1:${port}`);

describe.skipIf(reason !== undefined)(
  `examples/www on the node target${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let image: LaunchedImage;

    beforeAll(async () => {
      image = await LaunchedImage.start(["examples/www", "--target", "node", "--port", String(port)], "serving");
    }, patience);

    afterAll(async () => {
      expect(await image.stop(), image.output).toBe(0);
    }, patience);

    siteTests(() => client);
  },
);
