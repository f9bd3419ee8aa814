import { longestName } from "../name-bytes.ts";

const longestLabel = 63;

/**
 * The first name behind another in canonical order (RFC 4471 §2.1.2), so that no name is between the two: `\000` in front
 * of it; where that is too long, the first one that is not below it.
 *
 * @param name in lower case
 */
export function nameBehind(name: Uint8Array): Uint8Array {
  if (name.length + 2 <= longestName) {
    const below = new Uint8Array(name.length + 2);
    below[0] = 1;
    below.set(name, 2);
    return below;
  }
  return nameBeside(name);
}

/** The first name behind all that is at and below another: a longer or a greater label, or those above it. */
function nameBeside(name: Uint8Array): Uint8Array {
  const length = name[0] ?? 0;
  // The root has nothing beside it: the order starts again.
  if (length === 0) return name;
  const parent = name.subarray(length + 1);
  if (length < longestLabel && name.length < longestName) return joined([...name.subarray(1, length + 1), 0], parent);
  const label = [...name.subarray(1, length + 1)];
  while (label.length > 0) {
    let last = label.pop() ?? 255;
    if (last === 255) continue;
    // Capital letters count as small ones.
    last = last === 0x40 ? 0x5b : last + 1;
    label.push(last);
    return joined(label, parent);
  }
  return nameBeside(parent);
}

function joined(label: readonly number[], parent: Uint8Array): Uint8Array {
  return Uint8Array.of(label.length, ...label, ...parent);
}
