/** Text that grew or shrank at one place of a line. */
export interface Move {
  /** From 0; what begins after this column has moved. */
  readonly column: number;
  readonly by: number;
}

/**
 * Corrects the mappings of a version 3 source map for generated text that moved within its lines.
 *
 * @param mappings as in the map
 * @param moves by line, from 0; each line's by column
 */
export function moveColumns(mappings: string, moves: ReadonlyMap<number, readonly Move[]>): string {
  const lines = mappings.split(";");
  for (const [line, list] of moves) {
    let column = 0;
    let next = 0;
    const segments = (lines[line] ?? "").split(",").map((segment) => {
      const end = firstFieldEnd(segment);
      let distance = decodeVlq(segment.slice(0, end));
      column += distance;
      // Distances are from the segment before: only the first one after a place has to say that it moved.
      for (let move = list[next]; move !== undefined && column > move.column; move = list[++next]) distance += move.by;
      return encodeVlq(distance) + segment.slice(end);
    });
    if (lines[line] !== undefined && lines[line] !== "") lines[line] = segments.join(",");
  }
  return lines.join(";");
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function firstFieldEnd(segment: string): number {
  let end = 0;
  while (end < segment.length && digits.indexOf(segment.charAt(end)) >= 32) end++;
  return end + 1;
}

function decodeVlq(text: string): number {
  let value = 0;
  for (let index = 0; index < text.length; index++) value += (digits.indexOf(text.charAt(index)) & 31) << (5 * index);
  return (value & 1) === 1 ? -(value >> 1) : value >> 1;
}

function encodeVlq(value: number): string {
  let rest = value < 0 ? (-value << 1) | 1 : value << 1;
  let text = "";
  do {
    const digit = rest & 31;
    rest >>>= 5;
    text += digits.charAt(rest > 0 ? digit | 32 : digit);
  } while (rest > 0);
  return text;
}
