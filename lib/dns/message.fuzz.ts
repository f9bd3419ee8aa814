import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { IpAddress } from "@tesserae/device/address";
import { answerOf } from "./answer.ts";
import { type DnsMessage, emitMessage, parseMessage } from "./message.ts";
import { recordType } from "./wire.ts";

function emitted(message: Partial<DnsMessage>): Uint8Array {
  const bytes = new Uint8Array(2000);
  const whole: DnsMessage = {
    id: 1,
    response: true,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: true,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ name: "www.example.org", type: recordType.A, class: 1 }],
    answers: [],
    authorities: [],
    additionals: [],
    ...message,
  };
  return bytes.slice(0, emitMessage(whole, bytes));
}

const soa = {
  ...({ type: "SOA", primary: "ns.example.org", mailbox: "admin.example.org", serial: 1 } as const),
  ...{ refresh: 2, retry: 3, expire: 4, minimum: 5 },
};

/** Any bytes: parsed or refused, and what is parsed can be written and read again. */
export const fuzz: FuzzTarget = {
  name: "dns-message",
  seeds: [
    emitted({
      answers: [
        { name: "www.example.org", class: 1, ttl: 60, data: { type: "CNAME", name: "a.example.org" } },
        { name: "a.example.org", class: 1, ttl: 60, data: { type: "A", address: IpAddress.parse("192.0.2.1") } },
      ],
      edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [{ code: 10, bytes: new Uint8Array(8) }] },
    }),
    emitted({ rcode: 3, authorities: [{ name: "example.org", class: 1, ttl: 60, data: soa }] }),
    emitted({
      answers: [
        { name: "example.org", class: 1, ttl: 1, data: { type: "TXT", strings: [Uint8Array.of(97)] } },
        { name: "example.org", class: 1, ttl: 1, data: { type: "MX", preference: 1, exchange: "mx.example.org" } },
        { name: "example.org", class: 1, ttl: 1, data: { type: "SRV", priority: 1, weight: 2, port: 3, target: "a" } },
      ],
    }),
  ],
  run(input) {
    const parsed = parseMessage(input);
    if (!parsed.ok) {
      const { offset } = parsed.error;
      if (!(offset >= 0 && offset <= input.length)) throw new Error(`an error at ${offset} of ${input.length} bytes`);
      return;
    }
    const first = parsed.value;
    answerOf(first, "www.example.org", recordType.A);
    // Names may grow when they are written without the sender's compression: at most to 255 bytes each.
    const bytes = new Uint8Array(1_000_000);
    let length: number;
    try {
      length = emitMessage(first, bytes);
    } catch (error) {
      // Data that grows beyond 65,535 bytes cannot be written.
      if (error instanceof RangeError && error.message.includes("from 0 to 65535")) return;
      throw error;
    }
    const again = parseMessage(bytes, 0, length);
    if (!again.ok) throw new Error(`written, but not read again: ${again.error.message}`);
    if (JSON.stringify(again.value) !== JSON.stringify(first)) throw new Error("read differently the second time");
  },
};
