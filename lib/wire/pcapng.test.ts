import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readPcapng, type PcapngItem } from "./pcapng-reader.ts";
import { PcapngWriter, type PcapngInterface } from "./pcapng-writer.ts";

function capture(write: (writer: PcapngWriter) => void): Uint8Array {
  const blocks: Uint8Array[] = [];
  write(new PcapngWriter((block) => blocks.push(block)));
  return Uint8Array.from(blocks.flatMap((block) => [...block]));
}

const simple = capture((writer) => {
  writer.addInterface({ name: "tap0" });
  writer.writePacket(0, 1500.25, Uint8Array.of(9, 1, 2, 3, 9), 1, 3, "three");
});

/** `simple`, in the other byte order: a section, an interface of nanoseconds, a packet. */
function bigEndian(): Uint8Array {
  const view = new DataView(new ArrayBuffer(28 + 32 + 36));
  view.setUint32(0, 0x0a0d0d0a);
  view.setUint32(4, 28);
  view.setUint32(8, 0x1a2b3c4d);
  view.setUint16(12, 1);
  view.setBigInt64(16, -1n);
  view.setUint32(24, 28);
  view.setUint32(28, 1);
  view.setUint32(32, 32);
  view.setUint16(36, 1);
  view.setUint16(44, 9);
  view.setUint16(46, 1);
  view.setUint8(48, 9);
  view.setUint32(56, 32);
  view.setUint32(60, 6);
  view.setUint32(64, 36);
  view.setUint32(76, 1_500_000);
  view.setUint32(80, 2);
  view.setUint32(84, 60);
  view.setUint16(88, 0xabcd);
  view.setUint32(92, 36);
  return new Uint8Array(view.buffer);
}

function last(bytes: Uint8Array): PcapngItem | undefined {
  return [...readPcapng(bytes)].at(-1);
}

/** `bytes` with a 32-bit little-endian number at `at`. */
function patched(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(at, value, true);
  return copy;
}

describe("what is written is read back", () => {
  test("one packet", () => {
    expect([...readPcapng(simple)]).toEqual([
      { kind: "interface", id: 0, name: "tap0", linkType: 1, snapLength: 262144 },
      {
        kind: "packet",
        interfaceId: 0,
        time: 1500.25,
        bytes: Uint8Array.of(1, 2, 3),
        originalLength: 3,
        comment: "three",
      },
    ]);
  });

  test("any interfaces and packets", () => {
    const device = fc.record({
      name: fc.string({ maxLength: 20 }),
      linkType: fc.nat(0xffff),
      snapLength: fc.integer({ min: 1, max: 300 }),
    });
    const packet = fc.record({
      on: fc.nat(),
      time: fc.nat(4_000_000_000_000),
      bytes: fc.uint8Array({ maxLength: 400 }),
      comment: fc.string({ unit: "grapheme", maxLength: 20 }),
    });
    fc.assert(
      fc.property(
        fc.array(device, { minLength: 1, maxLength: 3 }),
        fc.array(packet, { maxLength: 8 }),
        (devices, packets) => {
          const bytes = capture((writer) => {
            devices.forEach((each: PcapngInterface, id) => expect(writer.addInterface(each)).toBe(id));
            for (const { on, time, bytes, comment } of packets) {
              writer.writePacket(on % devices.length, time, bytes, 0, bytes.length, comment);
            }
          });
          expect([...readPcapng(bytes)]).toEqual([
            ...devices.map((each, id) => ({ kind: "interface", id, ...each })),
            ...packets.map(({ on, time, bytes, comment }) => ({
              kind: "packet",
              interfaceId: on % devices.length,
              time,
              bytes: bytes.slice(0, devices[on % devices.length]!.snapLength),
              originalLength: bytes.length,
              comment,
            })),
          ]);
        },
      ),
    );
  });

  test("times to the quarter of a microsecond, and none before 1970", () => {
    const times = [1_763_700_000_123.456, 0.001, 0, -5];
    const bytes = capture((writer) => {
      writer.addInterface();
      for (const time of times) writer.writePacket(0, time, new Uint8Array(1));
    });
    const read = [...readPcapng(bytes)].flatMap((item) => (item.kind === "packet" ? [item.time] : []));
    expect(read).toHaveLength(4);
    read.forEach((time, index) => expect(Math.abs(time - Math.max(0, times[index]!))).toBeLessThan(0.0005));
  });

  test("a long comment is cut between characters", () => {
    const bytes = capture((writer) => {
      writer.addInterface();
      writer.writePacket(0, 0, new Uint8Array(1), 0, 1, `x${"é".repeat(3000)}`);
    });
    expect(last(bytes)).toMatchObject({ kind: "packet", comment: `x${"é".repeat(2047)}` });
  });
});

describe("the writer refuses", () => {
  const writer = new PcapngWriter(() => undefined);
  writer.addInterface();

  test("an interface out of range", () => {
    expect(() => writer.addInterface({ snapLength: 0 })).toThrow(/snapLength 0/);
    expect(() => writer.addInterface({ snapLength: 262145 })).toThrow(RangeError);
    expect(() => writer.addInterface({ linkType: 65536 })).toThrow(/linkType 65536/);
  });

  test("a packet on no interface or outside its bytes", () => {
    expect(() => writer.writePacket(1, 0, new Uint8Array(1))).toThrow(/interfaceId 1/);
    expect(() => writer.writePacket(0, 0, new Uint8Array(4), 2, 3)).toThrow("offset 2, length 3 do not lie in 4 bytes");
    expect(() => writer.writePacket(0, 0, new Uint8Array(4), -1, 3)).toThrow(RangeError);
  });
});

describe("the reader", () => {
  test("takes the other byte order", () => {
    expect([...readPcapng(bigEndian())]).toEqual([
      { kind: "interface", id: 0, name: "", linkType: 1, snapLength: 0 },
      { kind: "packet", interfaceId: 0, time: 1.5, bytes: Uint8Array.of(0xab, 0xcd), originalLength: 60, comment: "" },
    ]);
  });

  test("takes sections of both byte orders in one file; each counts its interfaces from 0", () => {
    const items = [...readPcapng(Uint8Array.of(...simple, ...bigEndian()))];
    expect(items.map((item) => item.kind)).toEqual(["interface", "packet", "interface", "packet"]);
    expect(items[2]).toMatchObject({ id: 0 });
  });

  test("skips blocks of other types", () => {
    const other = Uint8Array.of(5, 0, 0, 0, 16, 0, 0, 0, 1, 2, 3, 4, 16, 0, 0, 0);
    expect([...readPcapng(Uint8Array.of(...simple, ...other))]).toHaveLength(2);
  });

  test("takes times in powers of ten and of two, and microseconds when nothing is said", () => {
    const resolution = 28 + 8 + 8 + 8;
    const of = (power: number): number => {
      const copy = simple.slice();
      copy[resolution + 4] = power;
      const item = last(copy);
      return item?.kind === "packet" ? item.time : Number.NaN;
    };
    expect(simple[resolution]).toBe(9);
    expect(of(9)).toBe(1500.25);
    expect(of(6)).toBe(1_500_250);
    expect(of(0x80 | 10)).toBe((1_500_250_000 * 1000) / 1024);
    const unsaid = simple.slice();
    unsaid[resolution] = 77;
    expect(last(unsaid)).toMatchObject({ time: 1_500_250 });
  });

  test("takes simple packet blocks", () => {
    const block = Uint8Array.of(3, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 7, 8, 0, 0, 20, 0, 0, 0);
    expect(last(Uint8Array.of(...simple, ...block))).toMatchObject({ time: 0, bytes: Uint8Array.of(7, 8) });
    expect(last(patched(Uint8Array.of(...simple, ...block), simple.length + 8, 5))).toMatchObject({
      error: { field: "originalLength" },
    });
    const orphan = Uint8Array.of(...simple.subarray(0, 28), ...block);
    expect(last(orphan)).toMatchObject({ kind: "error", error: { field: "interfaceId" } });
    const short = Uint8Array.of(3, 0, 0, 0, 12, 0, 0, 0, 12, 0, 0, 0);
    expect(last(Uint8Array.of(...simple, ...short))).toMatchObject({ error: { kind: "length", field: "packet" } });
  });

  const packet = 28 + 40;
  test.each([
    ["no section header", simple.slice(28), "value", "type", 0],
    ["another magic", patched(simple, 8, 1), "value", "magic", 8],
    ["another version", patched(simple, 12, 2), "unsupported", "major", 12],
    ["a length that is no multiple of four", patched(simple, 4, 29), "length", "length", 4],
    ["a length below twelve", patched(simple, 4, 8), "length", "length", 4],
    ["lengths that differ", patched(simple, 24, 32), "length", "trailer", 24],
    ["a section header too short", Uint8Array.of(10, 13, 13, 10, 12, 0, 0, 0, 77, 60, 43, 26), "length", "trailer", 8],
    ["an end inside a block", simple.slice(0, simple.length - 4), "truncated", "block", packet],
    ["an end inside the head of a block", simple.slice(0, packet + 11), "truncated", "block", packet],
    ["an interface nobody declared", patched(simple, packet + 8, 1), "value", "interfaceId", packet + 8],
    ["more captured than the block holds", patched(simple, packet + 20, 400), "length", "capturedLength", packet + 20],
    ["an option that passes the end", patched(simple, packet + 32, 0x00ff0001), "length", "option", packet + 34],
  ])("reports %s, with its place", (_, bytes, kind, field, offset) => {
    expect(last(bytes)).toMatchObject({ kind: "error", error: { kind, layer: "pcapng", field, offset } });
  });

  test("takes nothing for an empty capture", () => {
    expect([...readPcapng(new Uint8Array(0))]).toEqual([]);
  });

  test("never throws, whatever is cut or changed", () => {
    fc.assert(
      fc.property(fc.nat(simple.length), fc.nat(simple.length - 1), fc.nat(255), (end, at, value) => {
        const bytes = simple.slice();
        bytes[at] = value;
        expect([...readPcapng(bytes.subarray(0, end))].length).toBeLessThanOrEqual(3);
      }),
    );
  });
});

describe.skipIf(spawnSync("tshark", ["--version"]).status !== 0)("Wireshark's tools (package tshark)", () => {
  test("read the file, its times, comment and interface", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "pcapng-"));
    try {
      const file = path.join(folder, "a.pcapng");
      const frame = new Uint8Array(60).fill(0xff, 0, 6);
      const bytes = capture((writer) => {
        writer.addInterface({ name: "tap0" });
        writer.addInterface({ name: "tap1", snapLength: 20 });
        writer.writePacket(0, 1_700_000_000_123.25, frame, 0, 60, "first");
        writer.writePacket(1, 1_700_000_000_124, frame);
      });
      writeFileSync(file, bytes);
      const fields = ["frame.interface_name", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.comment"];
      const args = ["-r", file, "-T", "fields", "-E", "separator=;", ...fields.flatMap((field) => ["-e", field])];
      const text = execFileSync("tshark", args, { stdio: ["ignore", "pipe", "ignore"] }).toString();
      expect(text.trim().split("\n")).toEqual([
        "tap0;1700000000.123250000;60;60;first",
        "tap1;1700000000.124000000;60;20;",
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
