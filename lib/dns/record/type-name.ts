import { recordClass, recordType } from "../wire.ts";

const typeNames = new Map<number, string>(Object.entries(recordType).map(([name, code]) => [code, name]));
const typeCodes = new Map<string, number>(Object.entries(recordType));
const classNames = new Map<number, string>(Object.entries(recordClass).map(([name, code]) => [code, name]));
const classCodes = new Map<string, number>(Object.entries(recordClass));

/** The mnemonic of a record type, or `TYPE65280` (RFC 3597 §5). */
export function typeName(code: number): string {
  return typeNames.get(code) ?? `TYPE${code}`;
}

/** The number of a type by its mnemonic, or `TYPE` and a number; letters in either case. */
export function typeFromText(text: string): number | undefined {
  return fromText(typeCodes, "TYPE", text);
}

/** The mnemonic of a class, or `CLASS32` (RFC 3597 §5). */
export function className(code: number): string {
  return classNames.get(code) ?? `CLASS${code}`;
}

/** The number of a class by its mnemonic, or `CLASS` and a number; letters in either case. */
export function classFromText(text: string): number | undefined {
  return fromText(classCodes, "CLASS", text);
}

function fromText(codes: ReadonlyMap<string, number>, prefix: string, text: string): number | undefined {
  const upper = text.toUpperCase();
  const code = codes.get(upper);
  if (code !== undefined || !upper.startsWith(prefix)) return code;
  const digits = upper.slice(prefix.length);
  return /^\d{1,5}$/.test(digits) && Number(digits) <= 0xffff ? Number(digits) : undefined;
}
