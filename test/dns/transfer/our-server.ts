// Our name server on the loopback interface, with its zones, keys and policies, for tests with others' programs.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { LogFields } from "@tesserae/device/log";
import { createNameServer, type NameServer } from "@tesserae/dns/authoritative/name-server";
import type { Zone } from "@tesserae/dns/authoritative/zone";
import { ZoneBuilder } from "@tesserae/dns/authoritative/zone-builder";
import { Zones } from "@tesserae/dns/authoritative/zones";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { parseRecordData, printRecord } from "@tesserae/dns/record/text";
import { typeFromText } from "@tesserae/dns/record/type-name";
import type { ZonePolicy } from "@tesserae/dns/transfer/policy";
import { createZoneKeeper, type ZoneKeeper, type ZoneKeeperOptions } from "@tesserae/dns/transfer/zone-keeper";
import { parseKeys } from "@tesserae/dns/tsig/key";
import type { WireRecord } from "@tesserae/dns/wire-record";
import { createCrypto } from "@tesserae/node/crypto";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";

const run = promisify(execFile);

export const secret = "c2VjcmV0IG9mIDMyIGJ5dGVzIGZvciB0aGUgdGVzdHM=";
export const keys = parseKeys(`key "shared.test." { algorithm hmac-sha256; secret "${secret}"; };`);
/** For dig -y and its kin. */
export const keyArgument = `hmac-sha256:shared.test.:${secret}`;
export const sharedKey = keys.get(nameFromText("shared.test."))!;
export const loopback = [Prefix.parse("127.0.0.0/8")];

/** A record of one line of a master file: absolute owner, TTL, class, type, data. */
export function recordOf(line: string): WireRecord {
  const [owner = "", ttl = "", , type = "", ...data] = line.trim().split(/\s+/);
  const code = typeFromText(type) ?? 0;
  const parsed = parseRecordData(code, data.join(" "));
  if (!parsed.ok) throw new Error(`${line}: ${JSON.stringify(parsed)}`);
  return { owner: nameFromText(owner), type: code, class: 1, ttl: Number(ttl), data: parsed.data };
}

export function zoneOf(apex: string, lines: readonly string[]): Zone {
  const builder = new ZoneBuilder(nameFromText(apex));
  for (const line of lines) {
    const fault = builder.add(recordOf(line));
    if (fault !== undefined) throw new Error(fault);
  }
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

/** Lines of a small zone: some records of several types, and `count` addresses. */
export function zoneLines(apex: string, serial: number, count = 20): string[] {
  return [
    `${apex} 300 IN SOA ns.${apex} admin.${apex} ${serial} 3600 600 86400 60`,
    `${apex} 300 IN NS ns.${apex}`,
    `${apex} 300 IN MX 10 Mail.${apex}`,
    `ns.${apex} 300 IN A 127.0.0.1`,
    `mail.${apex} 60 IN AAAA 2001:db8::25`,
    `text.${apex} 60 IN TXT "some text" "and more"`,
    `*.wild.${apex} 60 IN CNAME ns.${apex}`,
    `strange.${apex} 60 IN TYPE65500 \\# 3 010203`,
    ...Array.from({ length: count }, (_, index) => `host${index}.${apex} 60 IN A 192.0.2.${index % 250}`),
  ];
}

/** All records of a zone in text, sorted. */
export function textOf(zone: Zone | undefined): string[] {
  return zone === undefined ? [] : [...zone.records()].map((record) => printRecord(record).toLowerCase()).sort();
}

export interface OurServer {
  readonly zones: Zones;
  readonly keeper: ZoneKeeper;
  readonly server: NameServer;
  readonly port: number;
  /** What was logged, a line each. */
  readonly lines: string[];
  readonly close: () => Promise<void>;
}

export async function startOurs(
  policy: ZonePolicy,
  zonesAtStart: readonly Zone[] = [],
  more: Partial<ZoneKeeperOptions> = {},
): Promise<OurServer> {
  const lines: string[] = [];
  const log = loggerTo(lines);
  const stack = createKernelStack();
  const [timers, random, crypto] = [createTimers(), createRandom(), createCrypto()];
  const zones = new Zones();
  const common = { zones, udp: stack.udp, tcp: stack.tcp, timers, random, log };
  const keeper = createZoneKeeper({ ...common, crypto, keys, policy, ...more });
  for (const zone of zonesAtStart) zones.replace(zone);
  const address = IpAddress.loopback4;
  const server = await createNameServer({ ...common, address, port: 0, extensions: [keeper], rateLimit: false });
  return {
    ...{ zones, keeper, server, lines, port: server.local.port },
    async close() {
      await keeper.close();
      await server.close();
      await stack.close();
    },
  };
}

function loggerTo(lines: string[]): NonNullable<ZoneKeeperOptions["log"]> {
  const write = (message: string, fields?: LogFields): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log = { debug: write, info: write, warn: write, error: write, enabled: () => true, child: () => log };
  return log;
}

/** Waits until `holds` gives something. */
export async function until<T>(what: string, holds: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = await holds();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Lets nsupdate send changes of a zone to the server at `port`; what it says, nothing when all went well. */
export async function sendUpdate(
  port: number,
  zone: string,
  lines: readonly string[],
  ...args: readonly string[]
): Promise<string> {
  const text = [`server 127.0.0.1 ${port}`, `zone ${zone}`, ...lines, "send", ""].join("\n");
  const child = run("nsupdate", [...args]);
  child.child.stdin?.end(text);
  return child.then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: unknown) => String(error),
  );
}
