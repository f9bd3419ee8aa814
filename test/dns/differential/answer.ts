// What an answer says, in a form in which two servers' answers can be compared. The parser is the suite's own, so that it
// shares no mistake with the servers under test.

/** The aspects in which answers are compared, in this order. */
export const aspects = [
  ...["answered", "rcode", "opcode", "aa", "tc", "rd", "ra", "ad", "cd", "question"],
  ...["edns", "nsid", "cookie", "ede", "options", "answer", "authority", "additional"],
] as const;
export type Aspect = (typeof aspects)[number];

/** A text for each aspect; equal texts are equal behaviour. */
export type Seen = Readonly<Record<Aspect, string>>;

export const nothing: Seen = Object.freeze({
  ...{ answered: "no", rcode: "", opcode: "", aa: "", tc: "", rd: "", ra: "", ad: "", cd: "", question: "" },
  ...{ edns: "", nsid: "", cookie: "", ede: "", options: "", answer: "", authority: "", additional: "" },
});

class Malformed extends Error {}

/** Reads an answer. What cannot be read is said in `answered`. */
export function see(message: Buffer): Seen {
  try {
    return read(message);
  } catch (error) {
    if (!(error instanceof Malformed || error instanceof RangeError)) throw error;
    return { ...nothing, answered: `malformed: ${error.message}: ${message.toString("hex")}` };
  }
}

interface Section {
  readonly records: string[];
  next: number;
}

function read(message: Buffer): Seen {
  if (message.length < 12) throw new Malformed("shorter than a header");
  const flags = message.readUInt16BE(2);
  const bit = (position: number): string => String((flags >>> position) & 1);
  if (bit(15) === "0") throw new Malformed("not a response");
  let at = 12;
  for (let count = message.readUInt16BE(4); count > 0; count--) at = nameAt(message, at).next + 4;
  if (at > message.length) throw new Malformed("the question ends behind the message");
  const question = message.toString("hex", 12, at);
  let edns = "none";
  let options = noOptions;
  let extended = 0;
  const section = (start: number, count: number): Section => {
    const found: Section = { records: [], next: start };
    for (; count > 0; count--) {
      const owner = nameAt(message, found.next);
      const type = message.readUInt16BE(owner.next);
      const data = owner.next + 10;
      const end = data + message.readUInt16BE(owner.next + 8);
      if (end > message.length) throw new Malformed("a record ends behind the message");
      found.next = end;
      if (type === 41) {
        extended = message[owner.next + 4]!;
        const optDo = (message[owner.next + 6]! & 0x80) !== 0 ? " do" : "";
        edns = `version ${message[owner.next + 5]}${optDo}`;
        options = readOptions(message.subarray(data, end));
        continue;
      }
      const rdata = canonicalData(message, type, data, end);
      // Two records of a set may have any order; the time to live is what the zone says.
      found.records.push(
        `${owner.name.toLowerCase()} ${message.readUInt32BE(owner.next + 4)} ${message.readUInt16BE(owner.next + 2)} ${type} ${rdata}`,
      );
    }
    found.records.sort();
    return found;
  };
  const answer = section(at, message.readUInt16BE(6));
  const authority = section(answer.next, message.readUInt16BE(8));
  const additional = section(authority.next, message.readUInt16BE(10));
  if (additional.next !== message.length) throw new Malformed("octets behind the last record");
  return {
    ...{
      answered: "yes",
      rcode: String((flags & 15) | (extended << 4)),
      opcode: String((flags >>> 11) & 15),
      question,
    },
    ...{ aa: bit(10), tc: bit(9), rd: bit(8), ra: bit(7), ad: bit(5), cd: bit(4), edns, ...options },
    answer: answer.records.join("\n"),
    authority: authority.records.join("\n"),
    additional: additional.records.join("\n"),
  };
}

interface Options {
  readonly nsid: string;
  readonly cookie: string;
  readonly ede: string;
  /** The others' codes. */
  readonly options: string;
}

const noOptions: Options = { nsid: "no", cookie: "no", ede: "", options: "" };

/** Which options there are. What is in cookies and identities is each server's own; of errors only the code is compared. */
function readOptions(bytes: Buffer): Options {
  let found = noOptions;
  for (let at = 0; at < bytes.length;) {
    const code = bytes.readUInt16BE(at);
    const length = bytes.readUInt16BE(at + 2);
    const value = bytes.subarray(at + 4, at + 4 + length);
    if (value.length < length) throw new Malformed("an option ends behind its record");
    if (code === 3) found = { ...found, nsid: "yes" };
    else if (code === 10) found = { ...found, cookie: `of ${length} octets` };
    else if (code === 15) found = { ...found, ede: `${found.ede} ${value.readUInt16BE(0)}` };
    else found = { ...found, options: `${found.options} ${code}` };
    at += 4 + length;
  }
  return found;
}

function nameAt(message: Buffer, start: number): { name: string; next: number } {
  let name = "";
  let next = -1;
  let length = 0;
  for (let at = start, jumps = 0; ;) {
    const first = message[at];
    if (first === undefined) throw new Malformed("a name ends behind the message");
    if (first >= 0xc0) {
      const to = message.readUInt16BE(at) & 0x3fff;
      if (next < 0) next = at + 2;
      if (to >= at || ++jumps > 128) throw new Malformed("a pointer does not lead back");
      at = to;
      continue;
    }
    if (first > 63) throw new Malformed("a label of an unknown type");
    length += first + 1;
    if (length > 255) throw new Malformed("a name of more than 255 octets");
    if (first === 0) return { name: name === "" ? "." : name, next: next < 0 ? at + 1 : next };
    if (at + 1 + first > message.length) throw new Malformed("a label ends behind the message");
    for (const octet of message.subarray(at + 1, at + 1 + first)) {
      const plain = octet > 32 && octet < 127 && octet !== 46 && octet !== 92;
      name += plain ? String.fromCharCode(octet) : `\\${String(octet).padStart(3, "0")}`;
    }
    name += ".";
    at += first + 1;
  }
}

/** Types whose data may have compressed names: how many octets stand before the names, and how many names there are. */
const withNames: Readonly<Record<number, readonly [before: number, names: number]>> = {
  ...{
    2: [0, 1],
    5: [0, 1],
    6: [0, 2],
    12: [0, 1],
    15: [2, 1],
    17: [0, 2],
    18: [2, 1],
    33: [6, 1],
    36: [2, 1],
    39: [0, 1],
  },
};

function canonicalData(message: Buffer, type: number, start: number, end: number): string {
  const form = withNames[type];
  if (form === undefined) return message.toString("hex", start, end);
  let at = start + form[0];
  let text = message.toString("hex", start, at);
  for (let count = form[1]; count > 0; count--) {
    const { name, next } = nameAt(message, at);
    text += ` ${name.toLowerCase()}`;
    at = next;
  }
  if (at > end) throw new Malformed("a name ends behind its record");
  return `${text} ${message.toString("hex", at, end)}`;
}

/** The aspects in which two servers behaved differently. What is not comparable is left out. */
export function differences(one: Seen, other: Seen): Aspect[] {
  const differ = (aspect: Aspect): boolean => one[aspect] !== other[aspect];
  if (differ("answered")) return ["answered"];
  // Sections of answers with different codes, or cut short, need not agree.
  const sections: readonly Aspect[] = ["answer", "authority", "additional"];
  const left = new Set<Aspect>(one.tc === "1" || other.tc === "1" ? sections : []);
  // How an error is told is compared among equal errors.
  if (differ("rcode")) {
    for (const each of [...sections, "aa", "tc", "edns", "nsid", "cookie", "ede", "options"] as const) left.add(each);
  }
  return aspects.filter((aspect) => !left.has(aspect) && differ(aspect));
}
