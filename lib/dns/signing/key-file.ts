/** Keys of zones as BIND's tools keep them: `Kname+013+12345.key`, a DNSKEY record, and `.private`. */

import type { Crypto, SigningAlgorithm } from "@tesserae/device/crypto";
import { decodeBase64 } from "@tesserae/wire/base64";
import { keyFlag } from "../dnssec/key.ts";
import { createZoneKey, type ZoneKey } from "../dnssec/signature.ts";
import { MasterFileError, parseMasterFile } from "../master-file/reader.ts";
import { nameToText, rootName } from "../name-bytes.ts";
import { base64Text } from "../record/encoding.ts";
import { algorithmNumber, timeFromText, timeText } from "../record/number-field.ts";
import { printRecord } from "../record/text.ts";
import { recordType } from "../wire.ts";
import type { KeyTimes, ScheduledKey } from "./key-schedule.ts";

/** Why a key cannot be had from its files: `file: what is wrong`. */
export class KeyFileError extends Error {
  override readonly name = "KeyFileError";
}

/** A key, whose zone it is for, and when it is used. */
export interface KeyFile extends ScheduledKey {
  /** As in the file. */
  readonly owner: Uint8Array;
}

const algorithms: ReadonlyMap<number, { readonly name: SigningAlgorithm; readonly text: string }> = new Map([
  [algorithmNumber.ECDSAP256SHA256, { name: "ecdsa-p256-sha256", text: "ECDSAP256SHA256" }],
  [algorithmNumber.ECDSAP384SHA384, { name: "ecdsa-p384-sha384", text: "ECDSAP384SHA384" }],
  [algorithmNumber.ED25519, { name: "ed25519", text: "ED25519" }],
  [algorithmNumber.ED448, { name: "ed448", text: "ED448" }],
]);

/** The fields of times, as BIND calls them. */
const timeFields: readonly (readonly [keyof KeyTimes, string])[] = [
  ["created", "Created"],
  ["publish", "Publish"],
  ["activate", "Activate"],
  ["inactive", "Inactive"],
  ["delete", "Delete"],
  ["syncPublish", "SyncPublish"],
  ["syncDelete", "SyncDelete"],
];

/**
 * Reads a key from the texts of its two files.
 *
 * @param source what the files are called in errors, without `.key` and `.private`
 * @throws KeyFileError when a file cannot be read, is for another key, or for an algorithm that cannot sign here (RSA).
 */
export function parseKeyFile(crypto: Crypto, publicText: string, privateText: string, source: string): KeyFile {
  const fail = (file: "key" | "private", what: string): never => {
    throw new KeyFileError(`${source}.${file}: ${what}`);
  };
  const [record] = parseMasterFile(`$TTL 3600\n${publicText}`, { origin: rootName, source: `${source}.key` });
  if (record === undefined || record instanceof MasterFileError) {
    return fail("key", record === undefined ? "there is no record" : record.what);
  }
  if (record.type !== recordType.DNSKEY) return fail("key", "the record is no DNSKEY record");
  const fields = fieldsOf(privateText);
  const number = Number.parseInt(fields.get("Algorithm") ?? "", 10);
  const algorithm = algorithms.get(number);
  if (algorithm === undefined) {
    return fail("private", `Algorithm: "${fields.get("Algorithm") ?? ""}" cannot sign here, but 13, 14, 15 and 16 can`);
  }
  const secret = fields.get("PrivateKey");
  if (secret === undefined) return fail("private", "PrivateKey: there is none");
  const flags = ((record.data[0] ?? 0) << 8) | (record.data[1] ?? 0);
  let key: ZoneKey;
  try {
    key = createZoneKey(
      crypto.importKey(algorithm.name, decodeBase64(secret)),
      (flags & keyFlag.secureEntryPoint) !== 0,
    );
  } catch (error) {
    return fail("private", `PrivateKey: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (key.data.length !== record.data.length || !key.data.every((byte, at) => byte === record.data[at])) {
    return fail("private", "is of another key than the DNSKEY record");
  }
  const times: Partial<Record<keyof KeyTimes, number>> = {};
  for (const [name, field] of timeFields) {
    const text = fields.get(field);
    if (text === undefined) continue;
    const time = timeFromText(text);
    if (time === undefined) return fail("private", `${field}: "${text}" is no time: YYYYMMDDHHmmSS`);
    times[name] = time;
  }
  return { owner: record.owner, key, times };
}

/** The two files of a key, and what they are called without `.key` and `.private`. */
export interface PrintedKey {
  readonly name: string;
  readonly publicText: string;
  readonly privateText: string;
}

/** Writes a key as BIND's tools read it. @throws TypeError when the key is not `crypto`'s. */
export function printKeyFile(crypto: Crypto, owner: Uint8Array, { key, times }: ScheduledKey): PrintedKey {
  const text = algorithms.get(key.algorithm)?.text ?? "";
  const lines = ["Private-key-format: v1.3", `Algorithm: ${key.algorithm} (${text})`];
  lines.push(`PrivateKey: ${base64Text(crypto.exportKey(key.key))}`);
  for (const [name, field] of timeFields) {
    const time = times[name];
    if (time !== undefined) lines.push(`${field}: ${timeText(time)}`);
  }
  const record = { owner, type: recordType.DNSKEY, class: 1, ttl: 3600, data: key.data };
  const zone = nameToText(owner).toLowerCase();
  const digits = (number: number, length: number): string => String(number).padStart(length, "0");
  return {
    name: `K${zone.replace(/\.?$/, ".")}+${digits(key.algorithm, 3)}+${digits(key.tag, 5)}`,
    publicText: `${printRecord(record)}\n`,
    privateText: `${lines.join("\n")}\n`,
  };
}

/** `Name: value`, one a line. */
function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return fields;
}
