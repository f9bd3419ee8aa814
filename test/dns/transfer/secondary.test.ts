// Our server as the secondary of NSD, Knot and BIND: transfers, NOTIFY, IXFR, TSIG.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { IpAddress } from "@tesserae/device/address";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../../namespace/namespace.ts";
import { bind } from "../servers/bind.ts";
import { knot } from "../servers/knot.ts";
import { nsd } from "../servers/nsd.ts";
import { startServer } from "../servers/running.ts";
import { keyArgument, secret, sharedKey, startOurs, textOf, until, zoneLines, zoneOf } from "./our-server.ts";

const run = promisify(execFile);
const apex = "example.test.";
const name = nameFromText(apex);
const reason = unavailable("nsupdate", "nsd", "knotd", "named");

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Zones that the servers' own programs or nsupdate may change, and which they notify us of. */
const configurations = {
  NSD: (port: number, file: string) => `key:
  name: "shared.test"
  algorithm: hmac-sha256
  secret: "${secret}"
zone:
  name: "example.test"
  zonefile: "${file}"
  provide-xfr: 127.0.0.1 shared.test
  notify: 127.0.0.1@${port} shared.test
`,
  Knot: (port: number, file: string) => `key:
  - id: shared.test
    algorithm: hmac-sha256
    secret: ${secret}
remote:
  - id: ours
    address: 127.0.0.1@${port}
    key: shared.test
acl:
  - id: changes
    key: shared.test
    action: [transfer, update]
zone:
  - domain: example.test
    file: ${file}
    notify: ours
    acl: changes
    journal-content: changes
`,
  BIND: (port: number, file: string) => `key "shared.test" { algorithm hmac-sha256; secret "${secret}"; };
server 127.0.0.1 { keys { shared.test; }; };
zone "example.test" { type primary; file "${file}"; notify explicit; notify-delay 0; also-notify port ${port} { 127.0.0.1 key shared.test; }; allow-transfer { key shared.test; }; allow-update { key shared.test; }; };
`,
};

describe.skipIf(reason !== undefined)(`others' zones, taken by us${reason === undefined ? "" : `: ${reason}`}`, () => {
  let folder: string;
  beforeAll(async () => (folder = await mkdtemp(path.join(tmpdir(), "tesserae-secondary-"))));
  afterAll(() => rm(folder, { recursive: true }));

  test.each([nsd, knot, bind])("$name: the zone, and what changes in it", async (server) => {
    const lines = zoneLines(apex, 1, 500);
    const local = path.join(folder, `${server.name}.local`);
    const file = path.join(folder, `${server.name}.zone`);
    await writeFile(local, zoneLines("local.test.", 1).join("\n") + "\n");
    await writeFile(file, lines.join("\n") + "\n");
    const ours = await startOurs({});
    closers.push(ours.close);
    // as: the servers' names are the keys.
    const extra = configurations[server.name as keyof typeof configurations](ours.port, file);
    const running = await startServer(server, [{ apex: "local.test.", file: local }], folder, { [server.name]: extra });
    closers.push(() => running.close());
    const primary = { address: IpAddress.loopback4, port: running.port, key: sharedKey };
    ours.keeper.secondaries.add(name, { primaries: [primary] });
    await until(`the zone of ${server.name}`, () => ours.zones.get(name));
    expect(textOf(ours.zones.get(name))).toEqual(textOf(zoneOf(apex, lines)));
    if (server.name === "NSD") {
      // NSD takes no updates: its file changes, and it is told.
      await writeFile(file, zoneLines(apex, 2, 501).join("\n") + "\n");
      process.kill(running.pid, "SIGHUP");
      await until("the new version", () => (ours.zones.get(name)?.serial === 2 ? true : undefined));
      expect(textOf(ours.zones.get(name))).toEqual(textOf(zoneOf(apex, zoneLines(apex, 2, 501))));
      return;
    }
    for (const count of [1, 2, 3]) {
      const child = run("nsupdate", ["-y", keyArgument]);
      child.child.stdin?.end(
        `server 127.0.0.1 ${running.port}\nzone ${apex}\nupdate delete host${count}.${apex}\n` +
          `update add new${count}.${apex} 60 TXT "${count}"\nsend\n`,
      );
      await child;
      await until(`change ${count}`, () => {
        const text = textOf(ours.zones.get(name)).join("\n");
        return text.includes(`new${count}.`) && !text.includes(`host${count}.`) ? true : undefined;
      });
    }
    expect(ours.lines.filter((line) => line.includes('"how":"differences"')).length).toBeGreaterThan(0);
    // What we have is what it has: asked for anew, all of it is the same.
    const text = textOf(ours.zones.get(name));
    ours.keeper.secondaries.remove(name);
    expect(ours.zones.has(name)).toBe(false);
    ours.keeper.secondaries.add(name, { primaries: [primary] });
    await until("the zone anew", () => ours.zones.get(name));
    expect(textOf(ours.zones.get(name))).toEqual(text);
  });

  test("a primary that is gone costs nothing while another is there; a wrong key gets nothing", async () => {
    const first = await startOurs({ transfer: [{ key: sharedKey.name }] }, [zoneOf(apex, zoneLines(apex, 7))]);
    closers.push(first.close);
    const ours = await startOurs({});
    closers.push(ours.close);
    const gone = { address: IpAddress.loopback4, port: 9 };
    const unsigned = { address: IpAddress.loopback4, port: first.port };
    const good = { ...unsigned, key: sharedKey };
    ours.keeper.secondaries.add(name, { primaries: [gone, unsigned, good] });
    await until("the zone", () => ours.zones.get(name));
    expect(ours.lines.some((line) => line.includes("REFUSED"))).toBe(true);
    expect(textOf(ours.zones.get(name))).toEqual(textOf(first.zones.get(name)));
  });
});
