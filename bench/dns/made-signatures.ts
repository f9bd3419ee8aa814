// Zones that look signed, with signatures of the right size that hold nothing: for measurements of servers, which do not
// look at them. To sign a million names takes minutes.
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import path from "node:path";
import { pseudoRandom } from "./zone.ts";
import { apex, hostName } from "./zone-text.ts";

/** As long as those of ECDSA P-256. */
const signatureLength = 64;

/** Writes the master file of a zone with NSEC records into the folder unless it is there. @returns its path */
export function seeminglySignedZoneFile(folder: string, names: number): string {
  const file = path.join(folder, `seemingly-signed-${names}.zone`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const partial = `${file}.partial`;
  const output = openSync(partial, "w");
  let text = "";
  for (const line of lines(names)) {
    text += `${line}\n`;
    if (text.length < 1 << 20) continue;
    writeSync(output, text);
    text = "";
  }
  writeSync(output, text);
  closeSync(output);
  renameSync(partial, file);
  return file;
}

function* lines(names: number): Generator<string> {
  const random = pseudoRandom(names + 5);
  const bytes = Buffer.alloc(signatureLength);
  const made = (): string => {
    for (let at = 0; at < signatureLength; at += 4) bytes.writeUInt32LE(random(), at);
    return bytes.toString("base64");
  };
  const signature = (owner: string, type: string, labels: number): string =>
    `${owner} RRSIG ${type} 13 ${labels} 3600 20360101000000 20260101000000 12345 ${apex} ${made()}`;
  yield "$TTL 3600";
  yield `${apex} SOA ns1.${apex} hostmaster.${apex} 2026010101 7200 3600 1209600 300`;
  yield `${apex} NS ns1.${apex}`;
  yield `${apex} DNSKEY 257 3 13 ${made()}`;
  yield `${apex} NSEC ns1.${apex} NS SOA RRSIG NSEC DNSKEY`;
  for (const type of ["SOA", "NS", "DNSKEY", "NSEC"]) yield signature(apex, type, 2);
  for (let index = -1; index < names; index++) {
    const owner = index < 0 ? `ns1.${apex}` : hostName(index);
    const next = index + 1 < names ? hostName(index + 1) : apex;
    yield `${owner} A 10.${(index >>> 16) & 255}.${(index >>> 8) & 255}.${index & 255}`;
    yield signature(owner, "A", 3);
    yield `${owner} NSEC ${next} A RRSIG NSEC`;
    yield signature(owner, "NSEC", 3);
  }
}
