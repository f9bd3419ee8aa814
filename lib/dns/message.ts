import { failed, type Parsed } from "@tesserae/wire/parse-error";
import type { Question, ResourceRecord } from "./record.ts";
import { RecordParser } from "./record-parser.ts";
import { RecordWriter } from "./record-writer.ts";
import { header, recordType } from "./wire.ts";

/** EDNS(0) (RFC 6891): what the OPT record says. */
export interface Edns {
  /** The longest UDP payload that the sender takes, bytes. */
  readonly udpSize: number;
  readonly version: number;
  /** RFC 3225. */
  readonly dnssecOk: boolean;
  readonly options: readonly { readonly code: number; readonly bytes: Uint8Array }[];
}

/** A DNS message (RFC 1035 §4). */
export interface DnsMessage {
  readonly id: number;
  readonly response: boolean;
  /** 0 is a standard query. */
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** A number of `rcode`, or another: 12 bits with EDNS, else 4. */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without the OPT record. */
  readonly additionals: readonly ResourceRecord[];
  /** Absent when there is no OPT record. */
  readonly edns?: Edns;
}

/** Reads the message `data[offset … offset + length)`. Nothing in the result refers to `data`. */
export function parseMessage(data: Uint8Array, offset = 0, length: number = data.length - offset): Parsed<DnsMessage> {
  const fixed = header.parse(data, offset, length);
  if (!fixed.ok) return fixed;
  const end = offset + length;
  const parser = new RecordParser(data, offset, end, offset + header.size);
  let edns: Edns | undefined;
  let extendedRcode = 0;
  const section = (count: number, isLast: boolean): ResourceRecord[] => {
    const records: ResourceRecord[] = [];
    for (let index = 0; index < count && parser.fault === undefined; index++) {
      const record = parser.record((udpSize, flags, bytes) => {
        if (edns !== undefined || !isLast) parser.fail("value", "record", "an OPT record too many, or out of place");
        edns = parseEdns(parser, udpSize, flags, bytes);
        extendedRcode = flags >>> 24;
      });
      if (record !== undefined) records.push(record);
    }
    return records;
  };
  const { value } = fixed;
  const questions: Question[] = [];
  for (let index = 0; index < value.questions && parser.fault === undefined; index++) questions.push(parser.question());
  const answers = section(value.answers, false);
  const authorities = section(value.authorities, false);
  const additionals = section(value.additionals, true);
  if (parser.fault !== undefined) return { ok: false, error: parser.fault };
  if (parser.at !== end) return failed("length", "dns", "", parser.at, "bytes behind the last record");
  return {
    ok: true,
    value: {
      id: value.id,
      response: value.response,
      opcode: value.opcode,
      authoritative: value.authoritative,
      truncated: value.truncated,
      recursionDesired: value.recursionDesired,
      recursionAvailable: value.recursionAvailable,
      authenticData: value.authenticData,
      checkingDisabled: value.checkingDisabled,
      rcode: (extendedRcode << 4) | value.rcode,
      questions,
      answers,
      authorities,
      additionals,
      ...(edns === undefined ? {} : { edns }),
    },
  };
}

function parseEdns(parser: RecordParser, udpSize: number, flags: number, bytes: Uint8Array): Edns {
  const options: { code: number; bytes: Uint8Array }[] = [];
  const inner = new RecordParser(bytes, 0, bytes.length, 0);
  while (inner.rest > 0 && inner.fault === undefined) {
    const code = inner.u16("option");
    options.push({ code, bytes: inner.bytes(inner.u16("option"), "option") });
  }
  if (inner.fault !== undefined) parser.fail("length", "options", "an EDNS option reaches beyond its record");
  return { udpSize, version: (flags >>> 16) & 255, dnssecOk: (flags & 0x8000) !== 0, options };
}

/**
 * Writes `message` at the start of `data`.
 *
 * @returns its length.
 * @throws RangeError when it does not fit, or a value or a name is out of range; `rcode` above 15 needs `edns`.
 */
export function emitMessage(message: DnsMessage, data: Uint8Array): number {
  const { questions, answers, authorities, additionals, edns, rcode } = message;
  if (rcode > 15 && edns === undefined) throw new RangeError(`rcode ${rcode} needs EDNS`);
  if (data.length < header.size) throw new RangeError(`the message needs more than ${data.length} bytes`);
  header.emit(
    {
      id: message.id,
      response: message.response,
      opcode: message.opcode,
      authoritative: message.authoritative,
      truncated: message.truncated,
      recursionDesired: message.recursionDesired,
      recursionAvailable: message.recursionAvailable,
      reserved: 0,
      authenticData: message.authenticData,
      checkingDisabled: message.checkingDisabled,
      rcode: rcode & 15,
      questions: questions.length,
      answers: answers.length,
      authorities: authorities.length,
      additionals: additionals.length + (edns === undefined ? 0 : 1),
    },
    data,
  );
  const writer = new RecordWriter(data, header.size);
  for (const question of questions) writer.question(question);
  for (const record of [...answers, ...authorities, ...additionals]) writer.record(record);
  if (edns !== undefined) {
    writer.name(".");
    writer.u16(recordType.OPT);
    writer.u16(edns.udpSize);
    writer.u8(rcode >>> 4);
    writer.u8(edns.version);
    writer.u16(edns.dnssecOk ? 0x8000 : 0);
    writer.sized(() => {
      for (const { code, bytes } of edns.options) {
        writer.u16(code);
        writer.sized(() => writer.bytes(bytes));
      }
    });
  }
  return writer.at;
}
