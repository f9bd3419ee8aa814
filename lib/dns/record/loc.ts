import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { FieldKind, RecordFormat } from "./format.ts";
import { printGeneric } from "./generic.ts";
import type { RecordScanner } from "./scanner.ts";

/** RFC 1876 §2. */
export interface Location {
  /** Centimetres: a digit times a power of ten, 0 to 9·10⁹. */
  readonly size: number;
  readonly horizontalPrecision: number;
  readonly verticalPrecision: number;
  /** Thousandths of a second of arc north of the equator, −324,000,000 to 324,000,000. */
  readonly latitude: number;
  /** Thousandths of a second of arc east of Greenwich, −648,000,000 to 648,000,000. */
  readonly longitude: number;
  /** Centimetres above the ellipsoid of WGS 84, −10,000,000 to 4,284,967,295. */
  readonly altitude: number;
}

const middle = 2 ** 31;
const seaLevel = 10_000_000;
const mostLatitude = 90 * 3_600_000;
const mostLongitude = 180 * 3_600_000;

class LocationField extends FieldKind<Location> {
  measure(data: Uint8Array, at: number, end: number): number {
    // Other versions than 0 have other lengths (§2): none is known.
    if (at + 16 > end || data[at] !== 0) return -1;
    for (let index = at + 1; index < at + 4; index++) {
      const size = data[index] ?? 0;
      if (size >>> 4 > 9 || (size & 15) > 9) return -1;
    }
    if (Math.abs(word(data, at + 4) - middle) > mostLatitude) return -1;
    return Math.abs(word(data, at + 8) - middle) > mostLongitude ? -1 : at + 16;
  }

  read(parser: RecordParser, field: string): Location {
    const at = parser.at;
    const bytes = parser.bytes(16, field);
    if (parser.fault === undefined && this.measure(bytes, 0, 16) < 0) {
      parser.fail("value", field, "a malformed location", at);
    }
    return {
      size: centimetres(bytes[1] ?? 0),
      horizontalPrecision: centimetres(bytes[2] ?? 0),
      verticalPrecision: centimetres(bytes[3] ?? 0),
      latitude: word(bytes, 4) - middle,
      longitude: word(bytes, 8) - middle,
      altitude: word(bytes, 12) - seaLevel,
    };
  }

  write(writer: RecordWriter, value: Location): void {
    writer.u8(0);
    for (const each of [value.size, value.horizontalPrecision, value.verticalPrecision]) writer.u8(power(each));
    writer.u32(value.latitude + middle);
    writer.u32(value.longitude + middle);
    writer.u32(value.altitude + seaLevel);
  }

  print(parser: RecordParser): string {
    const at = parser.at;
    const each = this.read(parser, "");
    parser.at = at;
    const bytes = parser.bytes(16, "");
    // Zero with a power of ten has no text of its own.
    if (bytes.subarray(1, 4).some((size) => size > 0 && size < 10)) return printGeneric(bytes);
    const sizes = [each.size, each.horizontalPrecision, each.verticalPrecision];
    const angles = `${angleText(each.latitude, "N", "S")} ${angleText(each.longitude, "E", "W")}`;
    const altitude = `${each.altitude < 0 ? "-" : ""}${metres(Math.abs(each.altitude))}.${cents(each.altitude)}m`;
    return `${angles} ${altitude} ${sizes.map(sizeText).join(" ")}`;
  }

  scan(scanner: RecordScanner): void {
    const latitude = scanAngle(scanner, "latitude", "NS", 90);
    const longitude = scanAngle(scanner, "longitude", "EW", 180);
    const altitude = scanMetres(scanner, "altitude", undefined, -100_000, 42_849_672.95);
    const size = scanMetres(scanner, "size", 100, 0, 90_000_000);
    const horizontal = scanMetres(scanner, "horizontal precision", 1_000_000, 0, 90_000_000);
    const vertical = scanMetres(scanner, "vertical precision", 1000, 0, 90_000_000);
    if (scanner.fault !== undefined) return;
    scanner.u8(0);
    for (const each of [size, horizontal, vertical]) scanner.u8(power(each));
    scanner.u32(latitude + middle);
    scanner.u32(longitude + middle);
    scanner.u32(altitude + seaLevel);
  }
}

function word(data: Uint8Array, at: number): number {
  const low = ((data[at + 1] ?? 0) << 16) | ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0);
  return (data[at] ?? 0) * 2 ** 24 + low;
}

function centimetres(size: number): number {
  return (size >>> 4) * 10 ** (size & 15);
}

/** The first digit and the power of ten, rounded down. */
function power(value: number): number {
  let digit = Math.floor(value);
  let exponent = 0;
  for (; digit > 9; exponent++) digit = Math.floor(digit / 10);
  return (digit << 4) | exponent;
}

function metres(value: number): number {
  return Math.floor(value / 100);
}

function cents(value: number): string {
  return String(Math.abs(value) % 100).padStart(2, "0");
}

function sizeText(value: number): string {
  return value % 100 === 0 ? `${metres(value)}m` : `${metres(value)}.${cents(value)}m`;
}

function angleText(value: number, positive: string, negative: string): string {
  const all = Math.abs(value);
  const seconds = `${Math.floor(all / 1000) % 60}.${String(all % 1000).padStart(3, "0")}`;
  const minutes = Math.floor(all / 60_000) % 60;
  return `${Math.floor(all / 3_600_000)} ${minutes} ${seconds} ${value < 0 ? negative : positive}`;
}

/** Degrees, then minutes and seconds if they are there, and a letter. */
function scanAngle(scanner: RecordScanner, field: string, letters: string, most: number): number {
  let total = 0;
  for (const [unit, limit] of [
    [3_600_000, most],
    [60_000, 59],
    [1000, 59.999],
  ] as const) {
    const text = scanner.word(field);
    if (scanner.fault !== undefined) return 0;
    const sign = letters.indexOf(text.toUpperCase());
    if (sign >= 0 && text.length === 1 && unit !== 3_600_000) return sign === 0 ? total : -total;
    const value = (unit === 1000 ? /^\d{1,2}(\.\d{1,3})?$/ : /^\d{1,3}$/).test(text) ? Number(text) : Infinity;
    if (value > limit) {
      scanner.fail(`${field}: "${text}" is not a number from 0 to ${limit}`);
      return 0;
    }
    total += Math.round(value * unit);
  }
  const text = scanner.word(field);
  const sign = letters.indexOf(text.toUpperCase());
  if (scanner.fault === undefined && (sign < 0 || text.length !== 1 || total > most * 3_600_000)) {
    scanner.fail(`${field}: "${text}" is not ${letters.split("").join(" or ")}, or the angle is above ${most}°`);
  }
  return sign === 0 ? total : -total;
}

/** Centimetres of a number of metres; the default where it may be missing. */
function scanMetres(
  scanner: RecordScanner,
  field: string,
  otherwise: number | undefined,
  least: number,
  most: number,
): number {
  if (otherwise !== undefined && !scanner.hasMore) return otherwise;
  const text = scanner.word(field);
  const value = /^-?\d{1,8}(\.\d{1,2})?m?$/i.test(text) ? Number(text.replace(/m$/i, "")) : Infinity;
  if (value >= least && value <= most) return Math.round(value * 100);
  scanner.fail(`${field}: "${text}" is not metres from ${least} to ${most} (as in 30.50m)`);
  return 0;
}

/** A place on earth (RFC 1876). */
export const loc = new RecordFormat("LOC", { position: new LocationField() });
