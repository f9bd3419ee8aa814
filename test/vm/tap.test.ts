import { afterAll, beforeAll, describe, expect } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { patience } from "../system/duration.ts";
import { LaunchedImage } from "../system/launched-image.ts";
import { clientFor, siteTests } from "../system/site-checks.ts";
import { siteExtent } from "./extent.ts";
import { vmUnavailable } from "./test-machine.ts";

// `tesserae run --target vm --tap`: the site's suite again, against the kernel's TCP and with connections all at once.

const reason = vmUnavailable() ?? unavailable("curl", "wrk");

describe.skipIf(reason !== undefined)(`a machine on a tap device${reason === undefined ? "" : ` (${reason})`}`, () => {
  let namespace: Namespace;
  let image: LaunchedImage;

  beforeAll(async () => {
    namespace = Namespace.create();
    image = await LaunchedImage.start(
      ["examples/www", "--target", "vm", "--tap", "tap0"],
      "serving",
      namespace.name,
      3000,
    );
  }, patience);

  afterAll(async () => {
    expect(await image.stop(), image.output).toBe(0);
    namespace.destroy();
  }, patience);

  const { connections, transferBytes, loadSeconds } = siteExtent;
  siteTests(() => clientFor("http://10.0.0.2:8080", namespace.name), { connections, transferBytes, loadSeconds });
});
