import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { toHex } from "@tesserae/wire/hex";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { nameFromText } from "../name-bytes.ts";
import { changesOf } from "../transfer/difference.ts";
import { differenceOf } from "../transfer/journal.ts";
import { isNewer } from "../transfer/serial.ts";
import { parseWireMessage } from "../wire-message.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import type { WireRecord } from "../wire-record.ts";
import { updateZone } from "./update.ts";

const apex = nameFromText("e.");
const common = { class: 1, ttl: 60 };
const soa = { ...common, owner: apex, type: 6, data: Uint8Array.of(0, 0, ...new Uint8Array(20).fill(1)) };
const ns = { ...common, owner: apex, type: 2, data: nameFromText("n.e.") };
const host = { ...common, owner: nameFromText("n.e."), type: 1, data: Uint8Array.of(1, 2, 3, 4) };
const alias = { ...common, owner: nameFromText("c.e."), type: 5, data: nameFromText("n.e.") };

function zoneOf() {
  const builder = new ZoneBuilder(apex);
  for (const record of [soa, ns, host, alias]) builder.add(record);
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

function seed(prerequisites: readonly WireRecord[], updates: readonly WireRecord[]): Uint8Array {
  const room = new Uint8Array(2000);
  const writer = new WireMessageWriter(room);
  writer.question({ name: apex, type: 6, class: 1 });
  writer.records("answers", prerequisites);
  writer.records("authorities", updates);
  return room.slice(0, writer.finish(1, 5 << 11, 0));
}

const none = new Uint8Array(0);
const gone = { ...host, class: 254, ttl: 0 };
const all = { ...host, class: 255, ttl: 0, data: none };

/** Whatever an update says, the zone stays one: an SOA record, an NS record, aliases alone, a newer serial number. */
export const fuzz: FuzzTarget = {
  name: "dns-update",
  seeds: [
    seed([], [{ ...host, owner: nameFromText("x.e.") }]),
    seed([{ ...host, ttl: 0 }], [gone, alias]),
    seed(
      [all],
      [
        { ...all, type: 255 },
        { ...all, owner: apex, type: 255 },
        { ...alias, owner: nameFromText("n.e.") },
      ],
    ),
    seed(
      [{ ...all, class: 254 }],
      [
        { ...ns, class: 254, ttl: 0 },
        { ...soa, ttl: 9 },
        { ...host, owner: alias.owner },
      ],
    ),
  ],
  run(input) {
    const parsed = parseWireMessage(input);
    if (!parsed.ok) return;
    const zone = zoneOf();
    const before = [...zone.records()].length;
    const outcome = updateZone(zone, parsed.value, () => true);
    if ([...zone.records()].length !== before) throw new Error("the zone itself was changed");
    if (outcome.kind === "refused") {
      if (outcome.rcode === 0) throw new Error("refused without a reason");
      return;
    }
    if (outcome.changes.length === 0) return;
    const difference = differenceOf(zone, outcome.changes);
    const after = zone.update(outcome.changes);
    if (!isNewer(after.serial, zone.serial)) throw new Error(`serial ${after.serial} after ${zone.serial}`);
    const again = zone.update(changesOf(difference));
    const owners = new Map<string, Set<number>>();
    for (const each of after.records()) {
      const name = toHex(each.owner).toLowerCase();
      owners.set(name, (owners.get(name) ?? new Set()).add(each.type));
    }
    if ([...again.records()].length !== [...after.records()].length) throw new Error("the difference leads elsewhere");
    const top = owners.get(toHex(after.apex));
    if (top?.has(6) !== true || !top.has(2)) throw new Error("no SOA or NS record at the apex");
    for (const types of owners.values()) {
      const others = [...types].filter((type) => ![5, 25, 46, 47].includes(type));
      if (types.has(5) && others.length > 0) throw new Error(`an alias beside ${others.join()}`);
    }
  },
};
