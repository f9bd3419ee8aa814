// A small internet of name servers in virtual time, each answering from zones written as text, with delays, losses,
// and whatever a test wants to do wrong.
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import { nameFromText } from "@tesserae/dns/name-bytes";
import {
  bytesOfKey,
  isWithin,
  keyFromText,
  keyOf,
  keyText,
  labelsOfKey,
  parentKey,
} from "@tesserae/dns/recursive/name-key";
import {
  createRecursive,
  type Recursive,
  type RecursiveOptions,
  type Resolution,
} from "@tesserae/dns/recursive/recursive";
import type { Exchange, ExchangeRequest } from "@tesserae/dns/recursive/upstream";
import { parseWireMessage, type WireMessage } from "@tesserae/dns/wire-message";
import { type Section, WireMessageWriter } from "@tesserae/dns/wire-message-writer";
import type { WireRecord } from "@tesserae/dns/wire-record";
import { Scheduler } from "@tesserae/time/scheduler";
import { sleep } from "@tesserae/time/sleep";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { messageFlag } from "@tesserae/dns/wire";

export const types = { A: 1, NS: 2, CNAME: 5, SOA: 6, MX: 15, TXT: 16, AAAA: 28, DNAME: 39, DS: 43, DNSKEY: 48 };

/** One query as a server got it. */
export interface Asked {
  readonly server: string;
  /** In text and lower case. */
  readonly name: string;
  readonly type: number;
  readonly overTcp: boolean;
}

/** Says something else than the zones: messages in the order in which they arrive, or nothing at all. */
export type Twist = (query: WireMessage, overTcp: boolean, right: () => Uint8Array) => readonly Uint8Array[];

interface Server {
  readonly zones: Map<string, ScriptedZone>;
  delay: number;
  twist?: Twist;
}

export class ScriptedZone {
  readonly apex: string;
  readonly records = new Map<string, WireRecord[]>();

  /** @param lines `name TYPE data` with names relative to the zone; `@` is the zone itself */
  constructor(apex: string, lines: readonly string[]) {
    this.apex = keyFromText(apex);
    const text = apex === "." ? "" : apex;
    const absolute = (name: string): string =>
      name === "@" ? apex : name.endsWith(".") ? name.slice(0, -1) || "." : `${name}${text === "" ? "" : `.${text}`}`;
    this.#add(apex, types.SOA, [...nameFromText("ns"), ...nameFromText("admin"), ...soaNumbers], 300);
    for (const line of lines) {
      const [name = "", type = "", ...rest] = line.split(" ");
      this.#add(
        absolute(name),
        types[type as keyof typeof types] /* as: tests name types that are there */,
        dataOf(type, rest, absolute),
        300,
      );
    }
  }

  #add(name: string, type: number, data: readonly number[], ttl: number): void {
    const owner = nameFromText(name);
    const list = this.records.get(keyOf(owner)) ?? [];
    list.push({ owner, type, class: 1, ttl, data: Uint8Array.from(data) });
    this.records.set(keyOf(owner), list);
  }

  of(name: string, type: number): WireRecord[] {
    return (this.records.get(name) ?? []).filter((record) => record.type === type);
  }

  exists(name: string): boolean {
    return [...this.records.keys()].some((each) => isWithin(each, name));
  }
}

const soaNumbers = [0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 60];

function dataOf(type: string, rest: readonly string[], absolute: (name: string) => string): number[] {
  const [first = ""] = rest;
  if (type === "A" || type === "AAAA") {
    const { w0, w1, w2, w3 } = IpAddress.parse(first);
    return (type === "A" ? [w3] : [w0, w1, w2, w3]).flatMap((w) => [w >>> 24, w >>> 16, w >>> 8, w]);
  }
  if (type === "TXT") return [first.length, ...new TextEncoder().encode(first)];
  if (type === "MX") return [0, Number(first), ...nameFromText(absolute(rest[1] ?? ""))];
  return [...nameFromText(absolute(first))];
}

/** What a right server says. */
export function answerFrom(zones: Iterable<ScriptedZone>, query: WireMessage, limit = 1232): Uint8Array {
  const [question] = query.questions;
  const name = keyOf(question!.name);
  const type = question!.type;
  const within = [...zones].filter(
    ({ apex }) => isWithin(name, apex) && !(type === types.DS && apex === name && labelsOfKey(apex) > 0),
  );
  const zone = within.sort((a, b) => labelsOfKey(b.apex) - labelsOfKey(a.apex))[0];
  if (zone === undefined) return message(query, { rcode: 5 });
  for (let at = name, cuts: string[] = []; ; at = parentKey(at)) {
    if (at !== zone.apex && zone.of(at, types.NS).length > 0 && !(type === types.DS && at === name)) cuts = [at];
    if (at !== zone.apex) continue;
    const [cut] = cuts;
    if (cut === undefined) break;
    const ns = zone.of(cut, types.NS);
    const glue = ns.flatMap(({ data }) =>
      (zone.records.get(keyOf(data)) ?? []).filter(({ type: t }) => t !== types.NS),
    );
    return message(query, { aa: false, authorities: ns, additionals: glue }, limit);
  }
  const soa = zone.of(zone.apex, types.SOA);
  for (let at = name; at !== zone.apex; at = parentKey(at)) {
    const dname = zone.of(parentKey(at), types.DNAME);
    if (dname.length > 0) return message(query, { answers: dname }, limit);
  }
  let source = name;
  if (!zone.exists(name)) {
    while (!zone.exists(source)) source = parentKey(source);
    source = `\x01*${source}`;
    if (!zone.records.has(source)) return message(query, { rcode: 3, authorities: soa });
  }
  const found = zone.of(source, type);
  const records = found.length > 0 ? found : zone.of(source, types.CNAME);
  if (records.length === 0) return message(query, { authorities: soa });
  return message(query, { answers: records.map((record) => ({ ...record, owner: bytesOfKey(name) })) }, limit);
}

/** Any response to a query. */
export function message(
  query: WireMessage,
  say: {
    readonly rcode?: number;
    readonly aa?: boolean;
    readonly id?: number;
    readonly name?: Uint8Array;
    readonly truncated?: boolean;
    readonly answers?: readonly WireRecord[];
    readonly authorities?: readonly WireRecord[];
    readonly additionals?: readonly WireRecord[];
  },
  limit = 65_535,
): Uint8Array {
  const data = new Uint8Array(70_000);
  const writer = new WireMessageWriter(data, limit);
  const [question] = query.questions;
  writer.question({ ...question!, ...(say.name === undefined ? {} : { name: say.name }) });
  let isWhole = say.truncated !== true;
  for (const section of ["answers", "authorities", "additionals"] satisfies Section[]) {
    for (const record of say[section] ?? []) if (!writer.records(section, [record])) isWhole = false;
  }
  const aa = say.aa === false ? 0 : messageFlag.authoritative;
  const flags = messageFlag.response | aa | (isWhole ? 0 : messageFlag.truncated);
  return data.slice(0, writer.finish(say.id ?? query.id, flags, say.rcode ?? 0));
}

export class Internet {
  readonly clock = new VirtualClock({ origin: Date.UTC(2026, 0, 1) });
  readonly timers = new Scheduler(this.clock, {
    onError: (error) => {
      throw error;
    },
  });
  readonly asked: Asked[] = [];
  readonly #servers = new Map<string, Server>();
  readonly #random: SeededRandom;
  /** Of datagrams, each way. */
  loss = 0;

  constructor(seed = 1) {
    this.#random = new SeededRandom(seed);
  }

  /** A server at `address` with a zone; the same address may have several. */
  serve(address: string, apex: string, lines: readonly string[], delay = 10): ScriptedZone {
    const zone = new ScriptedZone(apex, lines);
    const server = this.#server(address);
    server.delay = delay;
    server.zones.set(zone.apex, zone);
    return zone;
  }

  twist(address: string, twist: Twist): void {
    this.#server(address).twist = twist;
  }

  resolver(options: Partial<RecursiveOptions> = {}): Recursive {
    return createRecursive({
      exchange: this.exchange,
      timers: this.timers,
      random: this.#random,
      roots: [{ name: "a.root", addresses: [IpAddress.parse("198.51.100.1")] }],
      families: () => [4],
      ...options,
    });
  }

  run<T>(promise: Promise<T>): Promise<T> {
    const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
    return runVirtual({ clock: this.clock, schedulers: [this.timers], turn }, promise);
  }

  pass(ms: number): void {
    const end = this.clock.now() + ms;
    while (this.timers.nextDeadline() <= end) {
      this.clock.advanceTo(Math.max(this.clock.now(), this.timers.nextDeadline()));
      this.timers.run();
    }
    this.clock.advanceTo(end);
  }

  /** Queries since the last call, as `server name type`. */
  take(): string[] {
    return this.asked.splice(0).map(({ server, name, type, overTcp }) => {
      const word = Object.entries(types).find(([, code]) => code === type)?.[0] ?? String(type);
      return `${server} ${name} ${word}${overTcp ? " tcp" : ""}`;
    });
  }

  readonly exchange: Exchange = async (request: ExchangeRequest) => {
    const address = request.server.address.toString();
    const server = this.#servers.get(address);
    const parsed = parseWireMessage(request.query);
    if (!parsed.ok) throw new Error(parsed.error.message);
    const query = parsed.value;
    const [question] = query.questions;
    this.asked.push({
      server: address,
      name: keyText(keyOf(question!.name)),
      type: question!.type,
      overTcp: request.overTcp,
    });
    const lost = (): boolean => !request.overTcp && this.#random.uint32() / 2 ** 32 < this.loss;
    const end = this.clock.now() + request.timeout;
    if (server !== undefined && !lost()) {
      await sleep(this.timers, Math.min(server.delay, request.timeout));
      const right = () => answerFrom(server.zones.values(), query, request.overTcp ? 65_535 : 1232);
      const answers = server.twist?.(query, request.overTcp, right) ?? [right()];
      for (const answer of answers) {
        if (!lost() && !request.signal.aborted && request.accept(answer, 0, answer.length)) return "accepted";
      }
    }
    try {
      await sleep(this.timers, Math.max(0, end - this.clock.now()), request.signal);
    } catch {
      // Nobody listens any more.
    }
    return "timeout";
  };

  #server(address: string): Server {
    let server = this.#servers.get(address);
    if (server === undefined) {
      server = { zones: new Map(), delay: 10 };
      this.#servers.set(address, server);
    }
    return server;
  }
}

/** What a resolution says, in short words: `NOERROR a.example A 192.0.2.1`. */
export function shown({ rcode, answers }: Resolution): string[] {
  const codes: Readonly<Record<number, string>> = { 0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED" };
  return [
    codes[rcode] ?? String(rcode),
    ...answers.flatMap(({ set }) =>
      set.data.map((data) => {
        const word = Object.entries(types).find(([, code]) => code === set.type)?.[0] ?? String(set.type);
        return `${keyText(set.name)} ${word} ${dataText(set.type, data)}`;
      }),
    ),
  ];
}

function dataText(type: number, data: Uint8Array): string {
  if (type === types.A) return [...data].join(".");
  if (type === types.TXT) return new TextDecoder().decode(data.subarray(1));
  if (type === types.MX) return `${data[1]} ${keyText(keyOf(data, 2))}`;
  if ([types.CNAME, types.NS, types.DNAME].includes(type)) return keyText(keyOf(data));
  return `${data.length} bytes`;
}

/** Root, two top-level domains, and what is below them. */
export function smallInternet(seed = 1): Internet {
  const internet = new Internet(seed);
  internet.serve("198.51.100.1", ".", [
    ...["@ NS a.root.", "a.root A 198.51.100.1"],
    ...["org NS ns.org.", "ns.org A 198.51.100.2", "com NS ns.com.", "ns.com A 198.51.100.3"],
  ]);
  internet.serve("198.51.100.2", "org", [
    ...["@ NS ns.org.", "ns A 198.51.100.2"],
    ...["example NS ns1.example", "example NS ns2.example"],
    ...["ns1.example A 198.51.100.11", "ns2.example A 198.51.100.12"],
    ...["other NS ns1.host.com.", "glueless NS ns.other"],
  ]);
  internet.serve("198.51.100.3", "com", [
    ...["@ NS ns.com.", "ns A 198.51.100.3", "host NS ns1.host", "ns1.host A 198.51.100.21"],
  ]);
  const example = [
    ...["@ NS ns1", "@ NS ns2", "ns1 A 198.51.100.11", "ns2 A 198.51.100.12"],
    ...["www A 192.0.2.1", "alias CNAME www", "away CNAME www.other.org.", "@ MX 10 mail", "mail A 192.0.2.2"],
    ...[
      "*.wild TXT wild",
      "a.b.c.d.e.f A 192.0.2.3",
      "old DNAME new.other.org.",
      "loop CNAME loop2",
      "loop2 CNAME loop",
    ],
  ];
  internet.serve("198.51.100.11", "example.org", example);
  internet.serve("198.51.100.12", "example.org", example, 30);
  internet.serve("198.51.100.21", "host.com", ["@ NS ns1", "ns1 A 198.51.100.21"]);
  internet.serve("198.51.100.21", "other.org", [
    ...["@ NS ns1.host.com.", "www A 192.0.2.7", "x.new A 192.0.2.8", "ns A 198.51.100.21"],
  ]);
  internet.serve("198.51.100.21", "glueless.org", ["@ NS ns.other.org.", "www A 192.0.2.9"]);
  return internet;
}
