import { IpAddress } from "@tesserae/device/address";
import { describe, expect, test } from "vitest";
import { Internet, message, shown, smallInternet, types } from "./internet.ts";

describe("from the root down", () => {
  test("RFC 9156: each zone's servers see no more of the name than they need, and delegations are kept", async () => {
    const internet = smallInternet();
    const resolver = internet.resolver();
    expect(shown(await internet.run(resolver.resolve("www.example.org", types.A)))).toEqual([
      "NOERROR",
      "www.example.org. A 192.0.2.1",
    ]);
    const asked = internet.take();
    expect(asked.slice(0, 3)).toEqual(["198.51.100.1 . NS", "198.51.100.1 org. A", "198.51.100.2 example.org. A"]);
    expect(asked[3]).toMatch(/^198\.51\.100\.1[12] www\.example\.org\. A$/);
    expect(asked).toHaveLength(4);
    await internet.run(resolver.resolve("www.example.org", types.A));
    expect(internet.take()).toEqual([]);
    expect(shown(await internet.run(resolver.resolve("mail.example.org", types.A)))).toContain(
      "mail.example.org. A 192.0.2.2",
    );
    expect(internet.take()).toHaveLength(1);
  });

  test("names without end: a few queries with parts of the name, then the whole", async () => {
    const internet = smallInternet();
    const found = await internet.run(internet.resolver().resolve("a.b.c.d.e.f.example.org", types.A));
    expect(shown(found)).toContain("a.b.c.d.e.f.example.org. A 192.0.2.3");
    const long = `${"x.".repeat(100)}example.org`;
    internet.take();
    expect(shown(await internet.run(internet.resolver().resolve(long, types.A)))).toEqual(["NXDOMAIN"]);
    expect(internet.take().length).toBeLessThan(16);
  });

  test("CNAME and DNAME records are followed, to other zones too", async () => {
    const internet = smallInternet();
    const resolver = internet.resolver();
    const ask = async (name: string, type = types.A) => shown(await internet.run(resolver.resolve(name, type)));
    expect(await ask("alias.example.org")).toEqual([
      "NOERROR",
      "alias.example.org. CNAME www.example.org.",
      "www.example.org. A 192.0.2.1",
    ]);
    expect(await ask("away.example.org")).toContain("www.other.org. A 192.0.2.7");
    const through = [
      "NOERROR",
      "old.example.org. DNAME new.other.org.",
      "x.old.example.org. CNAME x.new.other.org.",
      "x.new.other.org. A 192.0.2.8",
    ];
    expect(await ask("x.old.example.org")).toEqual(through);
    internet.take();
    // RFC 6672 §3.3: what is below the same DNAME record needs no question about it again.
    expect(await ask("y.old.example.org")).toContain("y.old.example.org. CNAME y.new.other.org.");
    expect(internet.take().every((asked) => asked.includes("other.org."))).toBe(true);
    expect(await ask("loop.example.org")).toContain("SERVFAIL");
  });

  test("RFC 2308: that there is nothing is kept, by type and for the name", async () => {
    const internet = smallInternet();
    const resolver = internet.resolver();
    const none = await internet.run(resolver.resolve("www.example.org", types.MX));
    expect([none.rcode, none.answers.length, none.authorities.length]).toEqual([0, 0, 1]);
    expect((await internet.run(resolver.resolve("no.example.org", types.A))).rcode).toBe(3);
    internet.take();
    expect((await internet.run(resolver.resolve("no.example.org", types.TXT))).rcode).toBe(3);
    await internet.run(resolver.resolve("www.example.org", types.MX));
    expect(internet.take()).toEqual([]);
    internet.pass(61_000);
    await internet.run(resolver.resolve("no.example.org", types.TXT));
    expect(internet.take()).toHaveLength(1);
  });

  test("wildcards, and servers whose addresses have to be looked for", async () => {
    const internet = smallInternet();
    const resolver = internet.resolver();
    expect(shown(await internet.run(resolver.resolve("any.wild.example.org", types.TXT)))).toContain(
      "any.wild.example.org. TXT wild",
    );
    expect(shown(await internet.run(resolver.resolve("www.glueless.org", types.A)))).toContain(
      "www.glueless.org. A 192.0.2.9",
    );
  });

  test("many who ask the same at once are one", async () => {
    const internet = smallInternet();
    const resolver = internet.resolver();
    const all = Array.from({ length: 100 }, () => resolver.resolve("www.example.org", types.A));
    await internet.run(Promise.all(all));
    expect(internet.take()).toHaveLength(4);
  });
});

describe("servers", () => {
  test("with 30 % of the datagrams lost, nearly everything is answered", async () => {
    const internet = smallInternet(7);
    internet.loss = 0.3;
    const resolver = internet.resolver();
    let good = 0;
    for (let round = 0; round < 40; round++) {
      resolver.flush(".");
      if ((await internet.run(resolver.resolve("www.example.org", types.A))).rcode === 0) good++;
    }
    expect(good).toBeGreaterThan(37);
  });

  test("who knows nothing of the zone, refuses or fails is passed over, and not asked for a while", async () => {
    const internet = smallInternet();
    const bad = [{ rcode: 5 }, { rcode: 2 }, { aa: false }];
    for (const say of bad) {
      const resolver = internet.resolver();
      internet.twist("198.51.100.11", (query) => [message(query, say)]);
      for (const name of ["www", "mail", "alias", "ns1", "ns2"]) {
        const found = await internet.run(resolver.resolve(`${name}.example.org`, types.A));
        expect(found.rcode).toBe(0);
      }
      const toBad = internet.take().filter((asked) => asked.startsWith("198.51.100.11"));
      expect(toBad.length).toBeLessThan(say.rcode === 2 ? 6 : 2);
    }
  });

  test("the quicker one is asked mostly, a dead one seldom", async () => {
    const internet = smallInternet();
    internet.twist("198.51.100.11", () => []);
    const resolver = internet.resolver();
    for (let round = 0; round < 40; round++) {
      await internet.run(resolver.resolve(`n${round}.example.org`, types.A));
    }
    const toDead = internet.take().filter((asked) => asked.startsWith("198.51.100.11"));
    expect(toDead.length).toBeLessThan(8);
  });

  test("a server gets so many queries at once, and the others in turn", async () => {
    const internet = smallInternet();
    internet.serve("198.51.100.7", "far.example", ["* A 192.0.2.1"], 50);
    let open = 0;
    let most = 0;
    const resolver = internet.resolver({
      ...{ limits: { perServer: 2 }, stub: [{ zone: "far.example", servers: [IpAddress.parse("198.51.100.7")] }] },
      exchange: async (request) => {
        most = Math.max(most, ++open);
        const outcome = await internet.exchange(request);
        open--;
        return outcome;
      },
    });
    const names = Array.from({ length: 20 }, (_, at) => `n${at}.far.example`);
    const all = await internet.run(Promise.all(names.map((name) => resolver.resolve(name, types.A))));
    expect(all.map(({ rcode }) => rcode)).toEqual(names.map(() => 0));
    expect(most).toBe(2);
  });

  test("what does not fit comes over TCP", async () => {
    const internet = smallInternet();
    internet.serve(
      "198.51.100.11",
      "example.org",
      Array.from({ length: 100 }, (_, i) => `many A 192.0.2.${i}`),
    );
    internet.serve(
      "198.51.100.12",
      "example.org",
      Array.from({ length: 100 }, (_, i) => `many A 192.0.2.${i}`),
    );
    const found = await internet.run(internet.resolver().resolve("many.example.org", types.A));
    expect(found.answers[0]!.set.data).toHaveLength(100);
    expect(internet.take().at(-1)).toMatch(/tcp$/);
  });

  test("RFC 6891 §7: who does not know EDNS is asked without", async () => {
    const internet = smallInternet();
    for (const address of ["198.51.100.11", "198.51.100.12"]) {
      internet.twist(address, (query, _, right) => [
        query.edns === undefined ? right() : message({ ...query, questions: query.questions }, { rcode: 1 }),
      ]);
    }
    const resolver = internet.resolver();
    expect((await internet.run(resolver.resolve("www.example.org", types.A))).rcode).toBe(0);
    internet.take();
    await internet.run(resolver.resolve("mail.example.org", types.A));
    expect(internet.take().length).toBeLessThanOrEqual(2);
  });
});

describe("what else answers", () => {
  test("RFC 6761, RFC 6303: special names are answered here", async () => {
    const internet = smallInternet();
    const resolver = internet.resolver();
    const ask = async (name: string, type: number) => shown(await internet.run(resolver.resolve(name, type)));
    expect(await ask("localhost", types.A)).toEqual(["NOERROR", "localhost. A 127.0.0.1"]);
    expect(await ask("a.localhost", types.MX)).toEqual(["NOERROR"]);
    for (const name of [
      "x.invalid",
      "x.test",
      "x.onion",
      "x.local",
      "1.1.168.192.in-addr.arpa",
      "1.20.172.in-addr.arpa",
    ]) {
      expect(await ask(name, types.A)).toEqual(["NXDOMAIN"]);
    }
    expect(internet.take()).toEqual([]);
  });

  test("forwarders are asked to resolve, stub zones' servers are asked as if they were delegated to", async () => {
    const internet = smallInternet();
    const flags: number[] = [];
    internet.twist("198.51.100.99", (query) => {
      flags.push(query.flags & 0x0110);
      return [Uint8Array.from(message(query, { aa: false }), (byte, at) => (at === 3 ? byte | 0x80 : byte))];
    });
    internet.serve("198.51.100.98", "corp.test", ["www A 192.0.2.77"]);
    const resolver = internet.resolver({
      forward: [{ zone: "far.example", servers: [IpAddress.parse("198.51.100.99")] }],
      stub: [{ zone: "corp.test", servers: [IpAddress.parse("198.51.100.98")] }],
    });
    expect((await internet.run(resolver.resolve("a.b.far.example", types.A))).rcode).toBe(0);
    expect(flags).toEqual([0x0110]);
    expect(shown(await internet.run(resolver.resolve("www.corp.test", types.A)))).toContain(
      "www.corp.test. A 192.0.2.77",
    );
    expect(internet.take()).toEqual(["198.51.100.99 a.b.far.example. A", "198.51.100.98 www.corp.test. A"]);
  });

  test("RFC 8767: what has expired serves when nobody answers; what is about to expire is asked for again", async () => {
    const internet = smallInternet();
    const resolver = internet.resolver();
    await internet.run(resolver.resolve("www.example.org", types.A));
    internet.pass(280_000);
    internet.take();
    await internet.run(resolver.resolve("www.example.org", types.A));
    internet.pass(1000);
    expect(internet.take()).toHaveLength(1);
    expect(resolver.statistics.prefetches).toBe(1);
    internet.pass(600_000);
    for (const server of ["1", "2", "11", "12"]) internet.twist(`198.51.100.${server}`, () => []);
    const start = internet.clock.now();
    const stale = await internet.run(resolver.resolve("www.example.org", types.A));
    expect(internet.clock.now() - start).toBeLessThan(2000);
    expect(shown(stale)).toContain("www.example.org. A 192.0.2.1");
    expect([stale.failure?.code, stale.answers[0]!.ttl]).toEqual([3, 30]);
  });

  test("time is up: SERVFAIL with the reason, and not asked again at once (RFC 9520)", async () => {
    const internet = new Internet();
    const resolver = internet.resolver();
    const failed = await internet.run(resolver.resolve("www.example.org", types.A));
    expect([failed.rcode, failed.failure?.code]).toEqual([2, 22]);
    internet.take();
    expect((await internet.run(resolver.resolve("www.example.org", types.A))).rcode).toBe(2);
    expect(internet.take()).toEqual([]);
  });
});
