import { parseDate } from "./date.ts";

/** Conditional requests (RFC 9110 §13). */

/** What is known of the representation that would be sent. */
export interface Validators {
  /** The entity tag with its quotes, `W/` in front when weak. */
  readonly etag: string | undefined;
  /** Wall-clock milliseconds. */
  readonly modified: number | undefined;
}

/** The fields of a request, as `Headers` gives them. */
export interface FieldSource {
  get(name: string): string | null;
}

export type Verdict =
  /** No condition stands against the method. */
  | "proceed"
  /** 304 */
  | "not-modified"
  /** 412 */
  | "failed";

/**
 * Weighs If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of RFC 9110 §13.2.2.
 *
 * @param validators `undefined` when there is no representation
 * @param now wall-clock milliseconds, to read two-digit years
 */
export function evaluateConditions(
  fields: FieldSource,
  method: string,
  validators: Validators | undefined,
  now: number,
): Verdict {
  const reads = method === "GET" || method === "HEAD";
  const ifMatch = fields.get("if-match");
  if (ifMatch !== null) {
    if (!matches(ifMatch, validators, true)) return "failed";
  } else {
    const since = dateField(fields, "if-unmodified-since", now);
    if (since !== undefined && later(validators?.modified, since)) return "failed";
  }
  const ifNoneMatch = fields.get("if-none-match");
  if (ifNoneMatch !== null) {
    if (matches(ifNoneMatch, validators, false)) return reads ? "not-modified" : "failed";
  } else if (reads) {
    const since = dateField(fields, "if-modified-since", now);
    if (since !== undefined && validators?.modified !== undefined && !later(validators.modified, since)) {
      return "not-modified";
    }
  }
  return "proceed";
}

/** Whether an If-Range condition (RFC 9110 §13.1.5) lets the Range field count; `null` is no condition. */
export function rangeApplies(ifRange: string | null, validators: Validators, now: number): boolean {
  if (ifRange === null) return true;
  const value = ifRange.trim();
  if (value.startsWith('"')) return value === validators.etag;
  if (value.startsWith("W/")) return false;
  const date = parseDate(value, now);
  return date !== undefined && validators.modified !== undefined && !later(validators.modified, date);
}

function dateField(fields: FieldSource, name: string, now: number): number | undefined {
  const value = fields.get(name);
  return value === null ? undefined : parseDate(value, now);
}

/** Whether `modified` is after `date`, which has whole seconds only. */
function later(modified: number | undefined, date: number): boolean {
  return modified !== undefined && Math.floor(modified / 1000) * 1000 > date;
}

function matches(list: string, validators: Validators | undefined, strong: boolean): boolean {
  if (list.trim() === "*") return validators !== undefined;
  const etag = validators?.etag;
  if (etag === undefined || (strong && etag.startsWith("W/"))) return false;
  const opaque = etag.startsWith("W/") ? etag.slice(2) : etag;
  return entityTags(list).some((tag) => (tag.startsWith("W/") ? !strong && tag.slice(2) === opaque : tag === opaque));
}

/** The entity tags of a list, up to the first thing that is none. */
export function entityTags(list: string): string[] {
  const tags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < list.length && (list[at] === "," || list[at] === " " || list[at] === "\t")) at++;
    const start = at;
    if (list.startsWith("W/", at)) at += 2;
    if (list[at] !== '"') return tags;
    const end = list.indexOf('"', at + 1);
    if (end < 0) return tags;
    at = end + 1;
    tags.push(list.slice(start, at));
  }
}
