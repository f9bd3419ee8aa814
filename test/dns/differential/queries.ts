// Queries drawn from a seed: structured ones over the names of the zones, and broken ones made of those.
import { apexes, relativeNames } from "./zones.ts";

/** Numbers that look random, the same ones for the same seed. */
export class Draws {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `limit` − 1. */
  below(limit: number): number {
    // splitmix32
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
    value = Math.imul(value ^ (value >>> 15), 0x735a2d97);
    value = (value ^ (value >>> 15)) >>> 0;
    return Math.floor((value / 2 ** 32) * limit);
  }

  chance(share: number): boolean {
    return this.below(1 << 20) < share * (1 << 20);
  }

  pick<T>(from: readonly T[]): T {
    // as: an index below the length has an element
    return from[this.below(from.length)] as T;
  }
}

const commonTypes = [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 44, 46, 47, 48, 50, 51, 52, 64, 65, 99, 257, 65400];
const otherTypes = [
  ...[0, 3, 4, 7, 8, 9, 10, 11, 13, 14, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 31, 32, 34, 36, 37, 38],
  ...[39, 40, 41, 42, 45, 49, 53, 55, 56, 57, 58, 59, 60, 61, 62, 63, 66, 100, 101, 103, 104, 105, 106, 107, 108, 109],
  ...[128, 249, 250, 251, 252, 253, 254, 255, 256, 258, 259, 260, 32768, 32769, 65279, 65280, 65534, 65535],
];

/** The wire form of a name in presentation form, absolute. */
export function wireName(name: string): Buffer {
  const octets: number[] = [];
  let label: number[] = [];
  for (let at = 0; at < name.length; at++) {
    const letter = name[at]!;
    if (letter === ".") {
      if (label.length > 0) octets.push(label.length, ...label);
      label = [];
    } else if (letter === "\\") {
      const digits = /^\d{3}/.exec(name.slice(at + 1))?.[0];
      label.push(digits === undefined ? name.charCodeAt(at + 1) : Number(digits));
      at += digits === undefined ? 1 : 3;
    } else label.push(letter.charCodeAt(0));
  }
  return Buffer.from([...octets, 0]);
}

function drawName(draws: Draws): Buffer {
  const apex = draws.pick(apexes);
  switch (draws.below(20)) {
    case 0:
      return wireName(apex);
    case 1:
      return wireName(
        draws.pick([".", "test.", "elsewhere.test.", "www.elsewhere.test.", "com.", "arpa.", "adiff.test."]),
      );
    case 2:
      return wireName(
        draws.pick(["version.bind.", "id.server.", "hostname.bind.", "version.server.", "authors.bind."]),
      );
    case 3: {
      const octets = Buffer.from(Array.from({ length: 1 + draws.below(6) }, () => draws.below(256)));
      return Buffer.concat([Buffer.of(octets.length), octets, wireName(apex)]);
    }
    default: {
      const name = wireName(`${draws.pick(relativeNames)}.${apex}`);
      // Too long for the wire with this apex: the apex alone.
      if (name.length > 255) return wireName(apex);
      return draws.chance(0.1) ? mixCase(draws, name) : name;
    }
  }
}

function mixCase(draws: Draws, name: Buffer): Buffer {
  const mixed = Buffer.from(name);
  for (let at = 0; mixed[at] !== 0; at += mixed[at]! + 1) {
    for (let letter = at + 1; letter <= at + mixed[at]!; letter++) {
      const lower = mixed[letter]! | 0x20;
      if (lower >= 0x61 && lower <= 0x7a) mixed[letter] = draws.chance(0.5) ? lower : lower & 0xdf;
    }
  }
  return mixed;
}

function u16(...values: number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >>> 8, value & 255]));
}

function option(code: number, value: Uint8Array): Buffer {
  return Buffer.concat([u16(code, value.length), value]);
}

function drawOptions(draws: Draws): Buffer {
  const options: Buffer[] = [];
  for (let count = draws.pick([0, 0, 0, 1, 1, 2]); count > 0; count--) {
    const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => draws.below(256)));
    switch (draws.below(8)) {
      case 0:
        options.push(option(3, draws.chance(0.9) ? Buffer.alloc(0) : bytes(3)));
        break;
      case 1:
        options.push(option(10, bytes(draws.pick([8, 8, 8, 24, 0, 7, 9, 16, 40, 41]))));
        break;
      case 2:
        options.push(option(8, draws.chance(0.5) ? Buffer.from([0, 1, 24, 0, 192, 0, 2]) : bytes(draws.below(12))));
        break;
      case 3:
        options.push(option(12, Buffer.alloc(draws.below(64))));
        break;
      case 4:
        options.push(option(11, draws.chance(0.7) ? Buffer.alloc(0) : bytes(2)));
        break;
      case 5:
        options.push(option(9, Buffer.alloc(0)));
        break;
      default:
        options.push(
          option(draws.pick([0, 1, 2, 4, 5, 6, 7, 13, 14, 15, 16, 17, 18, 26946, 65001, 65535]), bytes(draws.below(8))),
        );
    }
  }
  return Buffer.concat(options);
}

function drawOpt(draws: Draws): Buffer {
  const size = draws.pick([0, 511, 512, 513, 600, 1220, 1232, 1400, 4096, 65535]);
  const version = draws.chance(0.03) ? draws.pick([1, 2, 255]) : 0;
  const flags = (draws.chance(0.5) ? 0x8000 : 0) | (draws.chance(0.03) ? draws.below(0x8000) : 0);
  const options = drawOptions(draws);
  return Buffer.concat([Buffer.of(0), u16(41, size), Buffer.from([0, version]), u16(flags, options.length), options]);
}

/** A well-formed message; its id is 0. */
export function drawQuery(draws: Draws): Buffer {
  const opcode = draws.chance(0.03) ? draws.below(16) : 0;
  let flags = (opcode << 11) | (draws.chance(0.3) ? 0x0100 : 0) | (draws.chance(0.1) ? 0x0010 : 0);
  if (draws.chance(0.1)) flags |= 0x0020;
  if (draws.chance(0.03)) flags |= draws.pick([0x8000, 0x0400, 0x0200, 0x0080, 0x0040, 0x0001, 0x000f]);
  const type = draws.chance(0.75)
    ? draws.pick(commonTypes)
    : draws.chance(0.9)
      ? draws.pick(otherTypes)
      : draws.below(65536);
  const class_ = draws.chance(0.95) ? 1 : draws.pick([0, 2, 3, 4, 254, 255, 65535]);
  const opt = draws.chance(0.6) ? drawOpt(draws) : Buffer.alloc(0);
  const name = draws.chance(0.01) ? wireName("version.bind.") : drawName(draws);
  const chaos = name.subarray(-6).toString("latin1").startsWith("bind") || name.includes("server");
  return Buffer.concat([u16(0, flags, 1, 0, 0, opt.length > 0 ? 1 : 0), name, u16(type, chaos ? 3 : class_), opt]);
}

/** A message with something broken in it. The id stays 0. */
export function drawBroken(draws: Draws): Buffer {
  const query = Buffer.from(drawQuery(draws));
  const body = 12;
  switch (draws.below(9)) {
    case 0: // Cut.
      return query.subarray(0, draws.below(query.length));
    case 1: // Octets behind the end.
      return Buffer.concat([query, Buffer.from(Array.from({ length: 1 + draws.below(40) }, () => draws.below(256)))]);
    case 2: // Octets changed.
      for (let count = 1 + draws.below(3); count > 0; count--)
        query[2 + draws.below(query.length - 2)] = draws.below(256);
      return query;
    case 3: // Counts that do not fit.
      query.writeUInt16BE(draws.pick([0, 1, 2, 3, 255, 65535]), 4 + 2 * draws.below(4));
      return query;
    case 4: // A pointer in the question.
      query.writeUInt16BE(0xc000 | draws.pick([0, 4, 11, 12, 13, 14, 20, 0x3fff]), body);
      return query;
    case 5: // A label of another type, or longer than there is.
      query[body] = draws.pick([63, 64, 65, 0x80, 0xbf, 0xc0, 0xff]);
      return query;
    case 6: // Two questions, told or not.
      return Buffer.concat([
        u16(0, 0, draws.pick([1, 2, 2]), 0, 0, 0),
        ...[drawName(draws), u16(1, 1), drawName(draws), u16(draws.pick(commonTypes), 1)],
      ]);
    case 7: // Two OPT records, or one in another section, or with an owner.
      return drawOddOpt(draws);
    default: // A record where none belongs.
      return Buffer.concat([
        u16(0, 0, 1, draws.below(2), draws.below(2), 1),
        ...[drawName(draws), u16(draws.pick(commonTypes), 1)],
        ...[drawName(draws), u16(1, 1, 0, 60, 4), Buffer.from([192, 0, 2, 1])],
      ]);
  }
}

function drawOddOpt(draws: Draws): Buffer {
  const question = Buffer.concat([drawName(draws), u16(draws.pick(commonTypes), 1)]);
  const opt = drawOpt(draws);
  switch (draws.below(4)) {
    case 0:
      return Buffer.concat([u16(0, 0, 1, 0, 0, 2), question, opt, drawOpt(draws)]);
    case 1:
      return Buffer.concat([
        u16(
          0,
          0,
          1,
          ...draws.pick([
            [1, 0, 0],
            [0, 1, 0],
          ]),
        ),
        question,
        opt,
      ]);
    case 2: // With an owner other than the root.
      return Buffer.concat([u16(0, 0, 1, 0, 0, 1), question, wireName("x."), opt.subarray(1)]);
    default: {
      // Options that say other lengths than they have.
      const bad = Buffer.concat([opt, option(draws.pick([3, 8, 10, 65001]), Buffer.alloc(4))]);
      bad.writeUInt16BE(bad.length - 11, 9);
      bad.writeUInt16BE(draws.pick([3, 5, 255, 65535]), bad.length - 6);
      return Buffer.concat([u16(0, 0, 1, 0, 0, 1), question, bad]);
    }
  }
}
