import { printOption } from "./edns/option.ts";
import { nameToText } from "./name-bytes.ts";
import { printRecord } from "./record/text.ts";
import { className, typeName } from "./record/type-name.ts";
import { type WireMessage } from "./wire-message.ts";
import { messageFlag, opcode, rcode } from "./wire.ts";

/** Messages for people: in logs, and wherever `dig`'s output would be read. */

/** Bits by the names that `dig` has for them, in its order. */
const flagNames = [
  ["qr", messageFlag.response],
  ["aa", messageFlag.authoritative],
  ["tc", messageFlag.truncated],
  ["rd", messageFlag.recursionDesired],
  ["ra", messageFlag.recursionAvailable],
  ["ad", messageFlag.authenticData],
  ["cd", messageFlag.checkingDisabled],
] as const;

const opcodeNames = new Map<number, string>(Object.entries(opcode).map(([name, code]) => [code, name.toUpperCase()]));

/** What other programs call the response codes. */
const rcodeNames = new Map<number, string>([
  [rcode.noError, "NOERROR"],
  [rcode.formatError, "FORMERR"],
  [rcode.serverFailure, "SERVFAIL"],
  [rcode.nameError, "NXDOMAIN"],
  [rcode.notImplemented, "NOTIMP"],
  [rcode.refused, "REFUSED"],
  [rcode.nameExists, "YXDOMAIN"],
  [rcode.setExists, "YXRRSET"],
  [rcode.setMissing, "NXRRSET"],
  [rcode.notAuthoritative, "NOTAUTH"],
  [rcode.notInZone, "NOTZONE"],
  [rcode.badVersion, "BADVERS"],
  [rcode.badKey, "BADKEY"],
  [rcode.badTime, "BADTIME"],
  [rcode.badMode, "BADMODE"],
  [rcode.badName, "BADNAME"],
  [rcode.badAlgorithm, "BADALG"],
  [rcode.badTruncation, "BADTRUNC"],
  [rcode.badCookie, "BADCOOKIE"],
]);

/** `NXDOMAIN`, or `RCODE3841`. */
export function rcodeName(code: number): string {
  return rcodeNames.get(code) ?? `RCODE${code}`;
}

/** One line: `7 QUERY NOERROR qr aa rd: example.org. A 1/0/2`, with the answers, authorities and additionals counted. */
export function printSummary(message: WireMessage): string {
  const counts = [message.answers.length, message.authorities.length, message.additionals.length].join("/");
  const questions = message.questions.map(({ name, type }) => ` ${nameToText(name)} ${typeName(type)}`).join(",");
  return `${message.id} ${opcodeName(message)} ${rcodeName(message.rcode)} ${flagsText(message)}:${questions} ${counts}`;
}

/** The whole message as `dig` writes it, a record a line; no line end at the end. */
export function printMessage(message: WireMessage): string {
  const { questions, answers, authorities, additionals, edns } = message;
  const lines = [
    `;; opcode: ${opcodeName(message)}, status: ${rcodeName(message.rcode)}, id: ${message.id}, flags: ${flagsText(message)}`,
  ];
  if (edns !== undefined) {
    const bit = edns.dnssecOk ? " do" : "";
    lines.push(`;; EDNS: version: ${edns.version}, flags:${bit}; udp: ${edns.udpSize}`);
    for (const { code, bytes } of edns.options) lines.push(`;; ${printOption(code, bytes)}`);
  }
  if (questions.length > 0) lines.push("", ";; QUESTION");
  for (const { name, type, class: each } of questions) {
    lines.push(`;${nameToText(name)}\t${className(each)}\t${typeName(type)}`);
  }
  for (const [title, records] of [
    ["ANSWER", answers],
    ["AUTHORITY", authorities],
    ["ADDITIONAL", additionals],
  ] as const) {
    if (records.length > 0) lines.push("", `;; ${title}`, ...records.map(printRecord));
  }
  return lines.join("\n");
}

function opcodeName(message: WireMessage): string {
  return opcodeNames.get(message.opcode) ?? `OPCODE${message.opcode}`;
}

function flagsText({ flags }: WireMessage): string {
  return flagNames
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name)
    .join(" ");
}
