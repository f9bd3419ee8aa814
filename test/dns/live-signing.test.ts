// A zone whose answers we sign while we give them: delv and unbound validate them from its key alone.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { SigningAlgorithm } from "@tesserae/device/crypto";
import { createZoneKey } from "@tesserae/dns/dnssec/signature";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { alwaysKeys } from "@tesserae/dns/signing/key-schedule";
import { LiveZoneSigner } from "@tesserae/dns/transfer/live-zone-signer";
import { createCrypto } from "@tesserae/node/crypto";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../namespace/namespace.ts";
import { type RunningServer, startServer } from "./servers/running.ts";
import { unbound } from "./servers/unbound.ts";
import {
  keyArgument,
  loopback,
  type OurServer,
  sendUpdate,
  sharedKey,
  startOurs,
  zoneOf,
} from "./transfer/our-server.ts";

const run = promisify(execFile);
const reason = unavailable("dig", "delv", "unbound", "nsupdate");
const apex = "live.test.";
const name = nameFromText(apex);
const lines = [
  `${apex} 300 IN SOA ns.${apex} admin.${apex} 1 3600 600 86400 60`,
  `${apex} 300 IN NS ns.${apex}`,
  `ns.${apex} 300 IN A 127.0.0.1`,
  `www.${apex} 300 IN A 192.0.2.1`,
  `www.${apex} 300 IN TXT "text"`,
  `*.wild.${apex} 300 IN A 192.0.2.2`,
  `alias.${apex} 300 IN CNAME www.${apex}`,
  `lost.${apex} 300 IN CNAME gone.${apex}`,
  `a.b.c.${apex} 300 IN A 192.0.2.3`,
  `old.${apex} 300 IN DNAME wild.${apex}`,
  `sub.${apex} 300 IN NS ns.sub.${apex}`,
  `ns.sub.${apex} 300 IN A 127.0.0.1`,
];

const signed = "; fully validated";
const nothing = "; negative response, fully validated";
const questions = [
  [apex, "SOA", signed],
  [apex, "DNSKEY", signed],
  [apex, "CDS", nothing],
  [`www.${apex}`, "A", signed],
  [`www.${apex}`, "AAAA", nothing],
  [`none.${apex}`, "A", nothing],
  [`x.none.${apex}`, "MX", nothing],
  [`b.c.${apex}`, "A", nothing],
  [`x.y.wild.${apex}`, "A", signed],
  [`x.y.wild.${apex}`, "MX", nothing],
  [`alias.${apex}`, "A", signed],
  [`lost.${apex}`, "A", signed],
  [`x.old.${apex}`, "A", signed],
  [`sub.${apex}`, "DS", nothing],
] as const;

describe.skipIf(reason !== undefined)(
  `answers signed while they are given${reason === undefined ? "" : `: ${reason}`}`,
  () => {
    describe.each<SigningAlgorithm>(["ecdsa-p256-sha256", "ed25519"])("%s", (algorithm) => {
      const crypto = createCrypto();
      const folder = mkdtempSync(path.join(tmpdir(), "dns-live-"));
      let ours: OurServer;
      let signer: LiveZoneSigner;
      let resolver: RunningServer;
      let anchors: string;

      beforeAll(async () => {
        const policy = { update: [{ key: sharedKey.name }], transfer: [{ from: loopback }] };
        ours = await startOurs(policy);
        const random = createRandom();
        const [ksk, zsk] = [true, false].map((each) => createZoneKey(crypto.generateKey(algorithm, random), each));
        const keys = alwaysKeys([ksk!, zsk!]);
        signer = new LiveZoneSigner({ apex: name, zones: ours.zones, crypto, timers: createTimers(), keys });
        signer.publish(zoneOf(apex, lines));
        ours.keeper.signers.set(name, signer);
        const key = Buffer.from(ksk!.data.subarray(4)).toString("base64");
        anchors = path.join(folder, "anchors");
        writeFileSync(anchors, `trust-anchors { "${apex}" static-key 257 3 ${ksk!.algorithm} "${key}"; };\n`);
        resolver = await startServer(unbound, [{ apex: "localhost.", file: "" }], folder, {
          unbound: `  trust-anchor: "${apex} DNSKEY 257 3 ${ksk!.algorithm} ${key}"\n  local-zone: "test." nodefault\nstub-zone:\n  name: "${apex}"\n  stub-addr: 127.0.0.1@${ours.port}\n`,
        });
      });
      afterAll(async () => {
        await resolver.close();
        signer.close();
        await ours.close();
        rmSync(folder, { recursive: true, force: true });
      });

      const dig = async (...words: string[]): Promise<string> =>
        (await run("dig", ["@127.0.0.1", "+tries=1", "+time=5", ...words])).stdout;

      test.each(questions)("delv validates %s %s", async (owner, type, expected) => {
        const args = ["@127.0.0.1", "-p", String(ours.port), "-a", anchors, `+root=${apex}`, owner, type];
        const { stdout, stderr } = await run("delv", args).catch(
          (error: unknown) => error as { stdout: string; stderr: string },
        );
        expect(`${stdout}${stderr}`).toContain(expected);
      });

      test.each(questions)("unbound validates %s %s", async (owner, type) => {
        const said = await dig("-p", String(resolver.port), "+dnssec", owner, type);
        expect(said).toMatch(/flags: qr rd ra ad;/);
        expect(said).toContain("status: NOERROR");
      });

      test("an update is signed when it is asked for", async () => {
        const added = [`update add new.${apex} 60 A 192.0.2.9`, `update delete www.${apex}`];
        expect(await sendUpdate(ours.port, apex, added, "-y", keyArgument)).toBe("");
        expect(await dig("-p", String(resolver.port), "+dnssec", `new.${apex}`)).toMatch(
          /flags: qr rd ra ad;[^]*192\.0\.2\.9/,
        );
        // The keys are there still when all of the apex goes.
        expect(await sendUpdate(ours.port, apex, [`update delete ${apex}`], "-y", keyArgument)).toBe("");
        expect(await dig("-p", String(ours.port), apex, "DNSKEY")).toContain("ANSWER: 2");
      });

      test("such a zone is not transferred", async () => {
        expect(await dig("-p", String(ours.port), apex, "AXFR")).toContain("Transfer failed");
      });
    });
  },
);
