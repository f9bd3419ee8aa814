import { FormatError } from "./image-failure.ts";

// Types of resources (icu/source/common/uresdata.h); the lower 28 bits say where.
const typeTable = 2;
const typeTable32 = 4;
const typeTable16 = 5;

/** A table of a resource bundle: where its count, keys and items lie, and how wide they are, in bytes. */
interface Table {
  readonly at: number;
  readonly count: number;
  readonly countSize: 2 | 4;
  readonly keySize: 2 | 4;
  readonly keys: number;
  readonly itemSize: 2 | 4;
  readonly items: number;
}

/**
 * Takes locales out of a `res_index` bundle, in place: ICU lists there which locales it has, so that programs ask for
 * no other. The tables `InstalledLocales` and `AliasLocales` become shorter.
 *
 * @param offset where the bundle lies in the file, for messages.
 * @throws FormatError for a bundle that is not as ICU writes it.
 */
export function filterLocaleIndex(bundle: Buffer, isWanted: (locale: string) => boolean, offset: number): void {
  const broken = (what: string): never => {
    throw new FormatError(`ICU's list of locales: ${what}`, offset);
  };
  if (bundle.length < 64 || bundle.toString("latin1", 12, 16) !== "ResB") broken("it is no resource bundle");
  const root = bundle.readUInt16LE(0);
  const inside = (at: number, length: number): number => {
    if (at < 0 || at + length > bundle.length) broken("something lies outside it");
    return at;
  };
  const word = (at: number): number => bundle.readUInt32LE(inside(at, 4));
  const half = (at: number): number => bundle.readUInt16LE(inside(at, 2));
  // Keys begin after the index, and 16-bit units after the keys.
  const keysEnd = root + word(root + 8) * 4;
  const keyText = (key: number): string => {
    if (root + key >= keysEnd) broken("a name lies outside the names");
    const end = bundle.indexOf(0, root + key);
    if (end < 0) broken("a name has no end");
    return bundle.toString("latin1", root + key, end);
  };
  const tableAt = (resource: number): Table | undefined => {
    const type = resource >>> 28;
    const place = resource & 0x0fffffff;
    if (type === typeTable16) {
      const at = keysEnd + place * 2;
      const count = half(at);
      const items = at + 2 + count * 2;
      return { at, count, countSize: 2, keySize: 2, keys: at + 2, itemSize: 2, items };
    }
    if (place === 0) return undefined;
    const at = root + place * 4;
    if (type === typeTable) {
      const count = half(at);
      const items = at + Math.ceil((2 + count * 2) / 4) * 4;
      return { at, count, countSize: 2, keySize: 2, keys: at + 2, itemSize: 4, items };
    }
    if (type !== typeTable32) return undefined;
    const count = word(at);
    return { at, count, countSize: 4, keySize: 4, keys: at + 4, itemSize: 4, items: at + 4 + count * 4 };
  };
  const read = (at: number, size: 2 | 4): number => (size === 2 ? half(at) : word(at));
  const top = tableAt(word(root)) ?? broken("its root is no table");
  let found = false;
  for (let index = 0; index < top.count; index++) {
    const key = keyText(read(top.keys + index * top.keySize, top.keySize));
    if (key !== "InstalledLocales" && key !== "AliasLocales") continue;
    // A table of 16-bit items holds no tables.
    const table = top.itemSize === 4 ? tableAt(word(top.items + index * 4)) : undefined;
    if (table === undefined) continue;
    found = true;
    const kept: { readonly key: number; readonly item: number }[] = [];
    for (let each = 0; each < table.count; each++) {
      const name = read(table.keys + each * table.keySize, table.keySize);
      const item = read(table.items + each * table.itemSize, table.itemSize);
      if (isWanted(keyText(name))) kept.push({ key: name, item });
    }
    writeTable(bundle, table, kept);
  }
  if (!found) broken("it names none");
}

/** Writes fewer rows into the room of a table. Where items lie follows from how many keys there are. */
function writeTable(
  bundle: Buffer,
  table: Table,
  rows: readonly { readonly key: number; readonly item: number }[],
): void {
  const write = (value: number, at: number, size: 2 | 4): void => {
    if (size === 2) bundle.writeUInt16LE(value, at);
    else bundle.writeUInt32LE(value, at);
  };
  write(rows.length, table.at, table.countSize);
  const end = table.keys + rows.length * table.keySize;
  const items = table.itemSize === 4 ? table.at + Math.ceil((end - table.at) / 4) * 4 : end;
  for (const [index, { key }] of rows.entries()) write(key, table.keys + index * table.keySize, table.keySize);
  for (const [index, { item }] of rows.entries()) write(item, items + index * table.itemSize, table.itemSize);
}
