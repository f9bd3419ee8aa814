/** Bytes as characters of the same numbers: text of any encoding survives it. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** @throws RangeError when a character is above 255. */
export function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    if (code > 255 || character.length > 1) throw new RangeError(`${code} is not an integer from 0 to 255`);
    return code;
  });
}
