/** Catalog zones (RFC 9432): a zone that lists zones, so that secondaries know which there are. */

import type { Log } from "@tesserae/device/log";
import type { Zone } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import type { Zones } from "../authoritative/zones.ts";
import {
  ancestorName,
  equalNames,
  hashName,
  isBelow,
  labelCount,
  lowerName,
  nameFromText,
  nameToText,
} from "../name-bytes.ts";
import type { WireRecord } from "../wire-record.ts";
import { recordType } from "../wire.ts";
import type { ZonePolicy } from "./policy.ts";
import type { Secondaries } from "./secondaries.ts";

const version = "2";

/** A zone that a catalog lists. */
export interface CatalogMember {
  readonly apex: Uint8Array;
  /** The label that stands for it: when that changes, the zone is another and begins anew (RFC 9432 §5.4). */
  readonly id: string;
  /** RFC 9432 §4.4.2: what the operator says of it, such as the name of a policy. */
  readonly groups: readonly string[];
}

export type CatalogContent =
  | { readonly kind: "catalog"; readonly members: readonly CatalogMember[] }
  /** RFC 9432 §5.1: nothing of it may be used. */
  | { readonly kind: "broken"; readonly why: string };

/** What a catalog zone says. */
export function readCatalog(zone: Zone, mostMembers = 100_000): CatalogContent {
  const base = labelCount(zone.apex);
  const versions: string[] = [];
  const pointers = new Map<string, WireRecord[]>();
  const groups = new Map<string, string[]>();
  for (const record of zone.records()) {
    const labels = labelsBelow(record.owner, base);
    if (labels.length === 1 && labels[0] === "version" && record.type === recordType.TXT) {
      versions.push(textsIn(record.data).join(""));
    } else if (labels.length === 2 && labels[1] === "zones" && record.type === recordType.PTR) {
      const id = labels[0] ?? "";
      const known = pointers.get(id);
      if (known === undefined) pointers.set(id, [record]);
      else known.push(record);
    } else if (
      labels.length === 3 &&
      labels[0] === "group" &&
      labels[2] === "zones" &&
      record.type === recordType.TXT
    ) {
      const id = labels[1] ?? "";
      groups.set(id, [...(groups.get(id) ?? []), textsIn(record.data).join("")]);
    }
  }
  if (versions.length !== 1 || versions[0] !== version) {
    return { kind: "broken", why: `version ${versions.length === 1 ? `"${versions[0] ?? ""}"` : "missing"}, not "2"` };
  }
  const members: CatalogMember[] = [];
  const seen = new Set<string>();
  for (const [id, records] of pointers) {
    const [pointer, ...more] = records;
    if (pointer === undefined || more.length > 0) return { kind: "broken", why: `${id}.zones has several zones` };
    const name = nameToText(lowerName(pointer.data));
    // RFC 9432 §4.1: the same zone twice makes all of it broken.
    if (seen.has(name)) return { kind: "broken", why: `${name} is there twice` };
    seen.add(name);
    if (members.length >= mostMembers) return { kind: "broken", why: `more than ${mostMembers} zones` };
    members.push({ apex: pointer.data, id, groups: groups.get(id) ?? [] });
  }
  return { kind: "catalog", members };
}

/** Makes a catalog zone of a list of zones: the producer's side. Labels are made of the names, so that they stay. */
export function makeCatalog(
  apex: Uint8Array,
  serial: number,
  zones: Iterable<{ readonly apex: Uint8Array; readonly groups?: readonly string[] }>,
): Zone {
  const text = nameToText(apex);
  const suffix = text === "." ? "" : text;
  const builder = new ZoneBuilder(apex);
  const invalid = nameFromText("invalid.");
  const soa = Uint8Array.of(...invalid, ...invalid, ...[serial, 3600, 600, 2_419_200, 60].flatMap(u32));
  const add = (owner: string, type: number, data: Uint8Array): void => {
    builder.add({ owner: nameFromText(owner), type, class: 1, ttl: 0, data });
  };
  add(text, recordType.SOA, soa);
  // RFC 9432 §4: nobody asks them.
  add(text, recordType.NS, invalid);
  add(`version.${suffix}`, recordType.TXT, textData(version));
  const ids = new Set<string>();
  for (const zone of zones) {
    let id = hashName(zone.apex).toString(16).padStart(8, "0");
    for (let seed = 1; ids.has(id); seed++) id = hashName(zone.apex, 0, zone.apex.length, seed).toString(16);
    ids.add(id);
    add(`${id}.zones.${suffix}`, recordType.PTR, zone.apex);
    for (const group of zone.groups ?? []) add(`group.${id}.zones.${suffix}`, recordType.TXT, textData(group));
  }
  const built = builder.finish();
  if (!built.ok) throw new RangeError(built.message);
  return built.zone;
}

export interface CatalogConsumerOptions {
  readonly zones: Zones;
  readonly secondaries: Secondaries;
  /** The catalog's apex. How it comes to us is the caller's affair: it is a zone as any other. */
  readonly catalog: Uint8Array;
  /** Where a member comes from; undefined leaves it out. */
  readonly policyOf: (member: CatalogMember) => ZonePolicy | undefined;
  readonly log?: Log;
}

/** Serves the zones that a catalog lists: those that come in are asked for, those that go out are served no more. */
export class CatalogConsumer {
  readonly #options: CatalogConsumerOptions;
  readonly #unwatch: () => void;
  readonly #members = new Map<string, CatalogMember>();

  constructor(options: CatalogConsumerOptions) {
    this.#options = options;
    this.#unwatch = options.zones.onChange((_before, after) => {
      // RFC 9432 §5.1: when it expires, its members stay.
      if (after !== undefined && equalNames(after.apex, options.catalog)) this.#take(after);
    });
    const now = options.zones.get(options.catalog);
    if (now !== undefined) this.#take(now);
  }

  /** The zones that are ours because of the catalog. */
  get members(): readonly CatalogMember[] {
    return [...this.#members.values()];
  }

  /** Follows the catalog no more; the zones stay. */
  close(): void {
    this.#unwatch();
  }

  #take(zone: Zone): void {
    const { secondaries, zones, policyOf, log } = this.#options;
    const content = readCatalog(zone);
    const catalog = nameToText(zone.apex);
    if (content.kind === "broken") {
      log?.error("catalog is broken: its zones stay as they are", { catalog, why: content.why });
      return;
    }
    const wanted = new Map(content.members.map((member) => [nameToText(lowerName(member.apex)), member]));
    for (const [name, member] of this.#members) {
      const now = wanted.get(name);
      if (now !== undefined && now.id === member.id) continue;
      this.#members.delete(name);
      secondaries.remove(member.apex);
      log?.info("zone left the catalog", { catalog, zone: name });
    }
    for (const [name, member] of wanted) {
      const isNew = !this.#members.has(name);
      // RFC 9432 §5.2: a zone that is here for another reason is not the catalog's.
      if (isNew && (zones.has(member.apex) || secondaries.has(member.apex))) {
        log?.warn("zone of the catalog is here already", { catalog, zone: name });
        continue;
      }
      const policy = policyOf(member);
      if (policy === undefined) continue;
      this.#members.set(name, member);
      secondaries.add(member.apex, policy);
      if (isNew) log?.info("zone came with the catalog", { catalog, zone: name });
    }
  }
}

/** The labels in front of the last `base` ones, in lower case. */
function labelsBelow(owner: Uint8Array, base: number): string[] {
  const apex = ancestorName(owner, base);
  if (!isBelow(owner, apex)) return [];
  const labels: string[] = [];
  for (let at = 0; at < owner.length - apex.length;) {
    const length = owner[at] ?? 0;
    let label = "";
    for (const byte of lowerName(owner).subarray(at + 1, at + 1 + length)) label += String.fromCharCode(byte);
    labels.push(label);
    at += 1 + length;
  }
  return labels;
}

function textsIn(data: Uint8Array): string[] {
  const texts: string[] = [];
  for (let at = 0; at < data.length; at += 1 + (data[at] ?? 0)) {
    let text = "";
    for (const byte of data.subarray(at + 1, at + 1 + (data[at] ?? 0))) text += String.fromCharCode(byte);
    texts.push(text);
  }
  return texts;
}

function textData(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text).subarray(0, 255);
  return Uint8Array.of(bytes.length, ...bytes);
}

function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}
