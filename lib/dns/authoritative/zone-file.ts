import { MasterFileError, type MasterFileOptions, MasterFileReader } from "../master-file/reader.ts";
import type { MasterFileInput } from "../master-file/input.ts";
import { nameToText } from "../name-bytes.ts";
import { typeName } from "../record/type-name.ts";
import { nodeFlag } from "./name-tree.ts";
import { RecordSet } from "./rrset-block.ts";
import { atOnce, type Steps } from "./steps.ts";
import type { Zone } from "./zone.ts";
import { ZoneBuilder } from "./zone-builder.ts";
import { recordType } from "../wire.ts";

/** Messages that are kept; a file that is wrong from end to end need not be told line by line. */
const mostMessages = 100;
/** Records that are read, and names that are looked at, in one step. */
const recordsInStep = 512;
const namesInStep = 4096;
/** Types that may stand beside a CNAME record (RFC 4035 §2.5). */
const besideAlias: ReadonlySet<number> = new Set([recordType.CNAME, recordType.NSEC]);

/** A zone read from a master file, or what keeps it from being one. Messages begin with `file:line:column` or the file. */
export type LoadedZone =
  | { readonly ok: true; readonly zone: Zone; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly errors: readonly string[]; readonly warnings: readonly string[] };

/**
 * Reads a zone from a master file. Records outside of the zone are left out with a warning; what cannot be read, a
 * missing SOA record, and a CNAME record beside others are errors.
 *
 * @param apex the zone's name, as on the wire; also the file's first origin
 */
export function loadZone(apex: Uint8Array, input: MasterFileInput, options: MasterFileOptions = {}): LoadedZone {
  return atOnce(loadZoneInSteps(apex, input, options));
}

/** The same in steps, so that queries are answered while a large zone is read anew. */
export function* loadZoneInSteps(
  apex: Uint8Array,
  input: MasterFileInput,
  options: MasterFileOptions = {},
): Steps<LoadedZone> {
  const source = options.source ?? "zone";
  const reader = new MasterFileReader(input, { origin: apex, ...options });
  const builder = new ZoneBuilder(apex);
  const errors: string[] = [];
  const warnings: string[] = [];
  let count = 0;
  for (let item = reader.next(); item !== undefined; item = reader.next()) {
    if (++count % recordsInStep === 0) yield;
    if (item instanceof MasterFileError) {
      if (errors.length < mostMessages) errors.push(item.toString());
      continue;
    }
    const fault = builder.add(item);
    if (fault !== undefined && warnings.length < mostMessages) warnings.push(`${source}: ${fault}`);
  }
  const built = yield* builder.finishing();
  if (!built.ok) errors.push(`${source}: ${built.message}`);
  else if (errors.length === 0) {
    for (const each of yield* aliasesBesideOthers(built.zone)) errors.push(`${source}: ${each}`);
  }
  if (!built.ok || errors.length > 0) return { ok: false, errors, warnings };
  if (built.zone.recordsOf(apex, recordType.NS).length === 0)
    warnings.push(`${source}: ${nameToText(apex)} has no NS record`);
  return { ok: true, zone: built.zone, warnings };
}

/** Names with a CNAME record and others (RFC 2181 §10.1), in words. */
function* aliasesBesideOthers(zone: Zone): Steps<string[]> {
  const { names } = zone;
  const found: string[] = [];
  const set = new RecordSet();
  let count = 0;
  for (const node of names.order) {
    if (++count % namesInStep === 0) yield;
    if ((names.flags(node) & nodeFlag.data) === 0) continue;
    let hasAlias = false;
    let other = -1;
    set.open(names.arena, names.block(node));
    while (set.next()) {
      if (set.count === 0) continue;
      if (set.type === recordType.CNAME) hasAlias = true;
      else if (!besideAlias.has(set.type)) other = set.type;
    }
    if (!hasAlias || other < 0) continue;
    found.push(`${nameToText(zone.owner(names, node))} has a CNAME record and one of type ${typeName(other)}`);
    if (found.length === mostMessages) break;
  }
  return found;
}
