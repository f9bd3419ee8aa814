import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import type { ResolveError } from "@tesserae/device/resolver";
import type { Datagram, UdpSocket } from "@tesserae/device/udp";
import { resolverSuite } from "@tesserae/conformance/resolver";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Skipped } from "@tesserae/conformance/suite";
import { createLink } from "@tesserae/netif/link";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { createHosts } from "@tesserae/tcpip/hosts";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { type DnsMessage, emitMessage, parseMessage } from "./message.ts";
import type { RecordData, ResourceRecord } from "./record.ts";
import { createStubResolver, type StubResolver, type StubResolverOptions } from "./stub-resolver.ts";
import { rcode, recordType } from "./wire.ts";

const serverAddress = IpAddress.parse("10.0.0.2");
const a = (text: string): RecordData => ({ type: "A", address: IpAddress.parse(text) });
const record = (name: string, data: RecordData, ttl = 60): ResourceRecord => ({ name, class: 1, ttl, data });
const soa = (minimum: number, ttl = 3600): ResourceRecord =>
  record(
    "test",
    {
      ...({ type: "SOA", primary: "ns.test", mailbox: "admin.test", serial: 1 } as const),
      ...{ refresh: 1, retry: 1, expire: 1, minimum },
    },
    ttl,
  );

/** What the server says to a question; several messages, or none. */
type Say = (question: DnsMessage, port: number) => Partial<DnsMessage> | Partial<DnsMessage>[] | undefined;

interface World {
  readonly resolver: StubResolver;
  readonly client: IpStack;
  readonly server: IpStack;
  /** Questions that came over UDP. */
  readonly asked: DnsMessage[];
  readonly ports: number[];
  readonly clock: VirtualClock;
  readonly run: <T>(promise: Promise<T>) => Promise<T>;
  readonly pass: (ms: number) => void;
}

function reply(question: DnsMessage, say: Partial<DnsMessage>): Uint8Array {
  const bytes = new Uint8Array(65_535);
  const { edns, ...rest } = question;
  const whole = { ...rest, response: true, recursionAvailable: true, ...(edns === undefined ? {} : { edns }), ...say };
  return bytes.slice(0, emitMessage(whole, bytes));
}

async function world(
  say: Say,
  options: Partial<StubResolverOptions> = {},
  overTcp: (flow: Flow, question: DnsMessage) => Promise<void> = async () => undefined,
): Promise<World> {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock, {
    onError: (error) => {
      throw error;
    },
  });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const run = <T>(promise: Promise<T>): Promise<T> => runVirtual({ clock, schedulers: [timers], turn }, promise);
  const link = createLink({ timers, delay: 1 });
  const make = (netif: typeof link.a, address: string, seed: number): Promise<IpStack> =>
    run(
      createStack({
        netif,
        timers,
        random: new SeededRandom(seed),
        ipv4: { kind: "static", address: Prefix.parse(address) },
      }),
    );
  const client = await make(link.a, "10.0.0.1/24", 1);
  const server = await make(link.b, "10.0.0.2/24", 2);
  const asked: DnsMessage[] = [];
  const ports: number[] = [];
  const handle = (socket: () => UdpSocket) => (datagram: Datagram) => {
    const { bytes, offset, length, source, sourcePort } = datagram;
    const parsed = parseMessage(bytes, offset, length);
    if (!parsed.ok) throw new Error(parsed.error.message);
    asked.push(parsed.value);
    ports.push(sourcePort);
    for (const each of [say(parsed.value, socket().local.port) ?? []].flat()) {
      const answer = reply(parsed.value, each);
      socket().send(answer, 0, answer.length, source, sourcePort);
    }
  };
  for (const port of [53, 54]) {
    const socket: UdpSocket = server.udp.open(
      { port },
      handle(() => socket),
    );
  }
  server.tcp.open({ port: 53 }, async (flow) => {
    const bytes = new Uint8Array(600);
    let got = 0;
    while (got < 2 || got < 2 + ((bytes[0]! << 8) | bytes[1]!)) got += await flow.read(bytes.subarray(got));
    const parsed = parseMessage(bytes, 2, got - 2);
    if (parsed.ok) await overTcp(flow, parsed.value);
    await flow.close();
  });
  const resolver = createStubResolver({
    udp: client.udp,
    tcp: client.tcp,
    timers,
    random: new SeededRandom(3),
    servers: [serverAddress],
    ...options,
  });
  const pass = (ms: number): void => {
    clock.advanceTo(clock.now() + ms);
    timers.run();
  };
  return { resolver, client, server, asked, ports, clock, run, pass };
}

const known: Say = ({ questions }) => {
  const [question] = questions;
  if (question!.name.toLowerCase() !== "known.test") return { rcode: rcode.nameError, authorities: [soa(60)] };
  if (question!.type !== recordType.A) return { authorities: [soa(60)] };
  return { answers: [record(question!.name, a("192.0.2.1"))] };
};

describe("the contract of Resolver", () => {
  for (const each of resolverSuite) {
    test(each.name, async (context) => {
      const { resolver, run } = await world(known);
      const subject = {
        resolver,
        known: { name: "known.test", address: IpAddress.parse("192.0.2.1") },
        missing: "missing.test",
      };
      try {
        await run(each.run(subject));
      } catch (error) {
        if (error instanceof Skipped) return context.skip(error.message);
        throw error;
      }
    });
  }
});

describe("questions", () => {
  test("RFC 5452 §9: each has a number and a source port of its own", async () => {
    const { resolver, run, asked, ports } = await world(known, { cacheSize: 0 });
    for (let round = 0; round < 20; round++) await run(resolver.query("known.test", recordType.A));
    expect(new Set(asked.map(({ id }) => id)).size).toBe(20);
    expect(new Set(ports).size).toBe(20);
    expect(asked[0]).toMatchObject({ recursionDesired: true, response: false, edns: { udpSize: 1232 } });
  });

  test("equal ones that wait at the same time are asked once, also when one of them gives up", async () => {
    const { resolver, run, asked } = await world(known);
    const controller = new AbortController();
    const first = resolver.query("known.test", recordType.A, controller.signal);
    const others = [resolver.query("KNOWN.test.", recordType.A), resolver.query("known.test", recordType.A)];
    controller.abort();
    await expect(first).rejects.toMatchObject({ kind: "aborted" });
    for (const each of await run(Promise.all(others))) expect(each.kind).toBe("answer");
    expect(asked.length).toBe(1);
  });

  test("there are no more than 256 at once", async () => {
    const { resolver, run } = await world(() => undefined, { timeout: 10, attempts: 1 });
    const all = Array.from({ length: 257 }, (_, index) =>
      resolver.query(`n${index}.test`, recordType.A).catch((error: unknown) => (error as ResolveError).kind),
    );
    expect((await run(Promise.all(all))).filter((kind) => kind === "refused").length).toBe(1);
  });

  test("localhost and .invalid are never asked for (RFC 6761), nor what the table of hosts knows", async () => {
    const { resolver, run, asked } = await world(known, { hosts: createHosts({ names: { own: "10.9.9.9" } }) });
    expect((await run(resolver.resolve("LocalHost"))).map(String)).toEqual(["127.0.0.1", "::1"]);
    expect((await run(resolver.resolve("a.localhost."))).map(String)).toEqual(["127.0.0.1", "::1"]);
    expect((await run(resolver.resolve("own"))).map(String)).toEqual(["10.9.9.9"]);
    await expect(run(resolver.resolve("x.invalid"))).rejects.toMatchObject({ kind: "not-found" });
    expect(asked).toEqual([]);
  });

  test("names with few dots get the suffixes first, others last, and a final dot is none", async () => {
    const names = async (name: string): Promise<string[]> => {
      const { resolver, run, asked } = await world(() => ({ rcode: rcode.nameError }), {
        search: ["one.test", "two.test"],
      });
      await expect(run(resolver.resolve(name))).rejects.toMatchObject({ kind: "not-found" });
      return asked.map(({ questions }) => questions[0]!.name);
    };
    expect(await names("host")).toEqual(["host.one.test", "host.two.test", "host"]);
    expect(await names("host.net")).toEqual(["host.net", "host.net.one.test", "host.net.two.test"]);
    expect(await names("host.")).toEqual(["host"]);
  });

  test("both families are asked for when both are wanted, in that order", async () => {
    const say: Say = ({ questions }) => ({
      answers: [
        record(
          "b.test",
          questions[0]!.type === recordType.A
            ? a("192.0.2.1")
            : { type: "AAAA", address: IpAddress.parse("2001:db8::1") },
        ),
      ],
    });
    const { resolver, run } = await world(say, { families: [6, 4] });
    expect((await run(resolver.resolve("b.test"))).map(String)).toEqual(["2001:db8::1", "192.0.2.1"]);
    // RFC 6724 §6: who knows our own addresses knows better.
    const order = (addresses: readonly IpAddress[]) => addresses.toReversed();
    const sorted = await world(say, { families: [6, 4], order });
    expect((await sorted.run(sorted.resolver.resolve("b.test"))).map(String)).toEqual(["192.0.2.1", "2001:db8::1"]);
  });
});

describe("RFC 8305 §3: the resolution delay", () => {
  const families = [6, 4] as const;
  const onlyA: Say = ({ questions }) =>
    questions[0]!.type === recordType.A ? { answers: [record("b.test", a("192.0.2.1"))] } : undefined;

  test("an answer for one family is waited for 50 ms at most, once the other is there", async () => {
    const { resolver, run, clock } = await world(onlyA, { families });
    const before = clock.now();
    expect((await run(resolver.resolve("b.test"))).map(String)).toEqual(["192.0.2.1"]);
    // A question and its answer with ARP, those of DNS, and the delay.
    expect(clock.now() - before).toBeLessThanOrEqual(60);
  });

  test("a family without addresses is no reason to hurry: the other one's answer is what counts", async () => {
    const say: Say = ({ questions }) =>
      questions[0]!.type === recordType.AAAA ? { answers: [] } : { answers: [record("b.test", a("192.0.2.1"))] };
    const { resolver, run } = await world(say, { families });
    expect((await run(resolver.resolve("b.test"))).map(String)).toEqual(["192.0.2.1"]);
  });

  test("what a host can reach is asked for anew each time", async () => {
    let mine: readonly (4 | 6)[] = [4];
    const { resolver, run, asked } = await world(onlyA, { families: () => mine });
    await run(resolver.resolve("b.test"));
    expect(asked.map(({ questions }) => questions[0]!.type)).toEqual([recordType.A]);
    mine = [6, 4];
    await run(resolver.resolve("c.test")).catch(() => undefined);
    expect(new Set(asked.map(({ questions }) => questions[0]!.type))).toEqual(new Set([recordType.A, recordType.AAAA]));
  });
});

describe("answers", () => {
  test("RFC 5452 §9.1: what does not fit the question is not heard", async () => {
    const say: Say = (question) => {
      const [asked] = question.questions;
      const lie = [record(asked!.name, a("203.0.113.66"))];
      return [
        { id: question.id ^ 1, answers: lie },
        { response: false, answers: lie },
        { questions: [{ ...asked!, name: "other.test" }], answers: lie },
        { questions: [{ ...asked!, type: recordType.MX }], answers: lie },
        { questions: [], answers: lie },
        { opcode: 4, answers: lie },
        { answers: [record(asked!.name, a("192.0.2.1"))] },
      ];
    };
    const { resolver, run } = await world(say);
    expect((await run(resolver.resolve("x.test"))).map(String)).toEqual(["192.0.2.1"]);
  });

  test.each(["port", "host"])("an answer from another %s is not heard", async (which) => {
    let forge: (question: DnsMessage) => void = () => undefined;
    const { resolver, run, client, server, ports } = await world((question) => (forge(question), undefined), {
      attempts: 1,
    });
    // Our own host may have port 53, too, but it is not the server that was asked.
    const forger =
      which === "port"
        ? server.udp.open({ port: 55 }, () => undefined)
        : client.udp.open({ port: 53 }, () => undefined);
    let forged = 0;
    forge = (question) => {
      const answer = reply(question, { answers: [record("x.test", a("203.0.113.66"))] });
      if (forger.send(answer, 0, answer.length, IpAddress.parse("10.0.0.1"), ports.at(-1)!)) forged++;
    };
    await expect(run(resolver.query("x.test", recordType.A))).rejects.toMatchObject({ kind: "timeout" });
    expect(forged).toBe(1);
  });

  test("chains of CNAME records are followed inside a response and beyond it", async () => {
    const say: Say = ({ questions }) => {
      const name = questions[0]!.name;
      if (name === "one.test") {
        return {
          answers: [
            record("TWO.test", { type: "CNAME", name: "three.test" }, 20),
            record("one.test", { type: "CNAME", name: "two.test" }, 30),
          ],
        };
      }
      return { answers: [record("three.test", a("192.0.2.3"), 600)] };
    };
    const { resolver, run, asked } = await world(say);
    const answer = await run(resolver.query("one.test", recordType.A));
    expect(answer).toMatchObject({ kind: "answer", name: "three.test", ttl: 20, records: [{ name: "three.test" }] });
    if (answer.kind === "answer") expect(answer.chain.map(({ name }) => name)).toEqual(["one.test", "TWO.test"]);
    expect(asked.map(({ questions }) => questions[0]!.name)).toEqual(["one.test", "three.test"]);
    expect((await run(resolver.query("one.test", recordType.CNAME))).kind).toBe("answer");
  });

  test("a circle of CNAME records ends", async () => {
    const circle: Say = () => ({
      answers: [
        record("a.test", { type: "CNAME", name: "b.test" }),
        record("b.test", { type: "CNAME", name: "a.test" }),
      ],
    });
    const inside = await world(circle);
    expect((await inside.run(inside.resolver.query("a.test", recordType.A))).kind).toBe("failed");
    const endless: Say = ({ questions }) => ({
      answers: [record(questions[0]!.name, { type: "CNAME", name: `x.${questions[0]!.name}` })],
    });
    const beyond = await world(endless);
    expect((await beyond.run(beyond.resolver.query("a.test", recordType.A))).kind).toBe("failed");
    expect(beyond.asked.length).toBe(16);
  });

  test("no name, no data and failure are told apart", async () => {
    const { resolver, run } = await world(({ questions }) => {
      if (questions[0]!.name === "fails.test") return { rcode: rcode.serverFailure };
      return known({ questions } as DnsMessage, 53);
    });
    expect((await run(resolver.query("known.test", recordType.MX))).kind).toBe("no-data");
    expect((await run(resolver.query("missing.test", recordType.A))).kind).toBe("no-name");
    expect(await run(resolver.query("fails.test", recordType.A))).toEqual({ kind: "failed", rcode: 2 });
    await expect(run(resolver.resolve("fails.test"))).rejects.toMatchObject({ kind: "refused" });
  });
});

describe("transport", () => {
  const big = Array.from({ length: 100 }, (_, index) => record("big.test", a(`192.0.2.${index}`)));

  test("RFC 7766: an answer that does not fit comes over TCP, in whatever pieces", async () => {
    const { resolver, run, asked } = await world(
      () => ({ truncated: true }),
      {},
      async (flow, question) => {
        const bytes = reply(question, { answers: big });
        const framed = Uint8Array.from([bytes.length >> 8, bytes.length & 255, ...bytes]);
        for (let at = 0; at < framed.length; at += 700) await flow.write(framed.slice(at, at + 700));
      },
    );
    expect((await run(resolver.resolve("big.test"))).length).toBe(100);
    expect(asked.length).toBe(1);
  });

  test.each<[string, (flow: Flow, question: DnsMessage) => Promise<void>]>([
    ["ends too early", async (flow) => flow.write(Uint8Array.of(1, 0, 7))],
    ["sends rubbish", async (flow) => flow.write(new Uint8Array(40).fill(9).fill(0, 0, 1).fill(38, 1, 2))],
    [
      "answers something else",
      async (flow, question) => {
        const bytes = reply(question, { id: question.id ^ 1 });
        await flow.write(Uint8Array.from([bytes.length >> 8, bytes.length & 255, ...bytes]));
      },
    ],
    ["says nothing", async (flow) => flow.read(new Uint8Array(1)).then(() => undefined)],
  ])("a server whose TCP %s counts as silent", async (_, overTcp) => {
    const { resolver, run } = await world(() => ({ truncated: true }), { attempts: 1 }, overTcp);
    await expect(run(resolver.query("x.test", recordType.A))).rejects.toMatchObject({ kind: "timeout" });
  });

  test("questions are asked again, with twice the time each round, and of each server", async () => {
    const { resolver, run, asked, clock } = await world(() => undefined, {
      servers: [serverAddress, { address: serverAddress, port: 54 }],
      timeout: 1000,
      attempts: 3,
    });
    const start = clock.now();
    await expect(run(resolver.query("x.test", recordType.A))).rejects.toMatchObject({
      kind: "timeout",
      host: "x.test",
    });
    expect(asked.length).toBe(6);
    expect(clock.now() - start).toBe(2 * (1000 + 2000 + 4000));
  });

  test("a server that fails is passed over for the next", async () => {
    const { resolver, run, asked } = await world(
      (question, port) => (port === 53 ? { rcode: rcode.refused } : known(question, port)),
      { servers: [serverAddress, { address: serverAddress, port: 54 }] },
    );
    expect((await run(resolver.resolve("known.test"))).map(String)).toEqual(["192.0.2.1"]);
    expect(asked.length).toBe(2);
  });

  test("RFC 6891 §7: a server that does not know EDNS is asked without it from then on", async () => {
    const say: Say = (question) => {
      if (question.edns === undefined) return known(question, 53);
      return { rcode: rcode.formatError, edns: undefined } as unknown as Partial<DnsMessage>;
    };
    const { resolver, run, asked } = await world(say, { cacheSize: 0 });
    await run(resolver.resolve("known.test"));
    await run(resolver.resolve("known.test"));
    expect(asked.map(({ edns }) => edns !== undefined)).toEqual([true, false, false]);
  });

  test("without a server nothing is asked", async () => {
    const { resolver, run } = await world(known, { servers: [] });
    await expect(run(resolver.resolve("known.test"))).rejects.toMatchObject({ kind: "refused" });
  });
});

describe("the cache", () => {
  test("answers are kept for their time, and grow old", async () => {
    const { resolver, run, asked, pass } = await world(known);
    await run(resolver.query("known.test", recordType.A));
    pass(20_000);
    expect(await run(resolver.query("KNOWN.test", recordType.A))).toMatchObject({ ttl: 40, records: [{ ttl: 40 }] });
    expect(asked.length).toBe(1);
    pass(40_000);
    await run(resolver.query("known.test", recordType.A));
    expect(asked.length).toBe(2);
  });

  test.each([
    [60, 3600, 60],
    [3600, 50, 50],
    [90_000, 90_000, 10_800],
  ])(
    "RFC 2308 §5: that there is nothing is kept, too: minimum %i, TTL %i, so %i seconds",
    async (minimum, ttl, kept) => {
      const { resolver, run, asked, pass } = await world(() => ({
        rcode: rcode.nameError,
        authorities: [soa(minimum, ttl)],
      }));
      expect(await run(resolver.query("no.test", recordType.A))).toEqual({ kind: "no-name", ttl: kept });
      pass(kept * 1000 - 500);
      await run(resolver.query("no.test", recordType.A));
      expect(asked.length).toBe(1);
      pass(1000);
      await run(resolver.query("no.test", recordType.A));
      expect(asked.length).toBe(2);
    },
  );

  test("failures, and negative answers without an SOA record, are not kept", async () => {
    for (const code of [rcode.serverFailure, rcode.nameError]) {
      const { resolver, run, asked } = await world(() => ({ rcode: code }));
      await run(resolver.query("x.test", recordType.A));
      await run(resolver.query("x.test", recordType.A));
      expect(asked.length).toBe(2);
    }
  });

  test("beyond its size the answer goes that was not used for the longest time", async () => {
    const { resolver, run, asked } = await world(
      ({ questions }) => ({ answers: [record(questions[0]!.name, a("192.0.2.1"))] }),
      { cacheSize: 2 },
    );
    const ask = (name: string) => run(resolver.query(name, recordType.A));
    for (const name of ["a.test", "b.test", "a.test", "c.test", "a.test"]) await ask(name);
    expect(asked.length).toBe(3);
    await ask("b.test");
    expect(asked.length).toBe(4);
  });
});

test("options out of range are named", async () => {
  const { client, resolver } = await world(known);
  const make = (options: Partial<StubResolverOptions>) => () =>
    createStubResolver({
      ...{ udp: client.udp, tcp: client.tcp, timers: new Scheduler(new VirtualClock()), random: new SeededRandom(1) },
      servers: [],
      ...options,
    });
  expect(make({ timeout: 0 })).toThrow("timeout");
  expect(make({ attempts: 11 })).toThrow("attempts");
  expect(make({ cacheSize: -1 })).toThrow("cacheSize");
  expect(make({ search: ["a..b"] })).toThrow("empty label");
  expect(make({ servers: new Array(9).fill(serverAddress) })).toThrow("servers");
  expect(resolver.withServers([IpAddress.parse("10.0.0.9")]).servers.map(({ port }) => port)).toEqual([53]);
});
