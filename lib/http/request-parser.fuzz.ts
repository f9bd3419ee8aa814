import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { failed, gotData, gotHead, needInput } from "./message-event.ts";
import { RequestParser } from "./request-parser.ts";
import type { ResponseParser } from "./response-parser.ts";

const limits = { maxStartLine: 256, maxHead: 1024, maxFields: 16 };
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Everything that `parser` says of `input`, cut after each of `cuts`; adjoining pieces of a body are one. */
export function transcript(
  parser: RequestParser | ResponseParser,
  input: Uint8Array,
  cuts: readonly number[],
): { readonly text: string; readonly isFault: boolean } {
  let text = "";
  let from = 0;
  for (const end of [...cuts, input.length]) {
    const piece = input.slice(from, end);
    from = end;
    for (let at = 0; ;) {
      const event = parser.next(piece, at, piece.length);
      if (parser.consumed < at || parser.consumed > piece.length) throw new Error("consumed is out of the piece");
      at = parser.consumed;
      if (event === needInput) {
        if (at !== piece.length) throw new Error("input is left though more is wanted");
        break;
      }
      if (event === failed) {
        return { text: `${text}!${parser.fault!.kind}@${String(parser.fault!.offset)}`, isFault: true };
      }
      if (event === gotHead) text += `\n${JSON.stringify(parser.head)}`;
      else if (event === gotData) {
        text += Buffer.from(piece).toString("latin1", parser.dataOffset, parser.dataOffset + parser.dataLength);
      } else text += "$";
    }
  }
  return { text, isFault: false };
}

export const trace = (input: Uint8Array, cuts: readonly number[]): string =>
  transcript(new RequestParser(limits), input, cuts).text;

export const fuzz: FuzzTarget = {
  name: "http request parser",
  seeds: [
    encode("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"),
    encode("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
    encode("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: 1\r\n\r\n"),
    encode("OPTIONS * HTTP/1.0\r\n\r\n"),
  ],
  run(input) {
    const whole = trace(input, []);
    const cuts = Array.from(input.keys()).slice(1);
    if (trace(input, cuts) !== whole) throw new Error("octet by octet the events differ");
  },
};
