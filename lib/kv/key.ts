import { checkKey, KvError } from "@tesserae/device/kv";

/** @throws KvError `bad-key` saying what is wrong. */
export function requireKey(key: string): void {
  const problem = checkKey(key);
  if (problem !== undefined) throw new KvError("bad-key", key, `key "${key.slice(0, 100)}" ${problem}`);
}

/** @throws RangeError naming the argument when it is not an integer of 0 or more. */
export function requireCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${name} ${String(value)} is not an integer of 0 or more`);
  }
}

/** Those of `keys` that are the path `prefix` or below it, in byte order; `img/` is only what is below. */
export function keysBelow(keys: Iterable<string>, prefix: string): readonly string[] {
  const path = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  if (prefix !== "") requireKey(path);
  const found: string[] = [];
  for (const key of keys) {
    if (prefix === "" || (key === path && path === prefix) || key.startsWith(`${path}/`)) found.push(key);
  }
  return found.sort(compareBytes);
}

/** The order of the UTF-8 bytes, which is that of code points and not that of UTF-16. */
export function compareBytes(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index++) {
    const a = one.charCodeAt(index);
    const b = other.charCodeAt(index);
    if (a === b) continue;
    // Surrogates stand for code points above all others.
    const highA = a >= 0xd800 && a < 0xe000;
    const highB = b >= 0xd800 && b < 0xe000;
    if (highA !== highB) return highA ? 1 : -1;
    return a - b;
  }
  return one.length - other.length;
}
