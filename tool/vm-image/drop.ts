/** What became of a part of the program that was dropped: a few words, and the bytes. */
export interface DroppedPart {
  readonly part: string;
  readonly bytes: number;
}

const leastRun = 1024 * 1024;
/** Base64 of a WebAssembly module's first bytes, `\0asm`. */
const moduleMagic = "AGFzbQ";
const base64 = new Uint8Array(256);
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") {
  base64[character.charCodeAt(0)] = 1;
}

/**
 * Replaces by zeros, in place, what an image cannot need: the compiler that removes types from TypeScript, a WebAssembly
 * module of megabytes in base64 inside Node.js's own scripts. An image runs bundled JavaScript. With it gone, importing
 * a `.ts` file throws an error; nothing else refers to it.
 *
 * Smaller modules of that kind (the HTTP parser of `fetch`, the scanner of CommonJS exports) are in use, and stay.
 */
export function dropUnused(program: Uint8Array): readonly DroppedPart[] {
  const dropped: DroppedPart[] = [];
  // A run of that length holds a multiple of half of it.
  for (let at = 0; at < program.length; at += leastRun / 2) {
    if (base64[program[at] ?? 0] === 0) continue;
    let start = at;
    while (start > 0 && base64[program[start - 1] ?? 0] === 1) start--;
    let end = at;
    while (end < program.length && base64[program[end] ?? 0] === 1) end++;
    if (end - start >= leastRun && startsWith(program, start, moduleMagic)) {
      program.fill(0, start, end);
      dropped.push({ part: "TypeScript compiler", bytes: end - start });
    }
  }
  return dropped;
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text.charCodeAt(index)) return false;
  return true;
}
