/**
 * What could end a line, move a terminal's cursor, or make text look like other text: controls (C0, DEL, C1), line and
 * paragraph separators, zero-width and bidirectional marks, the byte-order mark, interlinear annotations, tags, lone
 * surrogates.
 */
const unsafe =
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\ud800-\udfff]/gu;

/** Whether a value needs quotes to be one word that is not a key. */
const bare = /^[^\s"=\\]+$/u;

/** `text` on one line: what is unsafe becomes `\n`, `\t`, `\r` or `\u{…}`. */
export function escapeText(text: string): string {
  return text.replace(unsafe, (character) => {
    switch (character) {
      case "\n":
        return "\\n";
      case "\r":
        return "\\r";
      case "\t":
        return "\\t";
      default:
        return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
    }
  });
}

/** `text` as the value of `key=value`: quoted unless it is one plain word. */
export function escapeValue(text: string): string {
  const escaped = escapeText(text.replaceAll("\\", "\\\\"));
  return bare.test(text) && escaped === text ? text : `"${escaped.replaceAll('"', '\\"')}"`;
}

/** The first `length` UTF-16 units of `text`, not cutting a pair in two, and `…` when there was more. */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return `${text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length)}…`;
}
