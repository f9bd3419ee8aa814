// The differences that docs/dns.md explains. A rule says by whom, in what, and for which queries; a difference that no
// rule explains fails the test, and so does a rule that the document does not list.
import type { Aspect, Seen } from "./answer.ts";
import type { Difference } from "./run.ts";
import type { OptShape } from "./shape.ts";

export interface Rule {
  /** As in the first column of the table in docs/dns.md. */
  readonly name: string;
  readonly rivals: readonly string[];
  /** Empty: any. */
  readonly aspects: readonly Aspect[];
  readonly when: (difference: Difference) => boolean;
}

const everyone = ["NSD", "Knot", "BIND"];
const error = { format: "1", notImplemented: "4" };
const type = { sig: 24, key: 25, rrsig: 46, nsec: 47, nsec3: 50, ixfr: 251, axfr: 252, any: 255 };

const hasOption = (edns: OptShape | undefined, code: number): boolean =>
  edns?.options.some((option) => option.code === code) === true;

/** Whether there is an option that some take for malformed: cookies of other lengths, subnets that are none … */
function hasDoubtfulOption({ shape: { edns } }: Difference): boolean {
  return (
    edns?.options.some(({ code, length }) => {
      if (code === 10) return length !== 8 && (length < 16 || length > 40);
      return code < 20 && code !== 12;
    }) === true
  );
}

const isMeta = (code: number): boolean => code === 0 || code === 41 || (code >= 128 && code <= 254);

/** Names whose aliases lead to themselves. */
const isLoop = (name: string): boolean => /(^|\.)(loop1|loop2|self|dname-self)\./.test(name);

const lines = (text: string): string[] => (text === "" ? [] : text.split("\n"));

/** Whether one section has all that the other has, and more. */
function oneContainsTheOther(one: string, other: string): boolean {
  const [larger, smaller] = [lines(one), lines(other)].sort((a, b) => b.length - a.length);
  return smaller?.every((line) => larger?.includes(line)) === true;
}

/** What a referral cannot do without: addresses of name servers whose names are below the delegation. */
function missesGlue(seen: Seen, other: Seen): boolean {
  const cuts = lines(seen.authority).flatMap((line) => (line.split(" ")[3] === "2" ? [line.split(" ")[0] ?? ""] : []));
  if (seen.aa === "1" || cuts.length === 0) return false;
  const [cut = ""] = cuts;
  return lines(other.additional).some(
    (line) => (line.split(" ")[0] ?? "").endsWith(`.${cut}`) && !lines(seen.additional).includes(line),
  );
}

export const rules: readonly Rule[] = [
  {
    name: "unreadable messages",
    rivals: everyone,
    aspects: [],
    when: ({ shape }) => shape.broken !== "whole",
  },
  {
    name: "NSD's broken answers",
    rivals: ["NSD"],
    aspects: ["answered"],
    when: ({ theirs, shape }) =>
      theirs.answered.startsWith("malformed") &&
      (shape.type === type.ixfr || (shape.edns?.options.filter(({ code }) => code === 3).length ?? 0) > 1),
  },
  {
    name: "several questions or none",
    rivals: everyone,
    aspects: [],
    when: ({ shape }) => shape.questions !== 1,
  },
  {
    name: "odd flags in queries",
    rivals: everyone,
    aspects: [],
    when: ({ shape }) => (shape.flags & 0x87cf & ~0x0100) !== 0 && shape.opcode === 0,
  },
  {
    name: "other operations",
    rivals: everyone,
    aspects: [],
    when: ({ shape }) => shape.opcode !== 0,
  },
  {
    name: "records in queries",
    rivals: everyone,
    aspects: [],
    when: ({ shape }) => shape.records > 0 || shape.counts[0] > 0 || shape.counts[1] > 0,
  },
  {
    name: "odd OPT records",
    rivals: everyone,
    aspects: [],
    when: ({ rival, shape: { edns, opts } }) =>
      opts > 1 ||
      (edns !== undefined &&
        (!edns.atRoot || !edns.exact || edns.section !== 2 || (rival === "Knot" && edns.size === 1))),
  },
  {
    name: "EDNS of another version",
    rivals: everyone,
    aspects: [],
    when: ({ shape }) => shape.edns !== undefined && shape.edns.version !== 0,
  },
  {
    name: "malformed options",
    rivals: everyone,
    aspects: ["rcode", "question", "edns", "nsid", "options", "cookie", "cd"],
    when: (difference) =>
      hasDoubtfulOption(difference) && [difference.ours.rcode, difference.theirs.rcode].includes(error.format),
  },
  {
    name: "the CD bit",
    rivals: ["NSD", "Knot"],
    aspects: ["cd"],
    when: ({ shape, ours, theirs }) => (shape.flags & 0x10) !== 0 && ours.cd === "1" && theirs.cd === "0",
  },
  {
    name: "the AD bit of truncated answers",
    rivals: ["BIND"],
    aspects: ["ad"],
    when: ({ shape, theirs }) => (shape.flags & 0x20) !== 0 && theirs.tc === "1",
  },
  {
    name: "questions of refused queries",
    rivals: everyone,
    aspects: ["question"],
    when: ({ ours, theirs }) =>
      [error.format, error.notImplemented].some((code) => code === ours.rcode || code === theirs.rcode),
  },
  {
    name: "cookies",
    rivals: ["NSD", "Knot"],
    aspects: ["cookie"],
    when: ({ shape, theirs }) => hasOption(shape.edns, 10) && theirs.cookie === "no",
  },
  {
    name: "client subnets",
    rivals: ["BIND"],
    aspects: ["options"],
    when: ({ shape, theirs }) =>
      hasOption(shape.edns, 8) &&
      theirs.options
        .trim()
        .split(" ")
        .every((code) => code === "8"),
  },
  {
    name: "time until a zone expires",
    rivals: ["Knot", "BIND", "NSD"],
    aspects: ["options"],
    when: ({ shape }) => hasOption(shape.edns, 9),
  },
  {
    name: "extended errors",
    rivals: everyone,
    aspects: ["ede"],
    when: ({ ours, theirs }) => ours.ede === "" || theirs.ede === "" || ours.rcode !== "0",
  },
  {
    name: "transfers over UDP",
    rivals: everyone,
    aspects: [],
    when: ({ shape }) => shape.type === type.axfr || shape.type === type.ixfr,
  },
  {
    name: "types that only queries have",
    rivals: everyone,
    aspects: [],
    when: ({ shape }) => isMeta(shape.type),
  },
  {
    name: "other classes",
    rivals: everyone,
    aspects: [],
    when: ({ shape }) => shape.class !== 1,
  },
  {
    name: "ANY",
    rivals: everyone,
    aspects: ["answer", "authority", "additional", "tc", "rcode"],
    when: ({ shape }) => shape.type === type.any,
  },
  {
    name: "queries for signatures",
    rivals: everyone,
    aspects: ["answer", "authority", "additional", "tc", "rcode"],
    when: ({ shape }) => shape.type === type.rrsig,
  },
  {
    name: "aliases in a circle",
    rivals: everyone,
    aspects: ["rcode", "answer", "authority", "additional", "tc", "aa"],
    when: ({ shape }) => isLoop(shape.name),
  },
  {
    name: "additional addresses",
    rivals: everyone,
    aspects: ["additional"],
    when: ({ ours, theirs }) =>
      areAddresses(ours.additional) && areAddresses(theirs.additional) && !missesGlue(ours, theirs),
  },
  {
    name: "SOA of negative answers about SOA",
    rivals: ["BIND"],
    aspects: ["authority"],
    when: ({ shape, ours, theirs }) =>
      shape.type === 6 && oneContainsTheOther(withoutTimes(ours.authority), withoutTimes(theirs.authority)),
  },
  {
    name: "aliases into another zone",
    rivals: ["Knot", "BIND"],
    aspects: ["authority", "answer", "rcode", "tc"],
    when: ({ shape }) => shape.name === "to-parent.child.diff.test.",
  },
  {
    name: "DS records in unsigned zones",
    rivals: everyone,
    aspects: ["authority", "tc"],
    when: ({ shape, ours, theirs }) =>
      shape.name.endsWith("secure.diff.test.") &&
      (ours.tc === "1" || oneContainsTheOther(ours.authority, theirs.authority)),
  },
  {
    name: "NSEC at delegations",
    rivals: ["BIND"],
    aspects: ["aa", "answer", "authority", "additional", "tc"],
    when: ({ shape, ours, theirs }) =>
      shape.type === type.nsec && (theirs.aa === "1" || theirs.tc === "1") && ours.answer === "",
  },
  {
    name: "signature types of aliases",
    rivals: ["NSD", "BIND"],
    aspects: ["answer", "authority", "additional", "tc", "rcode"],
    when: ({ shape, ours, theirs }) =>
      [type.sig, type.key, type.nsec, type.nsec3].includes(shape.type) &&
      (/ 1 5 /.test(ours.answer) || / 1 5 /.test(theirs.answer) || ours.rcode !== theirs.rcode || ours.tc === "1"),
  },
  {
    name: "more NSEC3 records than needed",
    rivals: ["NSD"],
    aspects: ["authority", "tc"],
    when: ({ shape, ours, theirs }) =>
      shape.name.startsWith("*.") &&
      / 1 50 /.test(ours.authority) &&
      lines(theirs.authority).length > lines(ours.authority).length &&
      oneContainsTheOther(ours.authority, theirs.authority),
  },
  {
    name: "encloser without an NSEC3 record",
    rivals: ["NSD"],
    aspects: ["authority", "tc"],
    when: ({ shape, ours, theirs }) =>
      shape.edns?.dnssecOk === true &&
      /(^|\.)sub4\.optout\.test\.$/.test(shape.name) &&
      / 1 50 /.test(ours.authority) &&
      / 1 50 /.test(theirs.authority),
  },
  {
    name: "proofs that are left out",
    rivals: everyone,
    aspects: ["authority", "tc"],
    when: ({ shape, ours, theirs }) =>
      shape.edns?.dnssecOk === true &&
      (ours.tc === "1" ||
        (lines(theirs.authority).every((line) => lines(ours.authority).includes(line)) &&
          / 1 (47|50) /.test(ours.authority))),
  },
  {
    name: "room for cookies",
    rivals: everyone,
    aspects: ["tc"],
    when: ({ ours, theirs }) => ours.tc === "1" && ours.cookie !== theirs.cookie,
  },
  {
    name: "codes of truncated answers",
    rivals: everyone,
    aspects: ["rcode"],
    when: ({ ours }) => ours.tc === "1" && ours.rcode === "0",
  },
  {
    name: "what is left out before TC is set",
    rivals: everyone,
    aspects: ["tc"],
    when: ({ shape: { edns } }) => edns === undefined || edns.size <= 600 || edns.dnssecOk,
  },
];

/** Addresses, their signatures, and proofs that there are none. */
function areAddresses(section: string): boolean {
  return lines(section).every((line) => ["1", "28", "46", "47", "50"].includes(line.split(" ")[3] ?? ""));
}

/** The records without their times to live. */
function withoutTimes(section: string): string {
  return lines(section)
    .map((line) => line.split(" ").toSpliced(1, 1).join(" "))
    .join("\n");
}

/** The name of the rule that explains a difference. */
export function explain(difference: Difference): string | undefined {
  return rules.find(
    ({ rivals, aspects, when }) =>
      rivals.includes(difference.rival) &&
      (aspects.length === 0 || aspects.includes(difference.aspect)) &&
      when(difference),
  )?.name;
}
