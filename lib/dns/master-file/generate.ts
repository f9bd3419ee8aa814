/**
 * `$GENERATE start-stop[/step] owner [ttl] [class] type data`, an extension of BIND's: one record for each number.
 *
 * In the owner and the data `$` is the number; `${offset,width,base}` the number plus `offset`, padded with zeros to
 * `width`, in `base` d, o, x or X, or n or N for the nibbles of a reverse name; `$$` and `\$` a dollar.
 */

/** Records that one directive may make. */
export const mostGenerated = 1 << 20;

/** One directive, taken apart. */
export interface GenerateRange {
  readonly start: number;
  readonly stop: number;
  readonly step: number;
}

/** A text between numbers, or a number. */
type Part =
  string | { readonly offset: number; readonly width: number; readonly base: "d" | "o" | "x" | "X" | "n" | "N" };

/** A text with numbers to be put in. */
export interface Template {
  readonly parts: readonly Part[];
}

/** @returns the range, or what is wrong with it */
export function parseRange(text: string): GenerateRange | string {
  const match = /^(\d{1,10})-(\d{1,10})(?:\/(\d{1,10}))?$/.exec(text);
  const [start, stop, step] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3] ?? "1")];
  if (match === null || stop > 0x7fffffff) return `"${text}" is not a range (as in 1-100 or 0-30/2)`;
  if (stop < start) return `"${text}" ends before it starts`;
  if (step < 1) return "the step is at least 1";
  if ((stop - start) / step >= mostGenerated) return `more than ${mostGenerated} records`;
  return { start, stop, step };
}

/** @returns the template, or what is wrong with it */
export function parseTemplate(text: string): Template | string {
  const parts: Part[] = [];
  let plain = "";
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === "\\" && at + 1 < text.length) {
      const escaped = text.charAt(++at);
      plain += escaped === "$" ? "$" : `\\${escaped}`;
      continue;
    }
    if (character !== "$") {
      plain += character;
      continue;
    }
    if (text.charAt(at + 1) === "$") {
      plain += "$";
      at++;
      continue;
    }
    if (plain !== "") parts.push(plain);
    plain = "";
    if (text.charAt(at + 1) !== "{") {
      parts.push({ offset: 0, width: 0, base: "d" });
      continue;
    }
    const end = text.indexOf("}", at);
    const inside = end < 0 ? "" : text.slice(at + 2, end);
    const match = /^([+-]?\d{1,10})(?:,(\d{1,3})(?:,([doxXnN]))?)?$/.exec(inside);
    if (match === null || Number(match[2] ?? 0) > 255) {
      return `"${text.slice(at, end < 0 ? undefined : end + 1)}" is not \${offset,width,base}, base one of d o x X n N`;
    }
    // as: the expression admits no other letters
    const base = (match[3] ?? "d") as "d";
    parts.push({ offset: Number(match[1]), width: Number(match[2] ?? 0), base });
    at = end;
  }
  if (plain !== "") parts.push(plain);
  return { parts };
}

/** The template with a number put in; `undefined` when an offset makes it negative. */
export function fillTemplate({ parts }: Template, number: number): string | undefined {
  let text = "";
  for (const part of parts) {
    if (typeof part === "string") {
      text += part;
      continue;
    }
    const value = number + part.offset;
    if (value < 0 || value > 0xffffffff) return undefined;
    text += numberText(value, part.width, part.base);
  }
  return text;
}

function numberText(value: number, width: number, base: "d" | "o" | "x" | "X" | "n" | "N"): string {
  switch (base) {
    case "d":
      return String(value).padStart(width, "0");
    case "o":
      return value.toString(8).padStart(width, "0");
    case "x":
      return value.toString(16).padStart(width, "0");
    case "X":
      return value.toString(16).toUpperCase().padStart(width, "0");
    case "n":
    case "N": {
      // Nibbles from the last to the first with dots between; the width counts both.
      const digits = value.toString(16).padStart(Math.ceil(width / 2), "0");
      const nibbles = Array.from(base === "N" ? digits.toUpperCase() : digits)
        .reverse()
        .join(".");
      return nibbles.length < width ? `${nibbles}.` : nibbles;
    }
  }
}
