// Catalog zones (RFC 9432): BIND follows ours, we follow Knot's.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { IpAddress } from "@tesserae/device/address";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { CatalogConsumer, makeCatalog } from "@tesserae/dns/transfer/catalog";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../../namespace/namespace.ts";
import { bind } from "../servers/bind.ts";
import { knot } from "../servers/knot.ts";
import { startServer } from "../servers/running.ts";
import { loopback, startOurs, until, zoneLines, zoneOf } from "./our-server.ts";

const run = promisify(execFile);
const reason = unavailable("dig", "knotd", "named");
const catalog = nameFromText("catalog.test.");

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe.skipIf(reason !== undefined)(`catalogs${reason === undefined ? "" : `: ${reason}`}`, () => {
  let folder: string;
  let local: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "tesserae-catalog-"));
    local = path.join(folder, "local");
    await writeFile(local, zoneLines("local.test.", 1).join("\n") + "\n");
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("BIND serves what our catalog lists, and no more what it lists no more", async () => {
    const members = ["one.test.", "two.test."].map((apex) => zoneOf(apex, zoneLines(apex, 1)));
    const ours = await startOurs({ transfer: [{ from: loopback }] }, [...members, makeCatalog(catalog, 1, members)]);
    closers.push(ours.close);
    const extra = `zone "catalog.test" { type secondary; primaries port ${ours.port} { 127.0.0.1; }; allow-notify { any; }; file "catalog"; };`;
    const options = `catalog-zones { zone "catalog.test" default-primaries port ${ours.port} { 127.0.0.1; } min-update-interval 1; };`;
    const running = await startServer(bind, [{ apex: "local.test.", file: local }], folder, {
      BIND: extra,
      "BIND options": options,
    });
    closers.push(() => running.close());
    const dig = async (name: string) =>
      (await run("dig", ["@127.0.0.1", "-p", String(running.port), "+tries=1", "+time=1", "+short", "A", name])).stdout;
    for (const zone of ["one", "two"]) {
      await until(`BIND has ${zone}.test`, async () =>
        (await dig(`ns.${zone}.test`)) === "127.0.0.1\n" ? true : undefined,
      );
    }
    const peer = { address: IpAddress.loopback4, port: running.port };
    ours.keeper.policies.set(catalog, { transfer: [{ from: loopback }], notify: [peer] });
    ours.zones.replace(makeCatalog(catalog, 2, members.slice(1)));
    await until("BIND has one.test no more", async () => ((await dig("ns.one.test")) === "" ? true : undefined));
    expect(await dig("ns.two.test")).toBe("127.0.0.1\n");
  });

  test("we serve what Knot's catalog lists", async () => {
    const file = path.join(folder, "member");
    await writeFile(file, zoneLines("member.test.", 1).join("\n") + "\n");
    const extra = `zone:
  - domain: catalog.test
    catalog-role: generate
    acl: [transfers]
  - domain: member.test
    file: ${file}
    catalog-role: member
    catalog-zone: catalog.test
    acl: [transfers]
`;
    const running = await startServer(knot, [{ apex: "local.test.", file: local }], folder, { Knot: extra });
    closers.push(() => running.close());
    const ours = await startOurs({});
    closers.push(ours.close);
    const peer = { address: IpAddress.loopback4, port: running.port };
    const consumer = new CatalogConsumer({
      ...{ zones: ours.zones, secondaries: ours.keeper.secondaries, catalog },
      policyOf: () => ({ primaries: [peer] }),
    });
    ours.keeper.secondaries.add(catalog, { primaries: [peer] });
    const zone = await until("the member", () => ours.zones.get(nameFromText("member.test.")));
    expect(zone.serial).toBe(1);
    expect(consumer.members.length).toBe(1);
    // A broken catalog changes nothing; one without the zone takes it away.
    ours.zones.replace(zoneOf("catalog.test.", ["catalog.test. 0 IN SOA invalid. invalid. 4000000000 1 1 1 1"]));
    expect(ours.zones.has(nameFromText("member.test."))).toBe(true);
    ours.zones.replace(makeCatalog(catalog, 4_000_000_001, []));
    expect(ours.zones.has(nameFromText("member.test."))).toBe(false);
  });
});
