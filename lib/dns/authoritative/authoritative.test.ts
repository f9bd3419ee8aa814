import { IpAddress } from "@tesserae/device/address";
import { describe, expect, it } from "vitest";
import { type DnsMessage, emitMessage, parseMessage } from "../message.ts";
import { nameFromText } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import { createAuthoritative } from "./authoritative.ts";
import type { Transport } from "./extension.ts";
import { ZoneBuilder } from "./zone-builder.ts";
import { Zones } from "./zones.ts";

const client = IpAddress.parse("192.0.2.99");

function zoneOf(apex: string, records: readonly (readonly [string, number, Uint8Array])[]) {
  const builder = new ZoneBuilder(nameFromText(apex));
  for (const [owner, type, data] of records) {
    expect(builder.add({ owner: nameFromText(owner), type, class: 1, ttl: 3600, data })).toBeUndefined();
  }
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

const name = nameFromText;
const address = (text: string) => Uint8Array.from(text.split("."), Number);
function soa(serial: number): Uint8Array {
  const tail = new Uint8Array(20);
  new DataView(tail.buffer).setUint32(0, serial);
  new DataView(tail.buffer).setUint32(16, 300);
  return Uint8Array.of(...name("ns.example."), ...name("admin.example."), ...tail);
}

const zones = new Zones();
zones.replace(
  zoneOf("example.", [
    ["example.", 6, soa(1)],
    ["example.", 2, name("ns.example.")],
    ["example.", 2, name("ns.sub.example.")],
    ["ns.example.", 1, address("192.0.2.1")],
    ["www.example.", 1, address("192.0.2.2")],
    ["alias.example.", 5, name("www.example.")],
    ["sub.example.", 2, name("ns.sub.example.")],
    ["ns.sub.example.", 1, address("192.0.2.3")],
    ["*.wild.example.", 1, address("192.0.2.4")],
    ["a.b.c.example.", 1, address("192.0.2.5")],
    ["old.example.", 39, name("example.")],
    ["inward.example.", 39, name("more.inward.example.")],
  ]),
);
// Zones of one shape, so that equal places in both are equal names.
for (const apex of ["one.test.", "two.test."]) {
  const target = apex === "one.test." ? "x.two.test." : "y.two.test.";
  const y = apex === "one.test." ? name("x.two.test.") : address("192.0.2.6");
  zones.replace(
    zoneOf(apex, [
      [apex, 6, soa(1)],
      [apex, 2, name("ns.example.")],
      [`x.${apex}`, 5, name(target)],
      [`y.${apex}`, apex === "one.test." ? 5 : 1, y],
    ]),
  );
}
const server = createAuthoritative({ zones });

function ask(qname: string, type: number, transport: Transport = "udp"): DnsMessage {
  const flags = { response: false, authoritative: false, truncated: false, recursionDesired: true };
  const rest = { recursionAvailable: false, authenticData: false, checkingDisabled: false, opcode: 0, rcode: 0 };
  const query: DnsMessage = {
    ...{ id: 7, ...flags, ...rest, answers: [], authorities: [], additionals: [] },
    questions: [{ name: qname, type, class: 1 }],
  };
  const bytes = new Uint8Array(512);
  const length = emitMessage(query, bytes);
  const out = new Uint8Array(4096);
  const size = server.answer(bytes, 0, length, out, 0, 4096, transport, client);
  const parsed = parseMessage(out, 0, size);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

const shown = (message: DnsMessage) => ({
  rcode: message.rcode,
  aa: message.authoritative,
  answers: message.answers.map((each) => `${each.name} ${each.data.type}`),
  authorities: message.authorities.map((each) => `${each.name} ${each.data.type}`),
  additionals: message.additionals.map((each) => `${each.name} ${each.data.type}`),
});

describe("answers (RFC 1034 §4.3.2)", () => {
  const nothing = { answers: [], authorities: [], additionals: [] };
  it("gives what is there", () => {
    expect(shown(ask("wWw.example", recordType.A))).toEqual({
      ...{ ...nothing, rcode: 0, aa: true },
      answers: ["wWw.example A"],
    });
  });
  it("gives the SOA record with what is not there", () => {
    const no = { ...nothing, aa: true, authorities: ["example SOA"] };
    expect(shown(ask("none.example", recordType.A))).toEqual({ ...no, rcode: 3 });
    expect(shown(ask("www.example", recordType.AAAA))).toEqual({ ...no, rcode: 0 });
    expect(shown(ask("b.c.example", recordType.A))).toEqual({ ...no, rcode: 0 });
    expect(ask("none.example", recordType.A).authorities[0]?.ttl).toBe(300);
  });
  it("follows aliases", () => {
    expect(shown(ask("alias.example", recordType.A))).toEqual({
      ...{ ...nothing, rcode: 0, aa: true },
      answers: ["alias.example CNAME", "www.example A"],
    });
    expect(shown(ask("www.old.example", recordType.A))).toEqual({
      ...{ ...nothing, rcode: 0, aa: true },
      answers: ["old.example DNAME", "www.old.example CNAME", "www.example A"],
    });
  });
  it("does not follow the alias that was asked for (RFC 6672 §3.2)", () => {
    expect(shown(ask("none.old.example", recordType.CNAME))).toEqual({
      ...{ ...nothing, rcode: 0, aa: true },
      answers: ["old.example DNAME", "none.old.example CNAME"],
    });
  });
  it("takes NSEC beside an alias for what was asked (RFC 4035 §2.5)", () => {
    expect(shown(ask("alias.example", 47))).toEqual({ ...nothing, rcode: 0, aa: true, authorities: ["example SOA"] });
  });
  it("gives a DNAME that renames again and again once", () => {
    const { answers } = shown(ask("a.inward.example", recordType.A));
    expect(answers.filter((each) => each === "inward.example DNAME")).toHaveLength(1);
    expect(answers.filter((each) => each.endsWith("CNAME")).length).toBeGreaterThan(3);
  });
  it("follows aliases from zone to zone, whatever places the names have in each", () => {
    const names = ask("y.one.test", recordType.A).answers.map((each) => each.name);
    expect(names).toEqual(["y.one.test", "x.two.test", "y.two.test"]);
    expect(ask("x.one.test", recordType.A).answers.map((each) => each.name)).toEqual([
      ...["x.one.test", "x.two.test", "y.two.test"],
    ]);
  });
  it("refers to who knows, with glue", () => {
    expect(shown(ask("x.sub.example", recordType.A))).toEqual({
      ...{ rcode: 0, aa: false, answers: [], authorities: ["sub.example NS"] },
      additionals: ["ns.sub.example A"],
    });
  });
  it("answers from a wildcard (RFC 4592)", () => {
    expect(shown(ask("x.y.wild.example", recordType.A)).answers).toEqual(["x.y.wild.example A"]);
  });
  it("refuses what is not ours", () => {
    expect(ask("example.org", recordType.A).rcode).toBe(5);
  });
});
