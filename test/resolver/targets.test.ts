// examples/resolver on our own stack over a tap device: a name server of the host's, asked by our resolver, asked by dig.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { nsd } from "../dns/servers/nsd.ts";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { patience } from "../system/duration.ts";
import { LaunchedImage } from "../system/launched-image.ts";

process.env["PATH"] = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
const missing = unavailable("nsd", "dig");

test.skipIf(missing !== undefined)(
  `the resolver over a tap device, by UDP and by TCP (${missing ?? "NSD and dig"})`,
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "tesserae-resolver-tap-"));
    const namespace = Namespace.create();
    try {
      const flags = ["--target", "tap", "--tap", "tap0", "--host-address", "10.0.0.1/24"];
      const args = ["examples/resolver", ...flags, "--roots", "ns=10.0.0.1", "--anchors", "off"];
      const image = await LaunchedImage.start(args, "resolving", namespace.name, 1800);
      const many = Array.from({ length: 200 }, (_, at) => `many A 192.0.2.${at}`);
      const file = path.join(folder, "zone.root");
      const lines = [
        "$ORIGIN .",
        "$TTL 300",
        "@ SOA ns admin 1 2 3 4 5",
        "@ NS ns",
        "ns A 10.0.0.1",
        "www A 192.0.2.80",
      ];
      writeFileSync(file, `${[...lines, "alias CNAME www", ...many].join("\n")}\n`);
      const serving = { address: "10.0.0.1", port: 53, zones: [{ apex: ".", file }], folder: path.join(folder, "nsd") };
      const server = nsd.configure(serving);
      namespace.start(server.program, server.args);
      const dig = async (...words: string[]): Promise<string> => {
        const said = await namespace.succeeds("dig", ["@10.0.0.2", "+tries=10", "+time=2", "+short", ...words]);
        return said.trim();
      };
      expect(await dig("www", "A")).toBe("192.0.2.80");
      expect(await dig("+tcp", "alias", "A")).toBe("www.\n192.0.2.80");
      expect(await dig("localhost", "AAAA")).toBe("::1");
      // The name server's answer does not fit a datagram, nor does ours.
      expect((await dig("many", "A")).split("\n")).toHaveLength(200);
      expect(await image.stop()).toBe(0);
    } finally {
      namespace.destroy();
      rmSync(folder, { recursive: true, force: true });
    }
  },
  patience,
);
