/** What a client sees of a node that it asks about. */
import type { Connection } from "./connection.ts";
import { absence } from "./draft.ts";
import { find, type Node } from "./node.ts";
import { absolutePath, isSpecial } from "./path.ts";
import { access, isAllowed, printPermission } from "./permissions.ts";
import type { Store } from "./store.ts";
import { aspect, type Transaction } from "./transaction.ts";
import { decodeStrings, encodeStrings, longestPayload, messageType, type ErrorName } from "./wire.ts";

/**
 * The answer to a request that looks at a node: its value, permissions, or the names of its children.
 *
 * @param transaction what it asks in, which remembers that it looked
 */
export function look(
  store: Store,
  connection: Connection,
  transaction: Transaction | undefined,
  type: number,
  payload: Uint8Array,
): Uint8Array | ErrorName {
  const [text, offset] = decodeStrings(payload);
  const { actor } = connection;
  if (text !== undefined && isSpecial(text) && type === messageType.getPermissions) {
    const permissions = store.special.get(text);
    return permissions === undefined ? "EINVAL" : encodeStrings(...permissions.map(printPermission));
  }
  const path = text === undefined ? undefined : absolutePath(text, connection.home);
  if (path === undefined) return "EINVAL";
  if (transaction?.hasRoom === false) return "ENOSPC";
  const root = transaction?.root ?? store.root;
  const node = find(root, path);
  transaction?.look(path, aspectOf(type));
  if (node === undefined) return absence(root, path, actor, access.read, store.lifeOf);
  if (!isAllowed(node.permissions, actor, access.read, store.lifeOf)) return "EACCES";
  if (type === messageType.read) return node.value;
  if (type === messageType.getPermissions) return encodeStrings(...node.permissions.map(printPermission));
  const names = encodeStrings(...[...node.children].map(([name]) => name));
  if (type === messageType.directory) return names.length > longestPayload ? "E2BIG" : names;
  return partOf(node, names, offset);
}

function aspectOf(type: number): number {
  if (type === messageType.read) return aspect.value;
  return type === messageType.getPermissions ? aspect.permissions : aspect.children;
}

/** A piece of the names of children, with the generation in front; one empty name ends the whole. */
function partOf(node: Node, names: Uint8Array, offset: string | undefined): Uint8Array | "EINVAL" {
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
