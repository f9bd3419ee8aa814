import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeFrame } from "./frame-text.ts";

function text(hex: string): string {
  const bytes = new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
  return describeFrame(bytes, 0, bytes.length);
}

const ethernet = "020000000002 020000000001";
const addresses = "0a000001 0a000002";

describe("describeFrame", () => {
  test.each([
    [
      `ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002`,
      "arp who has 10.0.0.2? tell 10.0.0.1",
    ],
    [
      `${ethernet} 0806 0001 0800 06 04 0002 020000000001 0a000001 020000000002 0a000002`,
      "arp 10.0.0.1 is at 02:00:00:00:00:01",
    ],
    [
      `${ethernet} 0800 4500002a 00004000 40060000 ${addresses} 1f90c001 00000001 fffffffe 5018ffff 00000000 6869`,
      "10.0.0.1:8080 → 10.0.0.2:49153 tcp PSH,ACK seq 1 ack 4294967294 win 65535, 2 bytes",
    ],
    [
      `${ethernet} 0800 45000020 00000000 40110000 ${addresses} 00350036 000c0000 01020304`,
      "10.0.0.1:53 → 10.0.0.2:54 udp, 4 bytes",
    ],
    [
      `${ethernet} 0800 4500001c 00000000 40010000 ${addresses} 0800 0000 00010001`,
      "10.0.0.1 → 10.0.0.2 icmp echo request, 0 bytes",
    ],
    [
      `${ethernet} 0800 4500001c 00002002 40110000 ${addresses} 0102030405060708`,
      "10.0.0.1 → 10.0.0.2 ip fragment at 16, 8 bytes",
    ],
    [`${ethernet} 0800 4500ffff 00000000 40010000 ${addresses}`, "10.0.0.1 → 10.0.0.2 ipv4, malformed"],
    [`${ethernet} 86dd 60`, "02:00:00:00:00:01 → 02:00:00:00:00:02 ipv6, 1 bytes"],
    ["0102", "truncated frame, 2 bytes"],
  ])("%s", (hex, expected) => {
    expect(text(hex)).toBe(expected);
  });

  test("property: any bytes make one printable line", () => {
    const prefix = fc.constantFrom("", `${ethernet}0806`, `${ethernet}080045000028000000004006`, `${ethernet}0800`);
    fc.assert(
      fc.property(prefix, fc.uint8Array({ maxLength: 100 }), (start, rest) => {
        const bytes = new Uint8Array([...Buffer.from(start.replaceAll(" ", ""), "hex"), ...rest]);
        expect(describeFrame(bytes, 0, bytes.length)).toMatch(/^[\x20-\x7e→]+$/);
      }),
    );
  });
});
