// What a query is, as far as the table of differences needs to say when servers differ.

export interface QueryShape {
  /** The first thing that is wrong with the message, or `whole`. */
  readonly broken: string;
  readonly opcode: number;
  /** The flags' 16 bits. */
  readonly flags: number;
  readonly questions: number;
  /** Records that the header counts, by section. */
  readonly counts: readonly [answers: number, authorities: number, additionals: number];
  /** Lower case, with the final dot; empty when there is no question to read. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly edns: OptShape | undefined;
  /** How many OPT records there are. */
  readonly opts: number;
  /** Records other than OPT. */
  readonly records: number;
}

export interface OptShape {
  readonly size: number;
  readonly version: number;
  readonly dnssecOk: boolean;
  /** Flags other than DO. */
  readonly flags: number;
  readonly options: readonly { readonly code: number; readonly length: number }[];
  /** Whether the options fill their record exactly. */
  readonly exact: boolean;
  readonly atRoot: boolean;
  /** 0 answer, 1 authority, 2 additional. */
  readonly section: number;
}

const empty: QueryShape = {
  ...{ broken: "whole", opcode: 0, flags: 0, questions: 0, counts: [0, 0, 0], name: "", type: 0, class: 0 },
  ...{ edns: undefined, opts: 0, records: 0 },
};

export function shapeOf(query: Buffer): QueryShape {
  if (query.length < 12) return { ...empty, broken: "shorter than a header" };
  const flags = query.readUInt16BE(2);
  const questions = query.readUInt16BE(4);
  const counts = [query.readUInt16BE(6), query.readUInt16BE(8), query.readUInt16BE(10)] as const;
  let shape: QueryShape = { ...empty, flags, opcode: (flags >>> 11) & 15, questions, counts };
  let at = 12;
  for (let index = 0; index < questions; index++) {
    const read = name(query, at);
    if (typeof read === "string") return { ...shape, broken: `question: ${read}` };
    if (read.next + 4 > query.length) return { ...shape, broken: "question: cut" };
    if (index === 0) {
      const [type, class_] = [query.readUInt16BE(read.next), query.readUInt16BE(read.next + 2)];
      shape = { ...shape, name: read.name, type, class: class_ };
    }
    at = read.next + 4;
  }
  for (const [section, count] of counts.entries()) {
    for (let index = 0; index < count; index++) {
      const owner = name(query, at);
      if (typeof owner === "string") return { ...shape, broken: `record: ${owner}` };
      const fixed = owner.next;
      if (fixed + 10 > query.length) return { ...shape, broken: "record: cut" };
      const end = fixed + 10 + query.readUInt16BE(fixed + 8);
      if (end > query.length) return { ...shape, broken: "record: data cut" };
      if (query.readUInt16BE(fixed) === 41) {
        const opt = optOf(query, fixed, end, owner.name === ".", section);
        shape = { ...shape, opts: shape.opts + 1, edns: shape.edns ?? opt };
      } else shape = { ...shape, records: shape.records + 1 };
      at = end;
    }
  }
  return at < query.length ? { ...shape, broken: "octets behind the end" } : shape;
}

function optOf(query: Buffer, fixed: number, end: number, atRoot: boolean, section: number): OptShape {
  const options: { code: number; length: number }[] = [];
  let at = fixed + 10;
  while (at + 4 <= end) {
    options.push({ code: query.readUInt16BE(at), length: query.readUInt16BE(at + 2) });
    at += 4 + query.readUInt16BE(at + 2);
  }
  return {
    ...{ size: query.readUInt16BE(fixed + 2), version: query[fixed + 5]!, dnssecOk: (query[fixed + 6]! & 0x80) !== 0 },
    ...{ flags: query.readUInt16BE(fixed + 6) & 0x7fff, options, exact: at === end, atRoot, section },
  };
}

function name(query: Buffer, start: number): { name: string; next: number } | string {
  let text = "";
  let next = -1;
  let length = 0;
  for (let at = start, jumps = 0; ;) {
    const first = query[at];
    if (first === undefined) return "name cut";
    if (first >= 0xc0) {
      if (at + 1 >= query.length) return "name cut";
      if (next < 0) next = at + 2;
      const to = query.readUInt16BE(at) & 0x3fff;
      if (to >= at || to < 12 || ++jumps > 64) return "pointer";
      at = to;
      continue;
    }
    if (first > 63) return "label type";
    if (first === 0) return { name: text === "" ? "." : text, next: next < 0 ? at + 1 : next };
    length += first + 1;
    if (length > 254) return "name too long";
    if (at + 1 + first > query.length) return "name cut";
    text += `${query.toString("latin1", at + 1, at + 1 + first).toLowerCase()}.`;
    at += first + 1;
  }
}
