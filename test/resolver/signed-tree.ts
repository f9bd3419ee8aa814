// A private root with zones below it, signed in all the ways that there are, some of them wrong, as master files.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { ServedZone } from "../dns/servers/name-server.ts";

/** Who serves what: one address for each of the servers. */
export const places = { root: "127.0.1.1", tld: "127.0.1.2", leaf: "127.0.1.3" } as const;

interface ZoneOptions {
  readonly algorithm?: string;
  /** `dnssec-signzone`'s own options. */
  readonly sign?: readonly string[];
  readonly lines?: readonly string[];
  /** Changes the signed file. */
  readonly spoil?: (text: string) => string;
  /** Changes the DS records that the parent gets. */
  readonly spoilDs?: (text: string) => string;
  /** No signatures at all, and no DS records. */
  readonly unsigned?: boolean;
}

const usual = [
  ...["@ MX 10 mail", "mail A 192.0.2.25", "www A 192.0.2.80", "www AAAA 2001:db8::80", "alias CNAME www"],
  ...["chain CNAME alias", "out CNAME www.signed.tld.", "deep.er.name A 192.0.2.5", "*.wild A 192.0.2.99"],
  ...["sub.wild TXT here", "*.cwild CNAME www", "dname DNAME signed.tld.", "txt TXT hello", "_s._tcp SRV 1 2 3 www"],
  ...["lost CNAME nowhere", "lame NS ns.lame", "ns.lame A 127.0.1.9", "Big.Case A 192.0.2.7"],
];

const leaves: Readonly<Record<string, ZoneOptions>> = {
  "signed.tld": {},
  "ed.tld": { algorithm: "ED25519" },
  "p384.tld": { algorithm: "ECDSAP384SHA384" },
  "rsa.tld": { algorithm: "RSASHA256" },
  "rsa512.tld": { algorithm: "RSASHA512" },
  "nsec3.tld": { sign: ["-3", "aabb", "-H", "1"] },
  "optout.tld": { sign: ["-3", "-", "-A"], lines: ["dark NS ns.dark", "ns.dark A 127.0.1.3"] },
  "costly.tld": { sign: ["-3", "aabb", "-H", "100"] },
  "unsigned.tld": { unsigned: true },
  "expired.tld": { sign: ["-P", "-s", "20200101000000", "-e", "20200201000000"] },
  "early.tld": { sign: ["-P", "-s", "20300101000000", "-e", "20310101000000"] },
  "tampered.tld": { spoil: (text) => text.replaceAll("192.0.2.80", "192.0.2.81").replaceAll("hello", "hallo") },
  "stripped.tld": { spoil: (text) => without(text, /^www\.stripped\.tld\.\s.*RRSIG\s+A\s/) },
  "proofless.tld": { spoil: (text) => without(text, /^(?!proofless).*IN\s+(RRSIG\s+)?NSEC\s/) },
  "wrongds.tld": { spoilDs: (text) => text.replace(/([0-9A-F]{8})\s*$/m, "00000000") },
  "alien.tld": { spoilDs: (text) => text.replace(/DS\s+(\d+) 13 2/, "DS $1 250 2") },
};

/** Zones below another leaf. */
const below: Readonly<Record<string, ZoneOptions>> = {
  "child.signed.tld": {},
  "island.unsigned.tld": {},
  "plain.nsec3.tld": { unsigned: true },
  "dark.optout.tld": { unsigned: true },
};

export interface SignedTree {
  readonly zones: Readonly<Record<keyof typeof places, readonly ServedZone[]>>;
  /** DS records of the root's key. */
  readonly anchor: string;
  /** The DNSKEY records that stand for it. */
  readonly keys: string;
  /** Leaf zones, without the final dot. */
  readonly leaves: readonly string[];
}

/** Writes and signs everything; takes a few seconds. */
export function makeTree(folder: string): SignedTree {
  const files = new Map<string, string>();
  const ds = new Map<string, string>();
  const add = (zone: string, server: string, options: ZoneOptions, lines: readonly string[]): void => {
    const below = [...ds].filter(([child]) => child !== zone && parentOf(child) === zone);
    const text = [
      `$ORIGIN ${zone === "." ? "." : `${zone}.`}`,
      "$TTL 300",
      ...[`@ SOA ns admin 1 3600 900 604800 60`, `@ NS ns`, `ns A ${server}`],
      ...lines,
      ...below.map(([, records]) => records),
    ];
    const made = signZoneFile(folder, zone, `${text.join("\n")}\n`, options);
    files.set(zone, made.file);
    ds.set(zone, made.ds);
  };
  const delegated = (zones: readonly string[], apex: string): string[] =>
    zones.flatMap((zone) => {
      const label = apex === "." ? zone : zone.slice(0, -apex.length - 1);
      return [`${label} NS ns.${label}`, `ns.${label} A ${zone === "tld" ? places.tld : places.leaf}`];
    });
  for (const [zone, options] of Object.entries(below)) add(zone, places.leaf, options, usual);
  for (const [zone, options] of Object.entries(leaves)) {
    const children = Object.keys(below).filter((each) => parentOf(each) === zone && each !== "dark.optout.tld");
    add(zone, places.leaf, options, [...usual, ...delegated(children, zone), ...(options.lines ?? [])]);
  }
  add("tld", places.tld, {}, delegated(Object.keys(leaves), "tld"));
  add(".", places.root, { algorithm: "RSASHA256" }, delegated(["tld"], "."));
  const served = (zones: readonly string[]): ServedZone[] =>
    zones.map((zone) => ({ apex: zone === "." ? zone : `${zone}.`, file: files.get(zone)! }));
  const leafZones = [...Object.keys(leaves), ...Object.keys(below)];
  const keys = readdirSync(folder).filter((name) => /^K\.\+.*\.key$/.test(name));
  return {
    zones: { root: served(["."]), tld: served(["tld"]), leaf: served(leafZones) },
    anchor: ds.get(".")!,
    keys: keys.map((name) => readFileSync(path.join(folder, name), "utf8")).join(""),
    leaves: leafZones,
  };
}

function parentOf(zone: string): string {
  return zone === "." ? "" : zone.includes(".") ? zone.slice(zone.indexOf(".") + 1) : ".";
}

/**
 * Writes a zone's master file and signs it. @param zone without the final dot; `.` is the root
 *
 * @returns the file to be served, and DS records of its key
 */
export function signZoneFile(
  folder: string,
  zone: string,
  text: string,
  options: ZoneOptions = {},
): { file: string; ds: string } {
  mkdirSync(folder, { recursive: true });
  const apex = zone === "." ? "." : `${zone}.`;
  const file = path.join(folder, `zone.${zone === "." ? "root" : zone}`);
  writeFileSync(file, text);
  if (options.unsigned === true) return { file, ds: "" };
  const { algorithm = "ECDSAP256SHA256", sign = [], spoil, spoilDs } = options;
  const size = algorithm.startsWith("RSA") ? ["-b", "2048"] : [];
  execFileSync("dnssec-keygen", ["-q", "-K", folder, "-a", algorithm, ...size, "-f", "KSK", apex], { stdio: "pipe" });
  const out = `${file}.signed`;
  const keyless = ["-S", "-z", "-q", "-K", folder, "-d", folder, "-O", "full", "-o", apex, "-f", out];
  execFileSync("dnssec-signzone", [...keyless, ...sign, file], {
    stdio: "pipe",
    cwd: folder,
  });
  if (spoil !== undefined) writeFileSync(out, spoil(readFileSync(out, "utf8")));
  const ds = readFileSync(path.join(folder, `dsset-${apex}`), "utf8").replaceAll(/\s*\n$/g, "\n");
  return { file: out, ds: spoilDs === undefined ? ds : spoilDs(ds) };
}

/** Of a file in which each record is a line with its owner. */
function without(text: string, gone: RegExp): string {
  return text
    .split("\n")
    .filter((line) => !gone.test(line))
    .join("\n");
}
