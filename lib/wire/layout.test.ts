import { IpAddress, MacAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import { fromHex } from "./hex.ts";
import type * as wire from "./layout.ts";
import {
  bits,
  bytes,
  flag,
  flags,
  i32,
  ipv4,
  ipv6,
  layout,
  mac,
  u16,
  u16le,
  u24,
  u32,
  u32le,
  u64,
  u64le,
  u8,
} from "./layout.ts";

const udp = layout("udp", {
  sourcePort: u16({ names: { 53: "domain" } }),
  destinationPort: u16(),
  length: u16(),
  checksum: u16({ hex: true }),
});
const datagram = fromHex("0035 9c40 0014 1c46");

const ip = layout("ipv4", {
  version: bits(4, { expect: 4 }),
  headerWords: bits(4),
  dscp: bits(6),
  ecn: bits(2),
  totalLength: u16(),
  identification: u16({ hex: true }),
  reserved: flag(),
  dontFragment: flag(),
  moreFragments: flag(),
  fragmentOffset: bits(13),
  ttl: u8(),
  protocol: u8({ names: { 6: "tcp", 17: "udp" } }),
  checksum: u16({ hex: true }),
  source: ipv4(),
  destination: ipv4(),
});
const header = fromHex("45b9 0073 00ff 6123 4011 b861 c0a8 0001 c0a8 00c7");

/** One field of each kind, with what gives its values and one value that does not fit. */
const kinds = [
  ["u8", u8(), fc.nat(0xff), 256],
  ["u16", u16(), fc.nat(0xffff), 65536],
  ["u16le", u16le(), fc.nat(0xffff), -1],
  ["u24", u24(), fc.nat(0xffffff), 1 << 24],
  ["u32", u32(), fc.nat(0xffffffff), 2 ** 32],
  ["u32le", u32le(), fc.nat(0xffffffff), 1.5],
  ["i32", i32(), fc.integer(), 2 ** 31],
  ["u64", u64(), fc.bigInt(0n, 2n ** 64n - 1n), 2n ** 64n],
  ["u64le", u64le(), fc.bigInt(0n, 2n ** 64n - 1n), -1n],
  ["flags", flags(["a", "b", "c", "d", "e", "f", "g", undefined]), fc.nat(0xff), 256],
  ["bytes", bytes(3), fc.uint8Array({ minLength: 3, maxLength: 3 }), new Uint8Array(2)],
  ["mac", mac(), fc.tuple(fc.nat(0xffff), fc.integer()).map(([high, low]) => new MacAddress(high, low)), "02:…"],
  ["ipv4", ipv4(), fc.integer().map((word) => IpAddress.v4(word)), IpAddress.any6],
  [
    "ipv6",
    ipv6(),
    fc
      .tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer())
      .map(([a, b, c, d]) => new IpAddress(6, a, b, c, d)),
    IpAddress.any4,
  ],
] as const;

describe("types follow from the declaration", () => {
  const all = layout("all", { a: u8(), b: i32(), c: u64(), d: mac(), e: ipv4(), f: bytes(3), g: flag(), h: bits(7) });

  test("of records and views", () => {
    type All = { a: number; b: number; c: bigint; d: MacAddress; e: IpAddress; f: Uint8Array; g: boolean; h: number };
    expectTypeOf<wire.RecordOf<typeof all>>().toEqualTypeOf<All>();
    expectTypeOf<wire.ViewOf<typeof all>["d"]>().toEqualTypeOf<MacAddress>();
    expectTypeOf(all.view().g).toEqualTypeOf<boolean>();
    expectTypeOf<ReturnType<typeof all.field.c.get>>().toEqualTypeOf<bigint>();
  });

  test("a field that does not exist, a value of another type and a missing value are errors", () => {
    // @ts-expect-error there is no such field
    expect(all.field.nothing).toBeUndefined();
    // @ts-expect-error the record lacks fields
    expect(() => all.emit({ a: 1 }, new Uint8Array(64))).toThrow(RangeError);
    // @ts-expect-error a port is a number
    expect(() => udp.emit({ sourcePort: "53", destinationPort: 1, length: 8, checksum: 0 }, datagram)).toThrow(
      RangeError,
    );
  });

  test("a name that views need is an error in words", () => {
    // @ts-expect-error a view has a member "attach": choose another name
    expect(() => layout("bad", { attach: u8() })).toThrow(/attach/);
  });
});

describe("declaring", () => {
  test("bits that leave a byte unfinished are refused, in the middle and at the end", () => {
    expect(() => layout("x", { a: bits(4), b: u8() })).toThrow(/the bits in front of "b"/);
    expect(() => layout("x", { a: bits(7) })).toThrow(/do not fill whole bytes/);
  });

  test("arguments out of range are refused", () => {
    expect(() => bits(0)).toThrow(RangeError);
    expect(() => bits(33)).toThrow(RangeError);
    expect(() => bytes(0)).toThrow(RangeError);
    expect(() => flags(["a"])).toThrow(/1 names for eight flags/);
    expect(() => layout("x", { "not-a-name": u8() })).toThrow(/not-a-name/);
    expect(() => layout("x", { a: bits(5), b: bits(32), c: bits(3) })).toThrow(/five bytes/);
  });

  test("sizes and offsets", () => {
    expect(ip.size).toBe(20);
    expect(ip.field.fragmentOffset.offset).toBe(6);
    expect(ip.field.destination.offset).toBe(16);
    expect(layout("empty", {}).size).toBe(0);
  });
});

describe("parse", () => {
  test("reads a header in the middle of other bytes", () => {
    const frame = Uint8Array.of(9, 9, 9, ...header, 9);
    expect(ip.parse(frame, 3)).toEqual({
      ok: true,
      value: {
        version: 4,
        headerWords: 5,
        dscp: 46,
        ecn: 1,
        totalLength: 115,
        identification: 0xff,
        reserved: false,
        dontFragment: true,
        moreFragments: true,
        fragmentOffset: 0x123,
        ttl: 64,
        protocol: 17,
        checksum: 0xb861,
        source: IpAddress.parse("192.168.0.1"),
        destination: IpAddress.parse("192.168.0.199"),
      },
    });
  });

  test("too few bytes are an error that names the first field cut off", () => {
    expect(udp.parse(datagram, 0, 5)).toEqual({
      ok: false,
      error: {
        kind: "truncated",
        layer: "udp",
        field: "length",
        offset: 4,
        message: "udp.length at 4: 5 bytes where the header has 8",
      },
    });
    expect(udp.parse(datagram, 1, 8)).toMatchObject({ ok: false, error: { field: "checksum", offset: 7 } });
    expect(udp.parse(datagram, 9)).toMatchObject({ ok: false, error: { kind: "truncated", field: "sourcePort" } });
    expect(udp.parse(datagram, -1)).toMatchObject({ ok: false, error: { kind: "truncated" } });
  });

  test("a value that is not expected is an error that names it", () => {
    const other = header.slice();
    other[0] = 0x65;
    const error = { kind: "value", layer: "ipv4", field: "version", offset: 0 };
    expect(ip.parse(other)).toMatchObject({ ok: false, error });
  });

  test("the record does not change with the bytes", () => {
    const array = Uint8Array.of(1, 2, 3);
    const parsed = layout("x", { a: bytes(3) }).parse(array);
    array.fill(0);
    expect(parsed).toEqual({ ok: true, value: { a: Uint8Array.of(1, 2, 3) } });
  });
});

describe("emit", () => {
  test.each(kinds)("%s: is read back by fields, records and views, and changes nothing else", (_, kind, values) => {
    const one = layout("one", { before: u8(), it: kind, after: u8() });
    fc.assert(
      fc.property(values as fc.Arbitrary<never>, fc.nat(5), (it, offset) => {
        const memory = new Uint8Array(one.size + 6).fill(0xee);
        expect(one.emit({ before: 1, it, after: 2 }, memory, offset)).toBe(one.size);
        expect(one.parse(memory, offset)).toEqual({ ok: true, value: { before: 1, it, after: 2 } });
        expect(one.field.it.get(memory, offset)).toEqual(it);
        expect(memory.filter((_byte, index) => index < offset || index >= offset + one.size)).toEqual(
          new Uint8Array(6).fill(0xee),
        );
        const view = one.view();
        const again = new Uint8Array(one.size);
        expect(view.attach(again, 0, again.length)).toBe(true);
        view.before = 1;
        view.it = it;
        view.after = 2;
        expect(again).toEqual(memory.slice(offset, offset + one.size));
        expect(view.it).toEqual(it);
        expect(view.record()).toEqual({ before: 1, it, after: 2 });
      }),
    );
  });

  test.each(kinds)("%s: a value that does not fit is refused by name, and nothing is written", (_, kind, __, bad) => {
    const one = layout("one", { before: u8(), it: kind });
    const memory = new Uint8Array(one.size);
    expect(() => one.emit({ before: 1, it: bad as never }, memory)).toThrow(/^one\.it: /);
    expect(memory).toEqual(new Uint8Array(one.size));
  });

  test("no room is refused", () => {
    const record = { sourcePort: 1, destinationPort: 2, length: 8, checksum: 0 };
    expect(() => udp.emit(record, new Uint8Array(10), 3)).toThrow("udp: no room for 8 bytes at 3 of 10");
    expect(() => udp.emit(record, new Uint8Array(10), -1)).toThrow(RangeError);
  });

  test("bits of any width at any place leave their neighbours alone", () => {
    fc.assert(
      fc.property(fc.nat(7), fc.integer({ min: 1, max: 32 }), fc.nat(0xffffffff), (before, width, value) => {
        fc.pre(before + width <= 32);
        const after = -(before + width) & 7;
        const kinds: Record<string, wire.FieldKind> = {
          ...(before > 0 ? { a: bits(before) } : {}),
          it: bits(width),
          ...(after > 0 ? { z: bits(after) } : {}),
        };
        const one = layout("one", kinds);
        const it = Number(BigInt(value) & (2n ** BigInt(width) - 1n));
        for (const fill of [0, 0xff]) {
          const memory = new Uint8Array(one.size).fill(fill);
          one.field["it"]!.set(memory, 0, it);
          expect(one.field["it"]!.get(memory, 0)).toBe(it);
          const digits = Array.from(memory, (byte) => byte.toString(2).padStart(8, "0")).join("");
          const rest = fill === 0 ? "0" : "1";
          expect(digits).toBe(rest.repeat(before) + it.toString(2).padStart(width, "0") + rest.repeat(after));
          const view = one.view();
          view.attach(memory, 0, memory.length);
          view["it"] = it ^ 1;
          expect(view["it"]).toBe((it ^ 1) >>> 0);
        }
      }),
    );
  });
});

describe("fields", () => {
  test("u32 is unsigned and i32 is signed; both take both", () => {
    const words = layout("words", { a: u32(), b: i32() });
    const memory = new Uint8Array(8);
    words.field.a.set(memory, 0, -1);
    words.field.b.set(memory, 0, 0xfffffffe);
    expect(words.field.a.get(memory, 0)).toBe(0xffffffff);
    expect(words.field.b.get(memory, 0)).toBe(-2);
  });

  test("addresses compare with bytes and are written as words", () => {
    const addresses = layout("addresses", { m: mac(), four: ipv4(), six: ipv6() });
    const memory = new Uint8Array(addresses.size + 1);
    const m = MacAddress.parse("02:00:00:aa:bb:cc");
    const six = IpAddress.parse("fd00:1:2:3:4:5:6:7");
    addresses.field.m.set(memory, 1, m);
    addresses.field.four.setWord(memory, 1, 0xc0a80001);
    addresses.field.six.set(memory, 1, six);
    expect(addresses.field.four.word(memory, 1)).toBe(0xc0a80001 | 0);
    expect(addresses.field.m.equals(memory, 1, m)).toBe(true);
    expect(addresses.field.m.equals(memory, 1, MacAddress.broadcast)).toBe(false);
    expect(addresses.field.m.equals(memory, 1, new MacAddress(0x0300, m.low))).toBe(false);
    expect(addresses.field.four.equals(memory, 1, IpAddress.parse("192.168.0.1"))).toBe(true);
    expect(addresses.field.four.equals(memory, 1, new IpAddress(6, 0, 0, 0, 0xc0a80001))).toBe(false);
    expect(addresses.field.six.equals(memory, 1, six)).toBe(true);
    for (const word of ["fd00:1:2:3:4:5:6:8", "fd00:1:2:3:4:6:6:7", "fd00:1:2:4:4:5:6:7", "fe00:1:2:3:4:5:6:7"]) {
      expect(addresses.field.six.equals(memory, 1, IpAddress.parse(word))).toBe(false);
    }
  });

  test("flags have a mask for each name", () => {
    const tcp = flags(["cwr", "ece", "urg", "ack", "psh", "rst", "syn", "fin"]).place("flags", 8 * 13);
    expect(tcp.bit.syn).toBe(2);
    expect(tcp.bit.cwr).toBe(128);
    expect(tcp.format(tcp.bit.syn | tcp.bit.ack)).toBe("ack+syn");
    expect(tcp.format(0)).toBe("none");
  });

  test("a flag is a boolean in records and views, and takes nothing else", () => {
    const one = layout("one", { a: bits(2), it: flag(), b: bits(5) });
    const memory = Uint8Array.of(0xff);
    expect(one.emit({ a: 3, it: false, b: 31 }, memory)).toBe(1);
    expect(memory[0]).toBe(0xdf);
    const view = one.view();
    view.attach(memory, 0, 1);
    expect(view.it).toBe(false);
    view.it = true;
    expect(view.it).toBe(true);
    expect(memory[0]).toBe(0xff);
    // @ts-expect-error a number is not a boolean
    expect(() => one.emit({ a: 0, it: 1, b: 0 }, memory)).toThrow("one.it: 1 is not a boolean");
    const set = layout("set", { it: flags(["a", "b", "c", "d", "e", "f", "g", "h"]) });
    const flagsView = set.view();
    flagsView.attach(memory, 0, 1);
    flagsView.it = 0x81;
    expect(flagsView.it).toBe(0x81);
  });

  test("bytes: set pads what is short and cuts what is long", () => {
    const field = bytes(3).place("x", 0);
    const memory = new Uint8Array(4).fill(9);
    field.set(memory, 0, Uint8Array.of(1));
    expect([...memory]).toEqual([1, 0, 0, 9]);
    field.set(memory, 0, Uint8Array.of(1, 2, 3, 4));
    expect([...memory]).toEqual([1, 2, 3, 9]);
  });
});

describe("views", () => {
  test("write through to the bytes", () => {
    const memory = datagram.slice();
    const view = udp.view();
    expect(view.attach(memory, 0, 8)).toBe(true);
    view.length = 0x1234;
    expect(udp.field.length.get(memory, 0)).toBe(0x1234);
    expect(view.toString()).toBe(udp.print(view.record()));
  });

  test("attach refuses what does not fit, and the view then reads zeros and writes to nobody", () => {
    const memory = datagram.slice();
    const view = udp.view();
    for (const [offset, length] of [
      [0, 7],
      [1, 8],
      [-1, 8],
      [Number.MAX_SAFE_INTEGER, 8],
    ] as const) {
      view.attach(memory, 0, 8);
      expect(view.attach(memory, offset, length)).toBe(false);
      expect(view.sourcePort).toBe(0);
      view.sourcePort = 7;
      expect(memory).toEqual(datagram);
    }
  });

  test("two views of one layout do not share their place", () => {
    const one = udp.view();
    const two = udp.view();
    one.attach(datagram, 0, 8);
    two.attach(new Uint8Array(8), 0, 8);
    expect(one.sourcePort).toBe(53);
    expect(two.sourcePort).toBe(0);
  });

  test("list their fields", () => {
    const names: string[] = [];
    for (const name in udp.view()) names.push(name);
    expect(names).toEqual(expect.arrayContaining(["sourcePort", "destinationPort", "length", "checksum"]));
  });
});

describe("for people", () => {
  test("print is one line", () => {
    const parsed = udp.parse(datagram);
    expect(parsed.ok && udp.print(parsed.value)).toBe(
      "udp sourcePort=domain(53) destinationPort=40000 length=20 checksum=0x1c46",
    );
  });

  test("values of each kind", () => {
    const shown = layout("shown", { m: mac(), a: ipv4(), s: ipv6(), b: bytes(2), q: u64(), c: bytes(20) });
    const memory = new Uint8Array(shown.size);
    memory[0] = 2;
    memory[27] = 0xab;
    const parsed = shown.parse(memory);
    expect(parsed.ok && shown.print(parsed.value)).toBe(
      `shown m=02:00:00:00:00:00 a=0.0.0.0 s=:: b=00ab q=0 c=${"00".repeat(16)}…`,
    );
    expect(flags([undefined, "x", "y", "z", "p", "q", "r", "s"]).place("f", 0).format(0xc0)).toBe("x+0x80");
  });

  test("dump shows each field beside its bytes, bits in their places, and the payload", () => {
    const packet = new Uint8Array(24);
    packet.set(header);
    packet.set([0x68, 0x69, 0x0a, 0xff], 20);
    expect(`\n${ip.dump(packet)}\n`).toBe(`
ipv4: 20 bytes
0000  45                       0100 .... version = 4
                               .... 0101 headerWords = 5
0001  b9                       1011 10.. dscp = 46
                               .... ..01 ecn = 1
0002  00 73                    totalLength = 115
0004  00 ff                    identification = 0x00ff
0006  61                       0... .... reserved = 0
                               .1.. .... dontFragment = 1
                               ..1. .... moreFragments = 1
0007  23                       ...0 0001 0010 0011 fragmentOffset = 291
0008  40                       ttl = 64
0009  11                       protocol = udp(17)
000a  b8 61                    checksum = 0xb861
000c  c0 a8 00 01              source = 192.168.0.1
0010  c0 a8 00 c7              destination = 192.168.0.199

0000  68 69 0a ff                                       |hi..|
`);
  });

  test("dump of a header cut off, and of a field longer than a line", () => {
    expect(udp.dump(datagram, 0, 5)).toBe(
      [
        "udp: 8 bytes, truncated to 5",
        "0000  00 35                    sourcePort = domain(53)",
        "0002  9c 40                    destinationPort = 40000",
        "0004  00                       length (cut off)",
      ].join("\n"),
    );
    expect(udp.dump(datagram, 2, 0)).toBe("udp: 8 bytes, truncated to 0");
    expect(layout("long", { it: bytes(10) }).dump(new Uint8Array(10))).toBe(
      `long: 10 bytes\n0000  00 00 00 00 00 00 00 00  it = ${"00".repeat(10)}\n0008  00 00`,
    );
  });
});
