import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { transcript } from "./request-parser.fuzz.ts";
import { ResponseParser } from "./response-parser.ts";

const limits = { maxStartLine: 256, maxHead: 1024, maxFields: 16 };
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** As in the fuzz target of the request parser, with the end of the connection at the end. */
export function trace(input: Uint8Array, cuts: readonly number[], method = "GET"): string {
  const parser = new ResponseParser(limits);
  parser.expect(method);
  const { text, isFault } = transcript(parser, input, cuts);
  return isFault ? text : `${text}.${String(parser.finish())}`;
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
