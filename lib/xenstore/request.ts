/** What requests mean, from their payloads. */
import type { Operation } from "./draft.ts";
import type { Node } from "./node.ts";
import { absolutePath, isSpecial, type SpecialPath } from "./path.ts";
import { parsePermission, type LifeOf, type Permissions } from "./permissions.ts";
import { aspect } from "./transaction.ts";
import { decodeStrings, encodeStrings, longestPayload, messageType, textOf, type ErrorName } from "./wire.ts";

const { read, directory, directoryPart, getPermissions, watch, unwatch, resetWatches } = messageType;
/** Requests that look at a node. */
export const looks: ReadonlySet<number> = new Set([read, directory, directoryPart, getPermissions]);
/** Requests about a client's own watches. */
export const watchings: ReadonlySet<number> = new Set([watch, unwatch, resetWatches]);

/** What a request of {@link looks} looks at. */
export function aspectOf(type: number): number {
  if (type === messageType.read) return aspect.value;
  return type === messageType.getPermissions ? aspect.permissions : aspect.children;
}

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

/** A piece of the names of children, with the generation in front; one empty name ends the whole. */
export function partOf(node: Node, names: Uint8Array, offset: string | undefined): Uint8Array | "EINVAL" {
  if (offset === undefined || !/^\d{1,9}$/.test(offset)) return "EINVAL";
  const generation = encodeStrings(String(node.generation));
  const from = Math.min(Number(offset), names.length);
  const room = longestPayload - generation.length;
  let to = Math.min(names.length, from + room - 1);
  // Whole names only.
  while (to > from && to < names.length && names[to - 1] !== 0) to--;
  const isEnd = to === names.length;
  const payload = new Uint8Array(generation.length + (to - from) + (isEnd ? 1 : 0));
  payload.set(generation);
  payload.set(names.subarray(from, to), generation.length);
  return payload;
}
