// Zones that we sign and that change: NSD, Knot and BIND as their secondaries, ldns-verify-zone as the judge.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { IpAddress } from "@tesserae/device/address";
import type { SigningAlgorithm } from "@tesserae/device/crypto";
import { createZoneKey, type ZoneKey } from "@tesserae/dns/dnssec/signature";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { alwaysKeys } from "@tesserae/dns/signing/key-schedule";
import { ZoneSigner, type ZoneSignerOptions } from "@tesserae/dns/transfer/zone-signer";
import { createCrypto } from "@tesserae/node/crypto";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../../namespace/namespace.ts";
import { bind } from "../servers/bind.ts";
import { knot } from "../servers/knot.ts";
import { nsd } from "../servers/nsd.ts";
import { startServer } from "../servers/running.ts";
import {
  keyArgument,
  loopback,
  type OurServer,
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
const name = nameFromText(apex);
const reason = unavailable("dig", "nsupdate", "nsd", "knotd", "named", "ldns-verify-zone");
const crypto = createCrypto();
const random = createRandom();
const zoneKey = (algorithm: SigningAlgorithm, isEntryPoint: boolean): ZoneKey =>
  createZoneKey(crypto.generateKey(algorithm, random), isEntryPoint);
const nsec3 = { iterations: 0, salt: new Uint8Array(0), optOut: false };

describe.skipIf(reason !== undefined)(`a signed zone that changes${reason === undefined ? "" : `: ${reason}`}`, () => {
  let folder: string;
  let ours: OurServer;
  const closers: (() => Promise<void>)[] = [];
  beforeAll(async () => (folder = await mkdtemp(path.join(tmpdir(), "tesserae-signed-"))));
  afterAll(() => rm(folder, { recursive: true }));
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function startSigned(options: Pick<ZoneSignerOptions, "keys" | "nsec3" | "zonemd">): Promise<ZoneSigner> {
    const keyed = { transfer: [{ from: loopback }], update: [{ key: sharedKey.name }] };
    ours = await startOurs(keyed);
    const { zones, keeper } = ours;
    const signer = new ZoneSigner({
      apex: name,
      zones,
      crypto,
      timers: createTimers(),
      random,
      journal: keeper.journal,
      ...options,
    });
    signer.publish(zoneOf(apex, zoneLines(apex, 1)));
    keeper.signers.set(name, signer);
    closers.push(async () => {
      signer.close();
      await ours.close();
    });
    return signer;
  }

  const update = (...lines: string[]) => sendUpdate(ours.port, apex, lines, "-y", keyArgument);

  async function transferred(port: number): Promise<string> {
    const args = ["@127.0.0.1", "-p", String(port), "+onesoa", "+nocomments", "+nocmd", "+nostats", apex, "AXFR"];
    return (await run("dig", args, { maxBuffer: 2 ** 24 })).stdout;
  }

  async function verified(port: number): Promise<string> {
    const file = path.join(folder, "transferred");
    await writeFile(file, await transferred(port));
    return run("ldns-verify-zone", [file]).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: unknown) => String(error),
    );
  }

  const steps: readonly (readonly string[])[] = [
    [`update add a.b.c.${apex} 60 A 192.0.2.77`, `update delete host3.${apex}`],
    [`update add sub.${apex} 60 NS ns.sub.${apex}`, `update add ns.sub.${apex} 60 A 192.0.2.78`],
    [`update add sub.${apex} 60 DS 1 13 2 ${"00".repeat(32)}`, `update delete *.wild.${apex}`],
    // Knot takes no zone that has names below a DNAME record.
    [`update delete a.b.c.${apex}`, `update add c.${apex} 60 DNAME elsewhere.test.`],
    [`update delete c.${apex} DNAME`, `update delete sub.${apex}`],
  ];

  test.each([
    [
      "NSD",
      "NSEC",
      nsd,
      { keys: alwaysKeys([zoneKey("ecdsa-p256-sha256", true), zoneKey("ecdsa-p256-sha256", false)]) },
    ],
    ["Knot", "NSEC3", knot, { keys: alwaysKeys([zoneKey("ed25519", true)]), nsec3 }],
    [
      "BIND",
      "NSEC3 with opt-out",
      bind,
      { keys: alwaysKeys([zoneKey("ecdsa-p256-sha256", true)]), nsec3: { ...nsec3, optOut: true } },
    ],
    ["NSD", "NSEC and ZONEMD", nsd, { keys: alwaysKeys([zoneKey("ed25519", true)]), zonemd: 1 }],
  ] as const)("%s has every version of it, with %s", async (_, _kind, server, options) => {
    const signer = await startSigned(options);
    const own = path.join(folder, `${server.name}.zone`);
    await writeFile(own, zoneLines("local.test.", 1).join("\n") + "\n");
    const running = await startServer(server, [{ apex: "local.test.", file: own }], folder, {
      [server.name]: secondaryOfOurs(server.name, ours.port),
    });
    closers.push(() => running.close());
    const peer = { address: IpAddress.loopback4, port: running.port, key: sharedKey };
    ours.keeper.policies.set(name, {
      transfer: [{ from: loopback }],
      update: [{ key: sharedKey.name }],
      notify: [peer],
    });
    const serial = () => ours.zones.get(name)?.serial ?? 0;
    const isThere = () =>
      until(`${server.name} has ${serial()}`, async () => {
        const text = await transferred(running.port);
        return new RegExp(`SOA\\s.* ${serial()} 3600`).test(text) ? true : undefined;
      });
    await isThere();
    for (const step of steps) {
      expect(await update(...step)).toBe("");
      await isThere();
      expect(await verified(running.port)).toContain("Zone is verified and complete");
    }
    // Keys come and go: one that takes over, and then is alone.
    const [old] = options.keys;
    const young = zoneKey("ecdsa-p256-sha256", true);
    signer.setKeys([...options.keys, ...alwaysKeys([young])]);
    await isThere();
    expect(await verified(running.port)).toContain("Zone is verified and complete");
    signer.setKeys(alwaysKeys([young]));
    await isThere();
    expect(await verified(running.port)).toContain("Zone is verified and complete");
    const records = textOf(ours.zones.get(name));
    expect(records.some((line) => / rrsig .* /.test(line) && line.includes(` ${old!.key.tag} `))).toBe(false);
    const differences = ours.lines.filter((line) => line.includes('"how":"differences"'));
    expect(differences.length).toBeGreaterThanOrEqual(steps.length);
  });

  test("what only its signer makes is not to be changed", async () => {
    await startSigned({ keys: alwaysKeys([zoneKey("ed25519", true)]) });
    const before = textOf(ours.zones.get(name));
    expect(await update(`update add ${apex} 60 DNSKEY 257 3 15 ${Buffer.alloc(32).toString("base64")}`)).toContain(
      "REFUSED",
    );
    expect(await update(`update add ${apex} 60 CDS 0 0 0 00`)).toContain("REFUSED");
    expect(textOf(ours.zones.get(name))).toEqual(before);
    // All of a name is all but that.
    expect(await update(`update delete ${apex}`)).toBe("");
    expect(await verified(ours.port)).toContain("Zone is verified and complete");
  });
});
