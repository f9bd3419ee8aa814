import { XenHost } from "@tesserae/xen-host/host";
import { describe, expect, test } from "vitest";
import { patience, xenUnavailable } from "./xen-host.ts";

const reason = await xenUnavailable();

describe.skipIf(reason !== undefined)(`a Xen host with oxenstored${reason === undefined ? "" : ` (${reason})`}`, () => {
  test(
    "its toolstack asks it",
    async () => {
      const host = await XenHost.start({ store: "oxenstored", timeout: patience });
      try {
        expect(await host.sh("pidof oxenstored")).toMatch(/^\d+\n$/);
        expect(await host.sh("xl list")).toMatch(/^Domain-0 +0 /m);
        expect(await host.sh("xenstore-write /a b; xenstore-read /a")).toBe("b\n");
      } finally {
        await host.close();
      }
    },
    patience,
  );
});
