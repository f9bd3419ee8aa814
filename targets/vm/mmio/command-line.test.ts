import fc from "fast-check";
import { expect, test } from "vitest";
import { mmioPlaces } from "./command-line.ts";

test("reads what QEMU and Firecracker write", () => {
  const line = "console=ttyS0 virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=4K@0xd0001000:6 ipv4=dhcp";
  expect(mmioPlaces(line)).toEqual({
    places: [
      { address: 0xfeb00e00, length: 512, interrupt: { line: 12 } },
      { address: 0xd0001000, length: 4096, interrupt: { line: 6 } },
    ],
    refused: [],
  });
  expect(mmioPlaces("virtio_mmio.device=1M@4096:5:3").places).toEqual([
    { address: 4096, length: 4096, interrupt: { line: 5 } },
  ]);
});

test("names words that are none", () => {
  for (const word of ["virtio_mmio.device=", "virtio_mmio.device=512@x:1", "virtio_mmio.device=512@0x1000"]) {
    expect(mmioPlaces(`a ${word} b`)).toEqual({ places: [], refused: [word] });
  }
});

test("takes no more than 128", () => {
  const { places, refused } = mmioPlaces("virtio_mmio.device=512@0x1000:5 ".repeat(130));
  expect([places.length, refused.length]).toEqual([128, 2]);
});

test("property: what was written is read", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 40), fc.integer({ min: 1, max: 4096 }), fc.nat(200), (address, length, line) => {
      const { places } = mmioPlaces(`virtio_mmio.device=${length}@0x${address.toString(16)}:${line}`);
      expect(places).toEqual([{ address, length, interrupt: { line } }]);
    }),
  );
});
