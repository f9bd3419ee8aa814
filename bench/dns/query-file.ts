// Files of queries as bench/dns/load/load.c reads them.
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import path from "node:path";

/** Letters of the first label that the load generator changes where it is told to. */
const nonceLength = 7;

const typeA = 1;
const optType = 41;
const recursionDesired = 1;

/** A query, and the answer that counts as right. */
export interface ExpectedAnswer {
  readonly message: Buffer;
  /** Bytes of the question behind the header. */
  readonly question: number;
  /** The first label gets new letters each time that the query is sent. Default false. */
  readonly randomLabel?: boolean;
  /** Whatever comes back is right, and so is nothing. Default false. */
  readonly loose?: boolean;
  readonly rcode: number;
  /** Records in the answer section; 255 is any number. */
  readonly answers: number;
}

export const nameError = 3;

/** A name below the apex, with the final dot, whose first label the generator changes. */
export function randomName(apex: string): string {
  return `${"x".repeat(nonceLength)}-.${apex}`;
}

export interface AddressQueryOptions {
  /** EDNS with DO. */
  readonly dnssec?: boolean;
  /** RD. */
  readonly recursive?: boolean;
}

/** A query for A records, with the number 0. @param name absolute, with the final dot */
export function addressQuery(
  name: string,
  { dnssec = false, recursive = false }: AddressQueryOptions,
): Pick<ExpectedAnswer, "message" | "question"> {
  const labels = name
    .slice(0, -1)
    .split(".")
    .map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label, "latin1")]));
  const header = Buffer.from([0, 0, recursive ? recursionDesired : 0, 0, 0, 1, 0, 0, 0, 0, 0, dnssec ? 1 : 0]);
  const question = Buffer.concat([...labels, Buffer.from([0, 0, typeA, 0, 1])]);
  const opt = Buffer.from([0, 0, optType, 1232 >> 8, 1232 & 255, 0, 0, 0x80, 0, 0, 0]);
  return { message: Buffer.concat([header, question, ...(dnssec ? [opt] : [])]), question: question.length };
}

const randomLabelFlag = 1;
const looseFlag = 2;

/** Writes the queries; the generator begins again at the end. */
export function writeQueries(file: string, queries: Iterable<ExpectedAnswer>): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const output = openSync(file, "w");
  const block = Buffer.alloc(1 << 20);
  let length = 0;
  const flush = (): void => {
    writeSync(output, block, 0, length);
    length = 0;
  };
  for (const { message, question, randomLabel = false, loose = false, rcode, answers } of queries) {
    if (length + 6 + message.length > block.length) flush();
    const flags = (randomLabel ? randomLabelFlag : 0) | (loose ? looseFlag : 0);
    length = block.writeUInt16BE(message.length, length);
    length = block.writeUInt16BE(question, length);
    length = block.writeUInt8((flags << 4) | rcode, length);
    length = block.writeUInt8(answers, length);
    length += message.copy(block, length);
  }
  flush();
  closeSync(output);
}
