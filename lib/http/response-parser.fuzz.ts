import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { failed, gotData, gotHead, needInput } from "./message-event.ts";
import { ResponseParser } from "./response-parser.ts";

const limits = { maxStartLine: 256, maxHead: 1024, maxFields: 16 };
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** As in the fuzz target of the request parser, with the end of the connection at the end. */
export function trace(input: Uint8Array, cuts: readonly number[], method = "GET"): string {
  const parser = new ResponseParser(limits);
  parser.expect(method);
  let said = "";
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
      if (event === failed) return `${said}!${parser.fault!.kind}@${String(parser.fault!.offset)}`;
      if (event === gotHead) said += `\n${JSON.stringify(parser.head)}`;
      else if (event === gotData) {
        said += Buffer.from(piece).toString("latin1", parser.dataOffset, parser.dataOffset + parser.dataLength);
      } else said += "$";
    }
  }
  return `${said}.${String(parser.finish())}`;
}

export const fuzz: FuzzTarget = {
  name: "http response parser",
  seeds: [
    encode("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\n"),
    encode("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    encode("HTTP/1.0 404 Not Found\r\nX: y\r\n\r\nuntil the end"),
  ],
  run(input) {
    for (const method of ["GET", "HEAD"]) {
      const whole = trace(input, [], method);
      const cuts = Array.from(input.keys()).slice(1);
      if (trace(input, cuts, method) !== whole) throw new Error("octet by octet the events differ");
    }
  },
};
