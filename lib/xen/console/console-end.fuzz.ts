import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { ByteRing } from "../byte-ring.ts";
import { pageSize } from "../grant.ts";
import { ConsoleEnd } from "./console-end.ts";

const capacity = 500;
/** Bytes of a step: what, and two operands. */
const stepBytes = 3;

/** A script for a console's other end, guest or host by the first byte: bytes, wild indices, signals, at any moment. */
export const fuzz: FuzzTarget = {
  name: "xen-console-end",
  seeds: [
    Uint8Array.of(0, ...[0, 50, 0], ...[2, 0, 0], ...[1, 60, 0], ...[3, 200, 0], ...[2, 0, 0]),
    Uint8Array.of(1, ...[1, 255, 0], ...[1, 255, 0], ...[3, 255, 0], ...[2, 0, 0], ...[3, 255, 0], ...[2, 0, 0]),
    Uint8Array.of(0, ...[4, 1, 200], ...[2, 0, 0], ...[1, 9, 0], ...[4, 2, 255], ...[1, 9, 0]),
  ],
  run(script) {
    const page = new Uint8Array(pageSize);
    const isGuest = (script[0] ?? 0) % 2 === 0;
    const indices = new Int32Array(page.buffer);
    const toGuest = new ByteRing(indices, 768, 769, page.subarray(0, 1024));
    const fromGuest = new ByteRing(indices, 770, 771, page.subarray(1024, 3072));
    const [output, input] = isGuest ? [toGuest, fromGuest] : [fromGuest, toGuest];
    const there = { put: 0, got: 0 };
    const back = { put: 0, got: 0, kept: 0 };
    let isHonest = true;
    let isLate = false;
    let isOver = false;
    const end = new ConsoleEnd({
      ...{ page, isGuest, capacity },
      signal: () => {
        if (isOver) throw new Error("a signal of a console that is over");
      },
      received: (bytes, length) => {
        if (length < 1 || length > bytes.length) throw new Error(`${length} bytes of ${bytes.length}`);
        for (const byte of bytes.subarray(0, length)) {
          if (isHonest && byte !== (there.got & 255)) throw new Error(`byte ${there.got} is wrong`);
          there.got++;
        }
      },
    });
    const take = (length: number): void => {
      const into = new Uint8Array(length);
      const count = input.read(into);
      if (!isHonest) return;
      if (count < 0) throw new Error("indices that make no sense");
      // What was dropped is from the end of a write, so what comes is in order but has gaps: none as long as none was.
      for (const byte of into.subarray(0, count)) {
        if (end.dropped === 0 && byte !== (back.got & 255)) throw new Error(`byte ${back.got} back is wrong`);
        back.got++;
      }
    };
    for (let at = 1; at + stepBytes <= script.length; at += stepBytes) {
      const [what = 0, a = 0, b = 0] = script.subarray(at, at + stepBytes);
      isOver = end.error !== undefined;
      switch (what % 5) {
        case 0: {
          const room = Math.max(0, output.writable);
          const length = Math.min(room, a * 8);
          output.write(Uint8Array.from({ length }, () => there.put++ & 255));
          isLate = true;
          break;
        }
        case 1:
          end.write(Uint8Array.from({ length: a * 8 }, () => back.put++ & 255));
          break;
        case 2:
          end.signalled();
          isLate = false;
          break;
        case 3:
          take(a * 8);
          break;
        default:
          isHonest = false;
          indices[768 + (a % 4)] = b < 128 ? b << 4 : -b << 8;
      }
      if (end.queued > capacity) throw new Error(`${end.queued} bytes wait`);
    }
    if (!isHonest) {
      if (end.error !== undefined && (end.error.kind !== "protocol" || end.queued > 0)) throw new Error("not over");
      return;
    }
    if (end.error !== undefined) throw end.error;
    if (!isLate && there.got !== there.put) throw new Error(`${there.got} of ${there.put} bytes have come`);
    for (let round = 0; round < 20 && (end.queued > 0 || input.readable > 0); round++) {
      take(4096);
      end.signalled();
    }
    if (back.got + end.dropped !== back.put)
      throw new Error(`${back.got} and ${end.dropped} of ${back.put} bytes back`);
  },
};
