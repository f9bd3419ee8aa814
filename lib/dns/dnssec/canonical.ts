import { ancestorName, labelCount, lowerName, nameLength } from "../name-bytes.ts";
import { canonicalData } from "../record/data.ts";

const headOfSignature = 18;

/** The order of records in a set (RFC 4034 §6.3): as bytes, and what is missing first. For {@link Array.sort}. */
export function compareData(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let at = 0; at < shorter; at++) {
    const order = (a[at] ?? 0) - (b[at] ?? 0);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/**
 * What a signature is of (RFC 4034 §3.1.8.1): the data of the RRSIG record up to the signer's name, and the records of
 * the set in canonical form and order, with the wildcard's name when they come from one.
 *
 * @param signature the data of the RRSIG record, with or without the signature itself
 * @param set class IN; no two the same
 * @returns undefined when the signature is for a name with more labels than `owner`, or is cut off.
 */
export function signedData(
  signature: Uint8Array,
  owner: Uint8Array,
  type: number,
  set: readonly Uint8Array[],
): Uint8Array | undefined {
  const signerLength = signature.length > headOfSignature ? nameLength(signature, headOfSignature) : 0;
  if (signerLength === 0) return undefined;
  const labels = signature[3] ?? 0;
  const own = labelCount(owner) - (owner[0] === 1 && owner[1] === 0x2a ? 1 : 0);
  if (labels > own) return undefined;
  const lower = lowerName(owner);
  const name = labels === own ? lower : wildcard(ancestorName(lower, labels));
  const data = set.map((each) => canonicalData(type, each)).sort(compareData);
  const head = headOfSignature + signerLength;
  const length = data.reduce((sum, each) => sum + name.length + 10 + each.length, head);
  const bytes = new Uint8Array(length);
  bytes.set(signature.subarray(0, headOfSignature));
  bytes.set(lowerName(signature.subarray(headOfSignature, head)), headOfSignature);
  let at = head;
  for (const each of data) {
    bytes.set(name, at);
    at += name.length;
    bytes[at++] = type >>> 8;
    bytes[at++] = type;
    bytes[at++] = 0;
    bytes[at++] = 1;
    // The time to live is the original one.
    bytes.set(signature.subarray(4, 8), at);
    at += 4;
    bytes[at++] = each.length >>> 8;
    bytes[at++] = each.length;
    bytes.set(each, at);
    at += each.length;
  }
  return bytes;
}

function wildcard(name: Uint8Array): Uint8Array {
  return Uint8Array.from([1, 0x2a, ...name]);
}
