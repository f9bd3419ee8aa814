import { closeSync, openSync, readSync } from "node:fs";
import type { Zone } from "@tesserae/dns/authoritative/zone";
import { ZoneBuilder } from "@tesserae/dns/authoritative/zone-builder";
import { MasterFileError, parseMasterFile } from "@tesserae/dns/master-file/reader";
import { nameFromText } from "@tesserae/dns/name-bytes";
import type { ServedZone } from "./name-server.ts";

/** Reads a master file as our name server does, in pieces. @throws Error that says what is wrong with it, and where */
export function loadZone({ apex, file }: ServedZone): Zone {
  const origin = nameFromText(apex);
  const builder = new ZoneBuilder(origin);
  for (const record of parseMasterFile(piecesOf(file), { origin, source: file })) {
    const fault = record instanceof MasterFileError ? record.toString() : builder.add(record);
    if (fault !== undefined) throw new Error(`${apex} ${fault}`);
  }
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

function* piecesOf(file: string): Generator<Uint8Array> {
  const descriptor = openSync(file, "r");
  try {
    for (;;) {
      const piece = new Uint8Array(1 << 18);
      const length = readSync(descriptor, piece);
      if (length === 0) return;
      yield piece.subarray(0, length);
    }
  } finally {
    closeSync(descriptor);
  }
}
