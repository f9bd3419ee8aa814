import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { SegmentGatherer } from "./segment-gatherer.ts";
import { readHeader, virtioNetHeaderSize, writeHeader } from "./virtio-net-header.ts";
import { Page } from "@tesserae/device/page";

/** A TCP segment over IPv4 with 600 bytes of data. */
function seed(): Uint8Array {
  const bytes = new Uint8Array(54 + 600);
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 640 >>> 8, 640 & 255, 0, 0, 0x40, 0, 64, 6]);
  bytes.set([0x50, 0x10], 46);
  return bytes;
}

/**
 * One frame, changed, after another: the first byte says how much of the input is the first frame, in 1/256.
 */
export const fuzz: FuzzTarget = {
  name: "tap-segment-gatherer",
  seeds: [new Uint8Array([128, ...seed(), ...seed()]), new Uint8Array([255, ...seed()])],
  run(input) {
    const split = 1 + Math.floor(((input.length - 1) * (input[0] ?? 0)) / 256);
    const frames = [input.subarray(1, split), input.subarray(split)];
    const gatherer = new SegmentGatherer();
    let given = 0;
    for (const frame of frames) {
      const added = gatherer.count > 0 ? gatherer.add(frame, 0, frame.length) : 0;
      if (added === 0) {
        if (!SegmentGatherer.begins(frame, 0, frame.length)) continue;
        gatherer.clear();
        gatherer.begin(frame, 0, frame.length);
        given = frame.length;
      } else {
        given += frame.length - gatherer.headerLength;
      }
      const { headerLength, segmentSize, count } = gatherer;
      const length = gatherer.finish();
      if (length !== given) throw new Error(`${given} bytes were given, ${length} are gathered`);
      if (Math.ceil((length - headerLength) / segmentSize) !== count) throw new Error("the count of segments is wrong");
    }
    if (input.length >= virtioNetHeaderSize) {
      const page = new Page(new Uint8Array(64), 0);
      readHeader(page, input, 0);
      const written = new Uint8Array(virtioNetHeaderSize);
      writeHeader(page, written, 0);
      const again = new Page(new Uint8Array(64), 0);
      readHeader(again, written, 0);
      const metadata = ({ flags, checksumStart, checksumOffset, segmentSize, headerLength }: Page): string =>
        // Without a size there is nothing to cut, and the length of headers says nothing.
        [flags, checksumStart, checksumOffset, segmentSize, segmentSize > 0 ? headerLength : 0].join();
      if (metadata(page) !== metadata(again)) throw new Error("a header does not come back as it was written");
    }
  },
};
