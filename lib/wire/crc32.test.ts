import { expect, test } from "vitest";
import { crc32 } from "./crc32.ts";

test("the check value of CRC-32 is that of zlib", () => {
  expect(crc32(Buffer.from("123456789"))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array(0))).toBe(0);
});

test("a checksum can be continued", () => {
  expect(crc32(Buffer.from("6789"), crc32(Buffer.from("12345")))).toBe(0xcbf43926);
});
