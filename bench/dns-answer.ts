// Answers of the name server from query bytes to response bytes, without any device: remembered, looked up, not there.
// The rival reads and writes the same messages as objects.

import { performance } from "node:perf_hooks";
import { IpAddress } from "@tesserae/device/address";
import { createAuthoritative } from "@tesserae/dns/authoritative/authoritative";
import { Zones } from "@tesserae/dns/authoritative/zones";
import { emitMessage, parseMessage } from "@tesserae/dns/message";
import { recordType } from "@tesserae/dns/wire";
import { madeQuery, madeZone } from "./dns/made-zone.ts";
import { hostName } from "./dns/zone-text.ts";
import { sink } from "./harness/loop.ts";
import { main } from "./harness/main.ts";
import type { Contender, Race } from "./harness/race.ts";

const hosts = 10_000;
const count = 200_000;
const client = IpAddress.parse("192.0.2.99");
const out = new Uint8Array(65_535);

function answering(name: string, signed: boolean, memory: number, queries: readonly Uint8Array[]): Contender {
  const zones = new Zones();
  zones.replace(madeZone(hosts, signed));
  const server = createAuthoritative({ zones, memory });
  return {
    name,
    measure() {
      const start = performance.now();
      for (let index = 0; index < count; index++) {
        // as: the remainder is below the length
        const query = queries[index % queries.length]!;
        sink.value ^= server.answer(query, 0, query.length, out, 0, 65_535, "udp", client);
      }
      return (count * 1000) / (performance.now() - start);
    },
  };
}

/** The least that a server without a path of bytes has to do: read the query, and write one record as the answer. */
function withObjects(queries: readonly Uint8Array[]): Contender {
  const address = IpAddress.parse("10.0.0.1");
  return {
    name: "parseMessage, emitMessage",
    measure() {
      const start = performance.now();
      const some = count / 10;
      for (let index = 0; index < some; index++) {
        // as: the remainder is below the length
        const parsed = parseMessage(queries[index % queries.length]!);
        if (!parsed.ok) throw new Error(parsed.error.message);
        const { name } = parsed.value.questions[0]!;
        const answers = [{ name, class: 1, ttl: 3600, data: { type: "A", address } as const }];
        sink.value ^= emitMessage({ ...parsed.value, response: true, answers }, out);
      }
      return (some * 1000) / (performance.now() - start);
    },
  };
}

const mixed = (index: number): number => (index * 7919) % hosts;
const there = Array.from({ length: hosts }, (_, index) => madeQuery(hostName(mixed(index)), recordType.A, false));
const thereSigned = Array.from({ length: hosts }, (_, index) => madeQuery(hostName(mixed(index)), recordType.A, true));
const absent = Array.from({ length: hosts }, (_, index) =>
  madeQuery(`x${hostName(mixed(index))}`, recordType.A, false),
);
const absentSigned = Array.from({ length: hosts }, (_, index) =>
  madeQuery(`x${hostName(mixed(index))}`, recordType.A, true),
);
const memory = 8 * 2 ** 20;

const races: readonly Race[] = [
  {
    name: "answers from a zone of 10,000 names",
    unit: "answers/s",
    rival: "parseMessage, emitMessage",
    contenders: [
      withObjects(there),
      answering("A, remembered", false, memory, there),
      answering("A, looked up", false, 0, there),
      answering("NXDOMAIN, remembered", false, memory, absent),
      answering("NXDOMAIN, looked up", false, 0, absent),
      answering("A with RRSIG, remembered", true, memory, thereSigned),
      answering("A with RRSIG, looked up", true, 0, thereSigned),
      answering("NXDOMAIN with NSEC, looked up", true, 0, absentSigned),
    ],
  },
];

await main(races, 5);
