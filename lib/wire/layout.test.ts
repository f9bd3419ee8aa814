import type { IpAddress, MacAddress } from "@tesserae/device/address";
import { describe, expect, expectTypeOf, test } from "vitest";
import { fromHex } from "./hex.ts";
import { bits, bytes, flag, i32, ipv4, layout, mac, u16, u64, u8, type RecordOf } from "./layout.ts";

const udp = layout("udp", {
  sourcePort: u16(),
  destinationPort: u16(),
  length: u16(),
  checksum: u16({ hex: true }),
});
const datagram = fromHex("0035 9c40 0014 1c46");

describe("types follow from the declaration", () => {
  test("of records and views", () => {
    const all = layout("all", { a: u8(), b: i32(), c: u64(), d: mac(), e: ipv4(), f: bytes(3), g: flag(), h: bits(7) });
    expectTypeOf<RecordOf<typeof all>>().toEqualTypeOf<{
      a: number;
      b: number;
      c: bigint;
      d: MacAddress;
      e: IpAddress;
      f: Uint8Array;
      g: boolean;
      h: number;
    }>();
    expectTypeOf(all.view().d).toEqualTypeOf<MacAddress>();
    // @ts-expect-error there is no such field
    expect(all.field.nothing).toBeUndefined();
    expect(() => {
      // @ts-expect-error a record lacks fields
      all.emit({ a: 1 }, new Uint8Array(64));
    }).toThrow(RangeError);
  });
});

test("accessors", () => {
  expect(udp.size).toBe(8);
  expect(udp.field.destinationPort.get(datagram, 0)).toBe(40000);
  expect(udp.field.destinationPort.offset).toBe(2);
  expect(udp.parse(datagram)).toEqual({
    ok: true,
    value: { sourcePort: 53, destinationPort: 40000, length: 20, checksum: 0x1c46 },
  });
  const view = udp.view();
  expect(view.attach(datagram, 0, 8)).toBe(true);
  expect(view.length).toBe(20);
  view.length = 21;
  expect(view.length).toBe(21);
});
