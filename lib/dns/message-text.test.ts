import { IpAddress } from "@tesserae/device/address";
import { expect, test } from "vitest";
import { emitMessage } from "./message.ts";
import { printMessage, printSummary, rcodeName } from "./message-text.ts";
import { parseWireMessage } from "./wire-message.ts";

test("a response is printed as dig would, and on one line", () => {
  const bytes = new Uint8Array(512);
  const length = emitMessage(
    {
      id: 7,
      response: true,
      opcode: 0,
      authoritative: true,
      truncated: false,
      recursionDesired: true,
      recursionAvailable: false,
      authenticData: false,
      checkingDisabled: false,
      rcode: 0,
      questions: [{ name: "www.example.org", type: 1, class: 1 }],
      answers: [
        { name: "www.example.org", class: 1, ttl: 60, data: { type: "CNAME", name: "a.example.org" } },
        { name: "a.example.org", class: 1, ttl: 60, data: { type: "A", address: IpAddress.parse("192.0.2.1") } },
      ],
      authorities: [{ name: "example.org", class: 1, ttl: 5, data: { type: "NS", name: "ns.example.org" } }],
      additionals: [],
      edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [{ code: 15, bytes: Uint8Array.of(0, 3) }] },
    },
    bytes,
  );
  const parsed = parseWireMessage(bytes, 0, length);
  if (!parsed.ok) throw new Error(parsed.error.message);
  expect(printMessage(parsed.value).split("\n")).toEqual([
    ";; opcode: QUERY, status: NOERROR, id: 7, flags: qr aa rd",
    ";; EDNS: version: 0, flags: do; udp: 1232",
    ";; EDE: 3 (stale answer)",
    "",
    ";; QUESTION",
    ";www.example.org.\tIN\tA",
    "",
    ";; ANSWER",
    "www.example.org.\t60\tIN\tCNAME\ta.example.org.",
    "a.example.org.\t60\tIN\tA\t192.0.2.1",
    "",
    ";; AUTHORITY",
    "example.org.\t5\tIN\tNS\tns.example.org.",
  ]);
  expect(printSummary(parsed.value)).toBe("7 QUERY NOERROR qr aa rd: www.example.org. A 2/1/0");
  expect(rcodeName(3)).toBe("NXDOMAIN");
  expect(rcodeName(3841)).toBe("RCODE3841");
});
