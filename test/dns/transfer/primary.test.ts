// Our server as the primary: dig, kdig and nsupdate as clients; NSD, Knot and BIND as secondaries.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { IpAddress } from "@tesserae/device/address";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { tsigAlgorithms, makeKey, TsigKeyring } from "@tesserae/dns/tsig/key";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../../namespace/namespace.ts";
import { bind } from "../servers/bind.ts";
import { knot } from "../servers/knot.ts";
import { nsd } from "../servers/nsd.ts";
import { type RunningServer, startServer } from "../servers/running.ts";
import {
  keyArgument,
  loopback,
  type OurServer,
  secret,
  sendUpdate,
  sharedKey,
  startOurs,
  textOf,
  until,
  zoneLines,
  zoneOf,
} from "./our-server.ts";
import { secondaryOfOurs } from "./secondary-of-ours.ts";

const run = promisify(execFile);
const apex = "example.test.";
const reason = unavailable("dig", "kdig", "nsupdate", "knsupdate", "nsd", "knotd", "named");

let ours: OurServer;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(...parameters: Parameters<typeof startOurs>): Promise<OurServer> {
  ours = await startOurs(...parameters);
  closers.push(ours.close);
  return ours;
}

const open = { transfer: [{ from: loopback }] };
const keyed = { transfer: [{ key: sharedKey.name }], update: [{ key: sharedKey.name }] };

async function dig(...args: readonly string[]): Promise<string> {
  const { stdout } = await run("dig", ["@127.0.0.1", "-p", String(ours.port), "+tries=1", "+time=3", ...args]);
  return stdout;
}

function update(lines: readonly string[], ...args: readonly string[]): Promise<string> {
  return sendUpdate(ours.port, apex, lines, ...args);
}

/** Records that dig printed, in one spelling, sorted; without the SOA record at the end. */
function recordsIn(text: string): string[] {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith(";") && !/ANY\s+TSIG/.test(line));
  return [...new Set(lines.map((line) => line.toLowerCase().replaceAll(/\s+/g, " ")))].sort();
}
const ourRecords = () => textOf(ours.zones.get(nameFromText(apex))).map((line) => line.replaceAll(/\s+/g, " "));

describe.skipIf(reason !== undefined)(`our zones, taken by others${reason === undefined ? "" : `: ${reason}`}`, () => {
  test("dig AXFR gets every record, in messages of 16 KiB", async () => {
    await start(open, [zoneOf(apex, zoneLines(apex, 1, 2000))]);
    const text = await dig("AXFR", apex);
    expect(recordsIn(text)).toEqual(ourRecords());
    expect(text).toMatch(/XFR size: 2009 records \(messages [3-9],/);
  });

  test("kdig AXFR and IXFR get the same", async () => {
    await start(open, [zoneOf(apex, zoneLines(apex, 1))]);
    const kdig = (...args: string[]) => run("kdig", ["@127.0.0.1", "-p", String(ours.port), ...args]);
    expect(recordsIn((await kdig("AXFR", apex)).stdout)).toEqual(ourRecords());
    ours.zones.replace(zoneOf(apex, [...zoneLines(apex, 2), `new.${apex} 60 IN A 192.0.2.9`]));
    const { stdout } = await kdig("IXFR=1", apex);
    expect(
      stdout
        .split("\n")
        .filter((line) => /IN\s+SOA/.test(line))
        .map((line) => /test. (\d+) 3600/.exec(line)?.[1]),
    ).toEqual(["2", "1", "2", "2"]);
    expect(stdout).toContain("new.example.test.");
  });

  test("dig IXFR over UDP gets the differences when they fit, else the SOA record alone", async () => {
    await start(open, [zoneOf(apex, zoneLines(apex, 1))]);
    ours.zones.replace(zoneOf(apex, zoneLines(apex, 2, 21)));
    expect(await dig("+notcp", "IXFR=1", apex)).toContain("host20.example.test.");
    ours.zones.replace(zoneOf(apex, zoneLines(apex, 3, 400)));
    const text = await dig("+notcp", "+ignore", "IXFR=1", apex);
    expect(recordsIn(text).length).toBe(1);
    expect(recordsIn(await dig("IXFR=3", apex)).length).toBe(1);
  });

  test("who is not allowed gets REFUSED, for what is not there NOTAUTH", async () => {
    await start(keyed, [zoneOf(apex, zoneLines(apex, 1))]);
    expect(await dig("AXFR", apex)).toContain("Transfer failed");
    expect(await dig("-y", keyArgument, "AXFR", apex)).toContain("XFR size");
    expect(await dig("-y", keyArgument, "AXFR", "other.test.")).toContain("Transfer failed");
    const wrong = keyArgument.replace("c2Vj", "d2Vj");
    expect(await dig("-y", wrong, "SOA", apex)).toMatch(/NOTAUTH[^]*BADSIG/);
    expect(await dig("-y", `hmac-sha256:nobody.:${secret}`, "SOA", apex)).toMatch(/NOTAUTH[^]*BADKEY/);
  });

  test.each(["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"])(
    "dig and kdig believe what is signed with %s, transfers of many messages too",
    async (method) => {
      expect(tsigAlgorithms.map((each) => each.text)).toContain(method);
      const ring = new TsigKeyring([makeKey("other.test", method, secret)]);
      await start(open, [zoneOf(apex, zoneLines(apex, 1, 3000))], { keys: ring });
      const argument = `${method}:other.test:${secret}`;
      const query = await dig("+norecurse", "-y", argument, "A", `ns.${apex}`);
      expect(query).toContain("status: NOERROR");
      expect(query).not.toMatch(/verify|WARNING|TSIG error/);
      for (const program of ["dig", "kdig"]) {
        const args = ["@127.0.0.1", "-p", String(ours.port), "-y", argument, "AXFR", apex];
        const { stdout } = await run(program, args, { maxBuffer: 2 ** 25 });
        expect(recordsIn(stdout).length, stdout.slice(0, 300)).toBe(3008);
        expect(stdout).not.toMatch(/failed|verify/i);
      }
    },
  );
});

describe.skipIf(reason !== undefined)("updates", () => {
  test("nsupdate adds and removes, with its key only", async () => {
    await start({ ...keyed, transfer: open.transfer }, [zoneOf(apex, zoneLines(apex, 1))]);
    expect(await update([`update add a.${apex} 60 A 192.0.2.77`])).toContain("REFUSED");
    expect(
      await update([`update add a.${apex} 60 A 192.0.2.77`, `update delete host3.${apex}`], "-y", keyArgument),
    ).toBe("");
    expect(await dig("+short", `a.${apex}`)).toBe("192.0.2.77\n");
    expect(await dig(`host3.${apex}`)).toContain("NXDOMAIN");
    expect(ours.zones.get(nameFromText(apex))?.serial).toBe(2);
    const incremental = await dig("IXFR=1", apex);
    expect(incremental).toContain("192.0.2.77");
    expect(incremental).toContain("host3.example.test.");
  });

  test("prerequisites hold or nothing happens (RFC 2136 §2.4)", async () => {
    await start({ update: [{ from: loopback }] }, [zoneOf(apex, zoneLines(apex, 1))]);
    const add = `update add a.${apex} 60 A 192.0.2.77`;
    expect(await update([`prereq nxdomain host1.${apex}`, add])).toContain("YXDOMAIN");
    expect(await update([`prereq yxdomain none.${apex}`, add])).toContain("NXDOMAIN");
    expect(await update([`prereq nxrrset host1.${apex} A`, add])).toContain("YXRRSET");
    expect(await update([`prereq yxrrset host1.${apex} AAAA`, add])).toContain("NXRRSET");
    expect(await update([`prereq yxrrset host1.${apex} A 192.0.2.2`, add])).toContain("NXRRSET");
    expect(await update([add, "update add a.elsewhere. 60 A 192.0.2.1"])).toContain("NOTZONE");
    expect(ours.zones.get(nameFromText(apex))?.serial).toBe(1);
    expect(await update([`prereq yxrrset host1.${apex} A 192.0.2.1`, `prereq nxdomain a.${apex}`, add])).toBe("");
    expect(ours.zones.get(nameFromText(apex))?.serial).toBe(2);
    // The same again changes nothing.
    expect(await update([add])).toBe("");
    expect(ours.zones.get(nameFromText(apex))?.serial).toBe(2);
  });

  test("knsupdate does it too, over TCP", async () => {
    await start(keyed, [zoneOf(apex, zoneLines(apex, 1))]);
    const child = run("knsupdate", ["-v", "-y", keyArgument]);
    child.child.stdin?.end(
      `server 127.0.0.1 ${ours.port}\nzone ${apex}\norigin ${apex}\ndel host1\nadd new 60 TXT "by knsupdate"\nsend\nquit\n`,
    );
    await child;
    expect(await dig("+short", "TXT", `new.${apex}`)).toBe('"by knsupdate"\n');
    expect(await dig(`host1.${apex}`)).toContain("NXDOMAIN");
  });

  test("a rule for names and types holds for those alone", async () => {
    const rule = { from: loopback, name: nameFromText(`_acme-challenge.${apex}`), below: true, types: [16] };
    await start({ update: [rule] }, [zoneOf(apex, zoneLines(apex, 1))]);
    expect(await update([`update add _acme-challenge.${apex} 60 TXT "token"`])).toBe("");
    expect(await update([`update add _acme-challenge.${apex} 60 URI 1 1 "a:b"`])).toContain("REFUSED");
    expect(await update([`update add a.${apex} 60 TXT "token"`])).toContain("REFUSED");
    expect(await update([`update delete _acme-challenge.${apex}`])).toContain("REFUSED");
    expect(await update([`update delete _acme-challenge.${apex} TXT`])).toBe("");
  });
});

describe.skipIf(reason !== undefined)("secondaries that we notify", () => {
  let folder: string;
  beforeAll(async () => (folder = await mkdtemp(path.join(tmpdir(), "tesserae-transfer-"))));
  afterAll(() => rm(folder, { recursive: true }));

  test.each([nsd, knot, bind])("$name transfers the zone, and each update after it", async (server) => {
    const own = path.join(folder, `${server.name}.zone`);
    await writeFile(own, zoneLines("local.test.", 1).join("\n") + "\n");
    await start(keyed, [zoneOf(apex, zoneLines(apex, 1))]);
    const extra = secondaryOfOurs(server.name, ours.port);
    const running: RunningServer = await startServer(server, [{ apex: "local.test.", file: own }], folder, {
      [server.name]: extra,
    });
    closers.push(() => running.close());
    const there = async (query: string, type = "A") =>
      (await run("dig", ["@127.0.0.1", "-p", String(running.port), "+tries=1", "+time=1", "+short", type, query]))
        .stdout;
    await until(`${server.name} has the zone`, async () =>
      (await there(`host19.${apex}`)) === "192.0.2.19\n" ? true : undefined,
    );
    const peer = { address: IpAddress.loopback4, port: running.port, key: sharedKey };
    ours.keeper.policies.set(nameFromText(apex), { ...keyed, notify: [peer] });
    for (const address of ["192.0.2.201", "192.0.2.202"]) {
      expect(
        await update([`update delete dyn.${apex}`, `update add dyn.${apex} 60 A ${address}`], "-y", keyArgument),
      ).toBe("");
      await until(`${server.name} has the change`, async () =>
        (await there(`dyn.${apex}`)) === `${address}\n` ? true : undefined,
      );
    }
    expect(ours.lines.filter((line) => line.includes('"how":"differences"')).length).toBeGreaterThan(0);
    expect(await there(`strange.${apex}`, "TYPE65500")).toContain("010203");
  });
});
