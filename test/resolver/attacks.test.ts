import { nameFromText } from "@tesserae/dns/name-bytes";
import type { WireMessage } from "@tesserae/dns/wire-message";
import type { WireRecord } from "@tesserae/dns/wire-record";
import { describe, expect, test } from "vitest";
import { Internet, message, shown, smallInternet, types } from "./internet.ts";

const a = (owner: string, last: number): WireRecord => {
  return { owner: nameFromText(owner), type: types.A, class: 1, ttl: 300, data: Uint8Array.of(203, 0, 113, last) };
};
const ns = (owner: string, server: string): WireRecord => {
  return { owner: nameFromText(owner), type: types.NS, class: 1, ttl: 300, data: nameFromText(server) };
};

describe("forged answers", () => {
  const forged = (query: WireMessage, name?: Uint8Array): Uint8Array =>
    message(query, { answers: [a("www.example.org", 66)], ...(name === undefined ? {} : { name }) });

  test("RFC 5452: another number, another name or another case is no answer", async () => {
    const internet = smallInternet();
    for (const server of ["198.51.100.11", "198.51.100.12"]) {
      internet.twist(server, (query, _, right) => [
        ...Array.from({ length: 10 }, (__, at) => forged({ ...query, id: (query.id + 1 + at) & 0xffff })),
        forged(query, nameFromText("www.example.net")),
        // The chance that all letters have the right case by chance is 2 to the minus 13.
        forged(query, nameFromText("WWW.EXAMPLE.ORG")),
        right(),
      ]);
    }
    const resolver = internet.resolver();
    expect(shown(await internet.run(resolver.resolve("www.example.org", types.A)))).toContain(
      "www.example.org. A 192.0.2.1",
    );
    expect(resolver.statistics.mismatches).toBeGreaterThan(11);
  });

  test("who guesses on and on only makes it ask over TCP", async () => {
    const internet = smallInternet();
    for (const server of ["198.51.100.11", "198.51.100.12"]) {
      internet.twist(server, (query, overTcp, right) =>
        overTcp
          ? [right()]
          : Array.from({ length: 100 }, (_, at) => forged({ ...query, id: (query.id + 1 + at) & 0xffff })),
      );
    }
    expect(shown(await internet.run(internet.resolver().resolve("www.example.org", types.A)))).toContain(
      "www.example.org. A 192.0.2.1",
    );
    expect(internet.take().at(-1)).toMatch(/tcp$/);
  });

  test("servers that change the case of names are asked over TCP", async () => {
    const internet = smallInternet();
    for (const server of ["198.51.100.11", "198.51.100.12"]) {
      internet.twist(server, (query, _, right) => {
        const answer = right();
        answer.set(nameFromText(`www.example.org`), 12);
        return query.questions[0]!.name.length === 17 ? [answer] : [right()];
      });
    }
    expect((await internet.run(internet.resolver().resolve("www.example.org", types.A))).rcode).toBe(0);
    expect(internet.take().at(-1)).toMatch(/tcp$/);
  });

  test("RFC 7873: with a cookie known, what comes without it is no answer", async () => {
    const internet = smallInternet();
    const cookies: number[] = [];
    let isForged = false;
    for (const server of ["198.51.100.11", "198.51.100.12"]) {
      internet.twist(server, (query, _, right) => {
        const cookie = query.edns!.options.find(({ code }) => code === 10)!.bytes;
        cookies.push(cookie.length);
        const answer = right();
        // An OPT record with the client's cookie and eight bytes of ours.
        const opt = [
          0,
          0,
          41,
          4,
          208,
          0,
          0,
          0,
          0,
          0,
          20,
          0,
          10,
          0,
          16,
          ...cookie.subarray(0, 8),
          1,
          2,
          3,
          4,
          5,
          6,
          7,
          8,
        ];
        const whole = Uint8Array.from([...answer, ...opt]);
        whole[11] = 1;
        return isForged ? [forged(query), whole] : [whole];
      });
    }
    const resolver = internet.resolver();
    for (const name of ["mail", "alias", "ns1", "ns2", "old"]) {
      await internet.run(resolver.resolve(`${name}.example.org`, types.A));
    }
    isForged = true;
    expect(shown(await internet.run(resolver.resolve("www.example.org", types.A)))).toContain(
      "www.example.org. A 192.0.2.1",
    );
    expect(cookies).toContain(16);
  });
});

describe("servers that say more than they can know", () => {
  test("bailiwick: records of other zones are not believed, wherever they stand", async () => {
    const internet = smallInternet();
    for (const server of ["198.51.100.11", "198.51.100.12"]) {
      internet.twist(server, (query) => [
        message(query, {
          answers: [a("www.example.org", 1), a("www.other.org", 66), ns("org", "evil.example.org")],
          authorities: [ns("org", "evil.example.org"), ns("other.org", "evil.example.org")],
          additionals: [a("evil.example.org", 66), a("ns1.host.com", 66), a("ns.org", 66)],
        }),
      ]);
    }
    const resolver = internet.resolver();
    await internet.run(resolver.resolve("www.example.org", types.A));
    expect(shown(await internet.run(resolver.resolve("www.other.org", types.A)))).toEqual([
      "NOERROR",
      "www.other.org. A 192.0.2.7",
    ]);
    expect(internet.take().some((asked) => asked.startsWith("203.0.113"))).toBe(false);
  });

  test("referrals up, sideways, or to the zone itself lead nowhere", async () => {
    for (const to of [".", "org", "example.org", "other.org"]) {
      const internet = smallInternet();
      for (const server of ["198.51.100.11", "198.51.100.12"]) {
        internet.twist(server, (query) => [
          message(query, { aa: false, authorities: [ns(to, "ns.evil.org")], additionals: [a("ns.evil.org", 66)] }),
        ]);
      }
      expect((await internet.run(internet.resolver().resolve("www.example.org", types.A))).rcode).toBe(2);
      expect(internet.take().length).toBeLessThan(20);
    }
  });

  test("ghost domains: a zone cannot prolong its own delegation", async () => {
    const internet = smallInternet();
    const resolver = internet.resolver();
    await internet.run(resolver.resolve("www.example.org", types.A));
    internet.serve("198.51.100.2", "org", ["@ NS ns.org.", "ns A 198.51.100.2"]);
    for (let minute = 0; minute < 6; minute++) {
      internet.pass(61_000);
      await internet.run(resolver.resolve("example.org", types.NS));
    }
    expect((await internet.run(resolver.resolve("new.example.org", types.A))).rcode).toBe(3);
  });
});

describe("what makes others do a lot of work", () => {
  test("NXNSAttack: a referral to a hundred servers without addresses costs the victim a few questions", async () => {
    const internet = smallInternet();
    const servers = Array.from({ length: 100 }, (_, at) => `evil NS x${at}.victim.com.`);
    internet.serve("198.51.100.2", "org", ["@ NS ns.org.", "ns A 198.51.100.2", ...servers]);
    internet.serve("198.51.100.3", "com", [
      "@ NS ns.com.",
      "ns A 198.51.100.3",
      "victim NS ns.victim",
      "ns.victim A 198.51.100.31",
    ]);
    internet.serve("198.51.100.31", "victim.com", ["@ NS ns", "ns A 198.51.100.31"]);
    expect((await internet.run(internet.resolver().resolve("a.evil.org", types.A))).rcode).toBe(2);
    const toVictim = internet.take().filter((asked) => asked.startsWith("198.51.100.31"));
    expect(toVictim.length).toBeGreaterThan(0);
    expect(toVictim.length).toBeLessThan(10);
  });

  test("TsuNAME: delegations that go in a circle end, quickly", async () => {
    const internet = smallInternet();
    internet.serve("198.51.100.2", "org", [
      ...["@ NS ns.org.", "ns A 198.51.100.2", "one NS ns.two", "two NS ns.one"],
      ...["self NS ns.self", "far NS ns.circle.com."],
    ]);
    internet.serve("198.51.100.3", "com", ["@ NS ns.com.", "ns A 198.51.100.3", "circle NS ns.far.org."]);
    for (const name of ["www.one.org", "www.two.org", "www.self.org", "www.far.org"]) {
      const resolver = internet.resolver();
      const start = internet.clock.now();
      expect((await internet.run(resolver.resolve(name, types.A))).rcode).toBe(2);
      expect(internet.clock.now() - start).toBeLessThan(3000);
      expect(internet.take().length).toBeLessThan(20);
    }
  });

  test("chains of aliases across zones end", async () => {
    const internet = smallInternet();
    const chain = Array.from({ length: 60 }, (_, at) => `c${at} CNAME c${at + 1}`);
    for (const server of ["198.51.100.11", "198.51.100.12"]) {
      internet.serve(server, "example.org", [...chain, "self CNAME self", "d DNAME d.d"]);
    }
    const resolver = internet.resolver();
    for (const name of ["c0.example.org", "self.example.org", "x.d.example.org"]) {
      expect((await internet.run(resolver.resolve(name, types.A))).rcode).toBe(2);
    }
    expect(internet.take().length).toBeLessThan(60);
  });

  test("delegations without end: each below the one before", async () => {
    const internet = new Internet();
    const zone = (query: WireMessage): Uint8Array => {
      const full = query.questions[0]!.name;
      return message(query, {
        aa: false,
        authorities: [{ ...ns("x", "ns.x"), owner: full }],
        additionals: [a("ns.x", 1)],
      });
    };
    internet.twist("198.51.100.1", (query) => [zone(query)]);
    internet.twist("203.0.113.1", (query) => [zone(query)]);
    const name = `${"a.".repeat(120)}x`;
    const resolver = internet.resolver();
    expect((await internet.run(resolver.resolve(name, types.A))).rcode).toBe(2);
    expect(internet.take().length).toBeLessThanOrEqual(100);
  });

  test("a flood of names that do not exist does not push out what is asked for again", async () => {
    const internet = smallInternet();
    const resolver = internet.resolver({ limits: { cacheBytes: 60_000 } });
    for (let round = 0; round < 2; round++) await internet.run(resolver.resolve("www.example.org", types.A));
    for (let index = 0; index < 700; index++) {
      await internet.run(resolver.resolve(`n${index}.wild.example.org`, types.TXT));
    }
    expect(resolver.kept.bytes).toBeLessThanOrEqual(60_000);
    internet.take();
    await internet.run(resolver.resolve("www.example.org", types.A));
    expect(internet.take()).toEqual([]);
  });

  test("too many questions at once are turned away, below one zone that does not answer too", async () => {
    const internet = smallInternet();
    for (const server of ["198.51.100.11", "198.51.100.12"]) internet.twist(server, () => []);
    const resolver = internet.resolver({ limits: { inFlight: 400, perZone: 50 } });
    const flood = Array.from({ length: 500 }, (_, at) => resolver.resolve(`n${at}.example.org`, types.A));
    const other = resolver.resolve("www.other.org", types.A);
    const settled = await internet.run(Promise.all(flood));
    expect(settled.every(({ rcode }) => rcode === 2)).toBe(true);
    expect(resolver.statistics.turnedAway).toBeGreaterThan(99);
    await internet.run(other);
    // 50 questions at once, each tried a few times.
    expect(internet.take().length).toBeLessThan(1000);
    expect((await internet.run(resolver.resolve("www.other.org", types.A))).rcode).toBe(0);
  });
});
