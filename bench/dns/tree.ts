// A small internet for resolvers: a root, a zone below it, and many zones below that, signed, as master files.
import { randomFillSync } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createZoneKey, type ZoneKey } from "@tesserae/dns/dnssec/signature";
import { keyDigest } from "@tesserae/dns/dnssec/key";
import { signZone } from "@tesserae/dns/dnssec/sign-zone";
import { MasterFileError, parseMasterFile } from "@tesserae/dns/master-file/reader";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { printRecord } from "@tesserae/dns/record/text";
import type { WireRecord } from "@tesserae/dns/wire-record";
import { createCrypto } from "@tesserae/node/crypto";
import type { ServedZone } from "../../test/dns/servers/name-server.ts";

/** Who serves the root, the zone below it, and the zones below that. */
export const places = { root: "10.9.0.1", top: "10.9.0.2", leaves: "10.9.0.3" } as const;

export const leafCount = 300;
/** In each of the leaves: names that are kept, and names that have to be asked for again after a second. */
const lasting = 20;
const fleeting = 100;

export interface ZoneTree {
  readonly zones: Readonly<Record<keyof typeof places, readonly ServedZone[]>>;
  /** The DS record of the root's key, as text. */
  readonly anchor: string;
}

export function leafName(index: number): string {
  return `z${String(index).padStart(3, "0")}.top.`;
}

/** Names that stay known for an hour, of all zones, each zone's first name first. */
export function lastingNames(): string[] {
  return namesOf("h", lasting);
}

/** Names with a time to live of one second. */
export function fleetingNames(): string[] {
  return namesOf("c", fleeting);
}

function namesOf(letter: string, count: number): string[] {
  const each = Array.from({ length: count }, (_, index) => `${letter}${String(index).padStart(3, "0")}`);
  return each.flatMap((host) => Array.from({ length: leafCount }, (_, leaf) => `${host}.${leafName(leaf)}`));
}

/** Writes and signs everything unless it is there; takes half a minute. */
export function makeTree(folder: string): ZoneTree {
  const fileOf = (apex: string): string => path.join(folder, apex === "." ? "root" : apex.slice(0, -1));
  const anchorFile = path.join(folder, "anchor");
  const leaves = Array.from({ length: leafCount }, (_, index) => leafName(index));
  if (!existsSync(anchorFile)) {
    mkdirSync(folder, { recursive: true });
    const hosts = (letter: string, ttl: number, count: number): string[] =>
      Array.from(
        { length: count },
        (_, index) => `${letter}${String(index).padStart(3, "0")} ${ttl} A 192.0.2.${index + 1}`,
      );
    const make = (apex: string, server: string, lines: readonly string[]): string[] => {
      const head = ["$TTL 3600", "@ SOA ns admin 1 3600 900 604800 3600", "@ NS ns", `ns A ${server}`];
      const { text, ds } = signed(apex, [...head, ...lines].join("\n"));
      writeFileSync(fileOf(apex), text);
      return [`${apex} NS ns.${apex === "." ? "" : apex}`, `ns.${apex} A ${server}`, ds];
    };
    const each = leaves.flatMap((apex) =>
      make(apex, places.leaves, [...hosts("h", 3600, lasting), ...hosts("c", 1, fleeting)]),
    );
    const top = make("top.", places.top, each);
    writeFileSync(anchorFile, `${make(".", places.root, top).at(-1)}\n`);
  }
  const served = (apex: string): ServedZone => ({ apex, file: fileOf(apex) });
  return {
    zones: { root: [served(".")], top: [served("top.")], leaves: leaves.map(served) },
    anchor: readFileSync(anchorFile, "utf8").trim(),
  };
}

const crypto = createCrypto();
const keyPair = (isEntryPoint: boolean): ZoneKey =>
  createZoneKey(
    crypto.generateKey("ecdsa-p256-sha256", { fill: (bytes) => void randomFillSync(bytes), uint32: () => 0 }),
    isEntryPoint,
  );
/** All zones have the same: how many keys there are in the world makes no difference to who validates. */
let keys: readonly ZoneKey[] = [];

/** Valid in the years that these benchmarks are run in. */
const validity = { inception: Date.UTC(2026, 0) / 1000, expiration: Date.UTC(2036, 0) / 1000 };

function signed(apex: string, text: string): { readonly text: string; readonly ds: string } {
  if (keys.length === 0) keys = [keyPair(true), keyPair(false)];
  const origin = nameFromText(apex);
  const records: WireRecord[] = [];
  for (const record of parseMasterFile(text, { origin })) {
    if (record instanceof MasterFileError) throw new Error(`${apex} ${record.toString()}`);
    records.push(record);
  }
  const printed = signZone(crypto, records, origin, { ...validity, keys }).map(printRecord);
  const [entry] = keys;
  const digest = Buffer.from(keyDigest(crypto, "sha256", origin, entry!.data)).toString("hex");
  return { text: `${printed.join("\n")}\n`, ds: `${apex} 3600 IN DS ${entry!.tag} 13 2 ${digest}` };
}
