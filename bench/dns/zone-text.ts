// The zone of a given number of names, as text: for master files, and for images that have no files.

export const apex = "bench.test.";

/** The name of the `index`th host: eight characters before the apex. */
export function hostName(index: number): string {
  return `r${String(index).padStart(7, "0")}.${apex}`;
}

/** The master file, in pieces of about 64 KiB. */
export function* zoneText(names: number): Generator<string> {
  let text = `$ORIGIN ${apex}
$TTL 3600
@ SOA ns1 hostmaster 2026010101 7200 3600 1209600 300
@ NS ns1
@ NS ns2
ns1 A 192.0.2.1
ns2 A 192.0.2.2
`;
  for (let index = 0; index < names; index++) {
    text += `${hostName(index)} A 10.${(index >>> 16) & 255}.${(index >>> 8) & 255}.${index & 255}\n`;
    if (text.length > 1 << 16) {
      yield text;
      text = "";
    }
  }
  yield text;
}
