// Our name server through the eyes of other people's tools: dig and kdig read its answers, delv validates them from a trust
// anchor of its own.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { printRecord } from "@tesserae/dns/record/text";
import { unavailable } from "../namespace/namespace.ts";
import { makeZones } from "./differential/zones.ts";
import { loadZone } from "./servers/load-zone.ts";
import type { ServedZone } from "./servers/name-server.ts";
import { ours } from "./servers/ours.ts";
import { startServer, type RunningServer } from "./servers/running.ts";

const reason = unavailable(
  "dig",
  "kdig",
  "delv",
  "named-checkzone",
  "ldns-verify-zone",
  "dnssec-keygen",
  "dnssec-signzone",
);
const run = promisify(execFile);

describe.skipIf(reason !== undefined)(
  `tools that ask our name server${reason === undefined ? "" : `: ${reason}`}`,
  () => {
    const folder = mkdtempSync(path.join(tmpdir(), "dns-tools-"));
    let server: RunningServer;
    let anchors: string;
    let zones: ServedZone[];
    beforeAll(async () => {
      zones = makeZones(folder);
      server = await startServer(ours(), zones, folder);
      anchors = path.join(folder, "anchors");
      writeFileSync(anchors, `trust-anchors {\n${["nsec", "nsec3", "optout"].map(anchorOf).join("\n")}\n};\n`);
    });
    afterAll(async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    });

    /** The zone's key-signing key, as BIND's tools trust it. */
    function anchorOf(zone: string): string {
      const keys = path.join(folder, `${zone}.test.keys`);
      for (const name of readdirSync(keys).filter((each) => each.endsWith(".key"))) {
        const found = / DNSKEY 257 3 13 (.+)/.exec(
          readFileSync(path.join(keys, name), "utf8").replaceAll("IN DNSKEY", " DNSKEY"),
        );
        if (found !== null) return `"${zone}.test." static-key 257 3 13 "${found[1]}";`;
      }
      throw new Error(`${zone} has no key-signing key`);
    }

    async function asks(tool: "dig" | "kdig" | "delv", ...words: string[]): Promise<string> {
      const at = [`@${server.address}`, "-p", String(server.port)];
      const limits = tool === "delv" ? [] : ["+tries=1", "+time=5"];
      const { stdout, stderr } = await run(tool, [
        ...at,
        ...(tool === "kdig" ? ["+retry=0", "+time=5"] : limits),
        ...words,
      ]);
      return `${stdout}${stderr}`;
    }

    describe("a zone that we read and print", () => {
      const printed = (apex: string): string => {
        const zone = zones.find((each) => each.apex === apex)!;
        const file = path.join(folder, `${apex}printed`);
        writeFileSync(file, `${[...loadZone(zone).records()].map(printRecord).join("\n")}\n`);
        return file;
      };

      test.each(["diff.test.", "child.diff.test.", "nsec.test.", "nsec3.test.", "optout.test."])(
        "is the same zone to named-checkzone: %s",
        async (apex) => {
          const canonical = async (file: string): Promise<string> => {
            const { stdout } = await run("named-checkzone", [
              "-D",
              "-q",
              "-i",
              "none",
              "-k",
              "ignore",
              "-o",
              "-",
              apex,
              file,
            ]);
            // Zones do not keep the case of owners.
            return stdout.replaceAll(/^\S+/gm, (owner) => owner.toLowerCase());
          };
          const original = await canonical(zones.find((each) => each.apex === apex)!.file);
          expect(original).toContain("SOA");
          expect(await canonical(printed(apex))).toBe(original);
        },
      );

      test.each(["nsec.test.", "nsec3.test.", "optout.test."])(
        "is whole and rightly signed to ldns-verify-zone: %s",
        async (apex) => {
          const { stdout, stderr } = await run("ldns-verify-zone", [printed(apex)]);
          expect(`${stdout}${stderr}`).toContain("Zone is verified and complete");
        },
      );
    });

    describe("a zone that dig transfers from us", () => {
      test.each(["nsec.test.", "nsec3.test.", "optout.test."])("is whole and rightly signed: %s", async (apex) => {
        const file = path.join(folder, `${apex}transferred`);
        writeFileSync(file, await asks("dig", "+onesoa", "+nocomments", "+nocmd", "+nostats", apex, "AXFR"));
        const checked = await run("named-checkzone", ["-i", "none", "-k", "ignore", apex, file]);
        expect(checked.stdout).toMatch(/loaded serial \d+ \(DNSSEC signed\)\s+OK/);
        const verified = await run("ldns-verify-zone", [file]);
        expect(`${verified.stdout}${verified.stderr}`).toContain("Zone is verified and complete");
      });
    });

    describe("dig", () => {
      test.each([
        ["www.diff.test A", /status: NOERROR.*flags: qr aa.*ANSWER: 3/s],
        ["none.diff.test A", /status: NXDOMAIN.*AUTHORITY: 1/s],
        ["x.sub.diff.test A", /status: NOERROR.*AUTHORITY: 2, ADDITIONAL: 4/s],
        ["x.y.wild.diff.test TXT", /x\.y\.wild\.diff\.test\.\s+3600\s+IN\s+TXT\s+"wild"/],
        ["x.dname.diff.test A", /DNAME\s+www\.diff\.test.*CNAME\s+x\.www\.diff\.test/s],
        ["elsewhere.test A", /status: REFUSED.*EDE: 20/s],
        ["diff.test HTTPS", /1 \. alpn="h2,h3" ipv4hint=192\.0\.2\.80 ipv6hint=2001:db8::80/],
        ["+nsid diff.test SOA", /NSID: .*\("nameserver"\)/],
        ["+cookie diff.test SOA", /COOKIE: [0-9a-f]{48} \(good\)/],
        ["+edns=1 +noednsneg diff.test SOA", /status: BADVERS/],
        ["CH TXT version.bind", /"test"/],
      ])("%s", async (words, expected) => {
        const said = await asks("dig", "+norec", ...words.split(" "));
        expect(said).toMatch(expected);
        expect(said).not.toMatch(/bad packet|malformed|WARNING|Warning/);
      });

      test("goes on over TCP when an answer is truncated", async () => {
        const said = await asks("dig", "+norec", "huge.nsec.test", "TXT", "+dnssec");
        expect(said).toContain("Truncated, retrying in TCP mode");
        expect(said).toMatch(/status: NOERROR.*ANSWER: 3/s);
      });

      test("asks many questions over one connection", async () => {
        const questions = Array.from({ length: 20 }, () => ["www.diff.test", "A"]).flat();
        const said = await asks("dig", "+tcp", "+keepopen", "+norec", ...questions);
        expect(said.match(/status: NOERROR/g)).toHaveLength(20);
      });
    });

    describe("kdig", () => {
      test.each([
        ["www.nsec3.test A +dnssec", /status: NOERROR.*RRSIG\s+A 13/s],
        ["none.nsec3.test A +dnssec", /status: NXDOMAIN.*NSEC3/s],
        ["many.diff.test A +tcp", /ANSWER: 40/],
        ["unknown.diff.test TYPE65400", /TYPE65400\s+\\# 4 DEADBEEF/],
        ["loc.diff.test LOC", /LOC\s+52 22 23\S* N\s+0?4 53 32\S* E/],
      ])("%s", async (words, expected) => {
        const said = await asks("kdig", ...words.split(" "));
        expect(said).toMatch(expected);
        expect(said).not.toMatch(/WARNING|malformed/);
      });
    });

    describe.each(["nsec.test", "nsec3.test", "optout.test"])("delv validates %s from its key:", (zone) => {
      const signed = "; fully validated";
      const nothing = "; negative response, fully validated";
      test.each([
        ["www", "A", signed],
        [".", "SOA", signed],
        [".", "DNSKEY", signed],
        ["x.y.wild", "TXT", signed],
        ["chain1", "AAAA", signed],
        ["a.b.c.ent", "A", signed],
        ["x.two", "A", nothing],
        ["y.x.two", "A", nothing],
        ["secure", "DS", signed],
        ["none", "A", nothing],
        ["www", "MX", nothing],
        ["x.y.wild", "MX", nothing],
        ["b.c.ent", "A", nothing],
        ["x.none", "AAAA", nothing],
        ["sub", "DS", nothing],
        ["huge", "TXT", signed],
      ])("%s %s", async (name, type, expected) => {
        const full = name === "." ? zone : `${name}.${zone}`;
        const said = await asks("delv", "-a", anchors, `+root=${zone}`, full, type);
        // With opt-out, that there is no closer name is not proven: there may be an unsigned delegation (RFC 5155 §6).
        const optOut = ["x.y.wild TXT"];
        const unproven = zone === "optout.test" && optOut.includes(`${name} ${type}`);
        expect(said).toContain(unproven ? "unsigned" : expected);
      });
    });
  },
);
