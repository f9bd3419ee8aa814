import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Tcp } from "@tesserae/device/tcp";
import type { Datagram, Udp } from "@tesserae/device/udp";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { nameFromText } from "../name-bytes.ts";
import { parseWireMessage, type WireMessage } from "../wire-message.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import { keyFromText } from "./name-key.ts";
import type { Recursive, Resolution } from "./recursive.ts";
import { createResolverService, type ResolverService, type ResolverServiceOptions } from "./service.ts";
import { messageFlag } from "../wire.ts";

const near = IpAddress.parse("192.168.1.7");
const far = IpAddress.parse("203.0.113.9");
const name = keyFromText("www.example.org");
const set = { name, type: 1, ttl: 60, data: [Uint8Array.of(192, 0, 2, 1)], signatures: [new Uint8Array(90)] };
const soa = { name: keyFromText("example.org"), type: 6, ttl: 60, data: [new Uint8Array(22)], signatures: [] };
const nsec = { name, type: 47, ttl: 60, data: [Uint8Array.of(0, 0, 1, 0x40)], signatures: [new Uint8Array(90)] };
const good: Resolution = { rcode: 0, security: "secure", answers: [{ set, ttl: 33 }], authorities: [] };

interface Ask {
  readonly type?: number;
  readonly flags?: number;
  readonly dnssecOk?: boolean;
  readonly edns?: boolean;
  readonly version?: number;
  readonly size?: number;
  readonly options?: readonly { readonly code: number; readonly bytes: Uint8Array }[];
}

function query({ type = 1, flags = 0x0100, dnssecOk = false, edns = true, version = 0, size, options = [] }: Ask = {}) {
  const data = new Uint8Array(700);
  const writer = new WireMessageWriter(data);
  writer.question({ name: nameFromText("WWW.example.org"), type, class: 1 });
  if (edns) writer.edns({ udpSize: size ?? 1232, version, dnssecOk, options }, 0);
  return data.slice(0, writer.finish(99, flags, 0));
}

interface Served {
  readonly service: ResolverService;
  readonly sent: WireMessage[];
  readonly raw: Uint8Array[];
  readonly send: (bytes: Uint8Array, from?: IpAddress) => Promise<void>;
  readonly ask: (ask?: Ask, from?: IpAddress) => Promise<WireMessage | undefined>;
}

async function serve(
  resolution: Resolution | Promise<Resolution>,
  options: Partial<ResolverServiceOptions> = {},
): Promise<Served> {
  const sent: WireMessage[] = [];
  const raw: Uint8Array[] = [];
  let hear: (datagram: Datagram) => void = () => undefined;
  const local = { address: IpAddress.any4, port: 53 };
  const udp: Udp = {
    bind: (_, handler) => {
      hear = handler;
      return Promise.resolve({
        local,
        send: (bytes, offset, length) => {
          raw.push(bytes.slice(offset, offset + length));
          const parsed = parseWireMessage(bytes, offset, length);
          if (!parsed.ok) throw new Error(parsed.error.message);
          sent.push(parsed.value);
          return true;
        },
        sendMany: () => 0,
        join: () => undefined,
        leave: () => undefined,
        close: () => Promise.resolve(),
      });
    },
  };
  const tcp: Tcp = {
    connect: () => Promise.reject(new Error("nobody is there")),
    listen: () => Promise.resolve({ local, close: () => Promise.resolve() }),
  };
  const resolver: Pick<Recursive, "resolve" | "known" | "flushes"> = {
    resolve: () => Promise.resolve(resolution),
    known: () => undefined,
    flushes: 0,
  };
  const timers = new Scheduler(new VirtualClock());
  const service = await createResolverService({
    // Nothing else is used.
    resolver: resolver as Recursive,
    ...{ udp, tcp, timers, random: new SeededRandom(1) },
    ...options,
  });
  const send = async (bytes: Uint8Array, source = near): Promise<void> => {
    hear({
      bytes,
      offset: 0,
      length: bytes.length,
      source,
      sourcePort: 4242,
      destination: local.address,
      interface: 0,
    });
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  const ask = async (asked: Ask = {}, from = near): Promise<WireMessage | undefined> => {
    const before = sent.length;
    await send(query(asked), from);
    return sent[before];
  };
  return { service, sent, raw, send, ask };
}

const has = (message: WireMessage | undefined, flag: number): boolean => ((message?.flags ?? 0) & flag) !== 0;

describe("what clients get", () => {
  test("the answer, with the question as they wrote it, and signatures for those who want them", async () => {
    const { ask } = await serve(good);
    const plain = await ask();
    expect(plain!.id).toBe(99);
    expect(plain!.questions[0]!.name).toEqual(nameFromText("WWW.example.org"));
    expect(plain!.answers.map(({ type, ttl }) => [type, ttl])).toEqual([[1, 33]]);
    expect(plain!.answers[0]!.owner).toEqual(nameFromText("WWW.example.org"));
    expect([has(plain, messageFlag.recursionAvailable), has(plain, messageFlag.authenticData)]).toEqual([true, false]);
    const signed = await ask({ dnssecOk: true });
    expect(signed!.answers.map(({ type }) => type)).toEqual([1, 46]);
    expect(has(signed, messageFlag.authenticData)).toBe(true);
    // RFC 6840 §5.7.
    expect(has(await ask({ flags: 0x0120 }), messageFlag.authenticData)).toBe(true);
    expect((await ask({ edns: false }))!.edns).toBeUndefined();
  });

  test("RFC 4035 §3.2: what is bogus only with CD; then without AD", async () => {
    const { ask } = await serve({ ...good, security: "bogus", failure: { code: 7, text: "expired" } });
    const refused = await ask({ dnssecOk: true });
    expect([refused!.rcode, refused!.answers.length]).toEqual([2, 0]);
    expect([...refused!.edns!.options[0]!.bytes.subarray(0, 2)]).toEqual([0, 7]);
    const given = await ask({ dnssecOk: true, flags: 0x0110 });
    expect([given!.rcode, given!.answers.length, has(given, messageFlag.authenticData)]).toEqual([0, 2, false]);
    expect(has(given, messageFlag.checkingDisabled)).toBe(true);
  });

  test("the proof that there is nothing only with DO", async () => {
    const authorities = [soa, nsec].map((each) => ({ set: each, ttl: 9 }));
    const { ask } = await serve({ ...good, rcode: 3, answers: [], authorities });
    expect((await ask())!.authorities.map(({ type }) => type)).toEqual([6]);
    expect((await ask({ dnssecOk: true }))!.authorities.map(({ type }) => type)).toEqual([6, 47, 46]);
  });

  test("what does not fit is cut, and not above 1232 bytes whatever the client says", async () => {
    const data = Array.from({ length: 90 }, (_, at) => Uint8Array.of(192, 0, 2, at));
    const { ask, raw, service } = await serve({ ...good, answers: [{ set: { ...set, data }, ttl: 5 }] });
    for (const size of [512, 4096]) {
      const cut = await ask({ size });
      expect([has(cut, messageFlag.truncated), cut!.answers.length]).toEqual([true, 0]);
      expect(raw.at(-1)!.length).toBeLessThan(513);
    }
    const whole = parseWireMessage(await service.exchange(query(), "tcp", near));
    expect(whole.ok && whole.value.answers.length).toBe(90);
  });

  test("RFC 7873: cookies come back; RFC 8467: over TLS answers are padded", async () => {
    const { ask, service } = await serve(good);
    const options = [{ code: 10, bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }];
    const cookie = (await ask({ options }))!.edns!.options.find(({ code }) => code === 10)!.bytes;
    expect([cookie.length, ...cookie.subarray(0, 8)]).toEqual([24, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect((await service.exchange(query(), "tls", near)).length % 468).toBe(0);
  });
});

describe("what clients do not get", () => {
  test("RFC 5358: strangers are refused, unless they are allowed", async () => {
    const { ask } = await serve(good);
    expect((await ask({}, far))!.rcode).toBe(5);
    const open = await serve(good, { allow: [Prefix.parse("203.0.113.0/24")] });
    expect((await open.ask({}, far))!.rcode).toBe(0);
    expect((await open.ask({}, near))!.rcode).toBe(5);
  });

  test("strangers who are allowed get so many answers a second over UDP, then short ones, or none", async () => {
    const allow = [Prefix.parse("0.0.0.0/0")];
    const { ask, sent, service } = await serve(good, { allow, rateLimit: { perSecond: 10 } });
    for (let round = 0; round < 100; round++) await ask({}, far);
    expect(sent.length).toBeLessThan(80);
    expect(sent.filter(({ answers }) => answers.length > 0).length).toBeLessThan(25);
    expect(service.statistics().limited).toBeGreaterThan(70);
    for (let round = 0; round < 100; round++) expect((await ask())!.answers).toHaveLength(1);
  });

  test("what makes no sense is refused by name: operation, version, class, types of messages, no RD", async () => {
    const { ask, send, sent } = await serve(good);
    expect((await ask({ flags: 0x2900 }))!.rcode).toBe(4);
    expect((await ask({ version: 1 }))!.rcode).toBe(16);
    expect((await ask({ type: 252 }))!.rcode).toBe(4);
    expect((await ask({ type: 46 }))!.rcode).toBe(5);
    expect((await ask({ flags: 0 }))!.rcode).toBe(5);
    await send(query().subarray(0, 20));
    expect(sent.at(-1)!.rcode).toBe(1);
    const before = sent.length;
    await send(query({ flags: 0x8100 }));
    await send(new Uint8Array(5));
    expect(sent).toHaveLength(before);
  });

  test("who has too many questions waiting is not heard for a while", async () => {
    let answer: (resolution: Resolution) => void = () => undefined;
    const later = new Promise<Resolution>((resolve) => (answer = resolve));
    const { send, sent, service } = await serve(later, { questionsPerClient: 3 });
    for (let round = 0; round < 5; round++) await send(query());
    await send(query(), IpAddress.parse("192.168.1.8"));
    expect(service.statistics().dropped).toBe(2);
    answer(good);
    await send(new Uint8Array(5));
    await send(query());
    expect(sent).toHaveLength(5);
  });
});

describe("answers that are remembered", () => {
  /** A resolver that knows everything, and says how often it was asked. */
  async function knowing(resolution: Resolution = good, options: Partial<ResolverServiceOptions> = {}) {
    const clock = new VirtualClock();
    const resolver = {
      asked: 0,
      flushes: 0,
      known: () => {
        resolver.asked++;
        return resolution;
      },
    };
    const timers = new Scheduler(clock);
    // Only these are called.
    const as = { resolver: resolver as unknown as Recursive, timers };
    return { resolver, clock, ...(await serve(resolution, { ...as, ...options })) };
  }

  test("from the second time on, under each query's number, until the second is over", async () => {
    const { ask, raw, resolver, clock, service, send } = await knowing();
    for (let times = 0; times < 5; times++) await ask();
    expect(resolver.asked).toBe(2);
    const other = query();
    other.set([0x12, 0x34]);
    await send(other);
    expect(raw.at(-1)).toEqual(Uint8Array.of(0x12, 0x34, ...raw[0]!.subarray(2)));
    expect([resolver.asked, service.statistics().memoised]).toEqual([2, 4]);
    clock.advanceTo(clock.now() + 1000);
    await ask();
    expect(resolver.asked).toBe(3);
    resolver.flushes++;
    await ask();
    expect(resolver.asked).toBe(4);
  });

  test("not for another query, nor when anything lasts no longer than a second, nor failures", async () => {
    const { ask, resolver } = await knowing();
    for (const dnssecOk of [false, false, false, true]) await ask({ dnssecOk });
    expect(resolver.asked).toBe(3);
    const never: readonly Resolution[] = [
      { ...good, answers: [{ set, ttl: 1 }] },
      { ...good, authorities: [{ set: soa, ttl: 1 }] },
      { ...good, answers: [], rcode: 2 },
    ];
    for (const resolution of never) {
      const { ask: again, resolver: own } = await knowing(resolution);
      for (let times = 0; times < 4; times++) await again();
      expect(own.asked).toBe(4);
    }
  });

  test("not with a client's cookie in them", async () => {
    const { ask, resolver } = await knowing();
    const options = [{ code: 10, bytes: new Uint8Array(8) }];
    for (let times = 0; times < 4; times++) await ask({ options });
    expect(resolver.asked).toBe(4);
  });

  test("not for who is not served, and not cut short by the limit of the rate", async () => {
    const { ask, resolver } = await knowing();
    for (let times = 0; times < 3; times++) await ask();
    expect((await ask({}, far))!.rcode).toBe(5);
    const allow = [Prefix.parse("0.0.0.0/0")];
    const limited = await knowing(good, { allow, rateLimit: { perSecond: 1, slip: 1 } });
    for (let times = 0; times < 3; times++) await limited.ask();
    const cut = await Promise.all(Array.from({ length: 20 }, () => limited.ask({}, far)));
    expect(cut.some((message) => has(message, messageFlag.truncated))).toBe(true);
    expect((await limited.ask())!.answers).toHaveLength(1);
    expect([resolver.asked, limited.resolver.asked]).toEqual([2, 2]);
  });
});
