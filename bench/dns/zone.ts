// Zones of a given number of names, and queries about them, the same ones every time.
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import path from "node:path";
import { addressQuery, type ExpectedAnswer, nameError, randomName, writeQueries } from "./query-file.ts";
import { apex, hostName, zoneText } from "./zone-text.ts";

/** Writes the zone's master file into the folder unless it is there. @returns its path */
export function zoneFile(folder: string, names: number): string {
  const file = path.join(folder, `bench-${names}.zone`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const partial = `${file}.partial`;
  const output = openSync(partial, "w");
  for (const text of zoneText(names)) writeSync(output, text);
  closeSync(output);
  renameSync(partial, file);
  return file;
}

/** Signs a zone file with ECDSA P-256 and NSEC, valid for ten years, unless it is signed. @returns the path */
export function signedZoneFile(folder: string, names: number): string {
  const plain = zoneFile(folder, names);
  const file = `${plain}.signed`;
  if (existsSync(file)) return file;
  const keys = path.join(folder, `keys-${names}`);
  rmSync(keys, { recursive: true, force: true });
  mkdirSync(keys);
  const zone = apex.slice(0, -1);
  for (const flags of [[], ["-f", "KSK"]]) {
    execFileSync("dnssec-keygen", ["-q", "-K", keys, "-a", "ECDSAP256SHA256", ...flags, zone], { stdio: "ignore" });
  }
  const dates = ["-s", "20260101000000", "-e", "20360101000000"];
  execFileSync(
    "dnssec-signzone",
    ["-q", "-S", "-K", keys, "-d", keys, "-o", zone, ...dates, "-f", `${file}.partial`, plain],
    {
      stdio: "ignore",
    },
  );
  renameSync(`${file}.partial`, file);
  return file;
}

export interface QueryMix {
  readonly name: string;
  /** The share of names that are there; the others get random letters each time that they are asked. */
  readonly existing: number;
  /** Whether EDNS with DO is sent, to a signed zone. */
  readonly dnssec: boolean;
  /** The share of packets that are malformed. Default 0. */
  readonly malformed?: number;
  /** Whether an answer may have any number of records. Default false. */
  readonly anyAnswer?: boolean;
}

/** Numbers that look random, the same ones for the same seed. */
export function pseudoRandom(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/**
 * Writes a file of queries as bench/dns/load/load.c reads them.
 *
 * @param count how many; the generator begins again at the end
 * @returns its path
 */
export function queryFile(folder: string, names: number, mix: QueryMix, count = Math.min(names * 4, 1 << 20)): string {
  const file = path.join(folder, `${mix.name.replaceAll(/\W+/g, "-")}-${names}.queries`);
  writeQueries(file, queriesOf(names, mix, count));
  return file;
}

function* queriesOf(names: number, mix: QueryMix, count: number): Generator<ExpectedAnswer> {
  const { dnssec, anyAnswer = false } = mix;
  const random = pseudoRandom(names + 77);
  for (let index = 0; index < count; index++) {
    const there = random() / 2 ** 32 < mix.existing;
    const loose = random() / 2 ** 32 < (mix.malformed ?? 0);
    const query = addressQuery(there ? hostName(random() % names) : randomName(apex), { dnssec });
    if (loose) spoil(query.message, random());
    yield {
      ...query,
      loose,
      randomLabel: !there && !loose,
      rcode: there ? 0 : nameError,
      // With DO: the record and its signature. Without the name: nothing in the answer section.
      answers: anyAnswer ? 255 : there ? (dnssec ? 2 : 1) : 0,
    };
  }
}

/** Breaks a query in one of the ways that a server must bear. The id stays. */
function spoil(query: Buffer, draw: number): void {
  const where = 2 + (((draw >>> 8) & 0xffff) % (query.length - 2));
  switch (draw & 3) {
    case 0: // Another octet somewhere.
      query[where] = draw >>> 24;
      break;
    case 1: // More questions or records than there are.
      query.writeUInt16BE(draw >>> 16, 4 + 2 * ((draw >>> 8) & 3));
      break;
    case 2: // A pointer to itself as the name.
      query.writeUInt16BE(0xc00c, 12);
      break;
    default: // A label that is longer than the message.
      query[12] = 63;
  }
}
