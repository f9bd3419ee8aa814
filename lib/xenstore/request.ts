/** What requests mean, from their payloads. */
import type { Operation } from "./draft.ts";
import { absolutePath, isSpecial, type SpecialPath } from "./path.ts";
import { parsePermission, type LifeOf, type Permissions } from "./permissions.ts";
import { decodeStrings, messageType, textOf, type ErrorName } from "./wire.ts";

const { read, directory, directoryPart, getPermissions, watch, unwatch, resetWatches } = messageType;
/** Requests that look at a node. */
export const looks: ReadonlySet<number> = new Set([read, directory, directoryPart, getPermissions]);
/** Requests about a client's own watches. */
export const watchings: ReadonlySet<number> = new Set([watch, unwatch, resetWatches]);

/** The change that a request asks for. */
export function parseOperation(
  type: number,
  payload: Uint8Array,
  home: string,
  lifeOf: LifeOf,
): Operation | { readonly special: SpecialPath; readonly permissions: Permissions } | ErrorName {
  const end = payload.indexOf(0);
  if (end < 0) return "EINVAL";
  const text = textOf(payload, 0, end);
  if (type === messageType.setPermissions) {
    const permissions = parsePermissions(decodeStrings(payload).slice(1), lifeOf);
    if (permissions === undefined) return "EINVAL";
    if (isSpecial(text)) return { special: text, permissions };
    const path = absolutePath(text, home);
    return path === undefined ? "EINVAL" : { kind: "permit", path, permissions };
  }
  const path = absolutePath(text, home);
  if (path === undefined) return "EINVAL";
  if (type === messageType.write) return { kind: "write", path, value: payload.slice(end + 1) };
  return { kind: type === messageType.remove ? "remove" : "make", path };
}

/** @returns undefined when there is none, or one is no permission */
export function parsePermissions(texts: readonly string[], lifeOf: LifeOf): Permissions | undefined {
  const parsed = texts.map((each) => parsePermission(each, lifeOf));
  const [first, ...others] = parsed;
  if (first === undefined) return undefined;
  const known = others.filter((each) => each !== undefined);
  return known.length === others.length ? [first, ...known] : undefined;
}

/** A number in decimal, which may be negative; of more than 19 digits there is none. */
export function parseNumber(text: string): number | undefined {
  return /^-?\d{1,19}$/.test(text) ? Number(text) : undefined;
}
