import { IpAddress, Prefix } from "@tesserae/device/address";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Route, RouteTable } from "./route.ts";

const ip = (text: string): number => IpAddress.parse(text).w3;
const route = (prefix: string, gateway?: string): Route =>
  gateway === undefined
    ? { prefix: Prefix.parse(prefix) }
    : { prefix: Prefix.parse(prefix), gateway: IpAddress.parse(gateway) };

function nextHop(table: RouteTable, destination: number): number {
  const place = table.find(destination);
  return place < 0 ? 0 : table.nextHopAt(place, destination);
}

test("the most specific route wins, in whatever order they are given", () => {
  const table = new RouteTable();
  const routes = [
    route("0.0.0.0/0", "10.0.0.1"),
    route("10.0.0.7/24"),
    route("192.0.2.0/24", "10.0.0.2"),
    route("192.0.2.128/25", "10.0.0.3"),
    route("192.0.2.200/32", "10.0.0.4"),
  ];
  for (const order of [routes, routes.toReversed()]) {
    expect(table.set(1, order)).toBe(0);
    expect(nextHop(table, ip("10.0.0.99"))).toBe(ip("10.0.0.99"));
    expect(nextHop(table, ip("192.0.2.1"))).toBe(ip("10.0.0.2"));
    expect(nextHop(table, ip("192.0.2.129"))).toBe(ip("10.0.0.3"));
    expect(nextHop(table, ip("192.0.2.200"))).toBe(ip("10.0.0.4"));
    expect(nextHop(table, ip("203.0.113.1"))).toBe(ip("10.0.0.1"));
  }
});

test("without a default route there is no way to strangers", () => {
  const table = new RouteTable();
  expect(nextHop(table, ip("10.0.0.1"))).toBe(0);
  table.set(1, [route("10.0.0.7/24")]);
  expect(nextHop(table, ip("10.0.1.1"))).toBe(0);
});

test("agrees with a search through all prefixes", () => {
  const prefix = fc.tuple(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 32 }));
  fc.assert(
    fc.property(
      fc.array(prefix, { maxLength: 20 }),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      (all, target) => {
        const routes = all.map(([word, length], index) => ({
          prefix: new Prefix(IpAddress.v4(word), length),
          gateway: IpAddress.v4(index + 1),
        }));
        const table = new RouteTable();
        table.set(1, routes);
        const matching = routes.filter((each) => each.prefix.contains(IpAddress.v4(target)));
        const best = Math.max(...matching.map((each) => each.prefix.length));
        const allowed = matching.filter((each) => each.prefix.length === best).map((each) => each.gateway.w3);
        if (allowed.length === 0) expect(nextHop(table, target)).toBe(0);
        else expect(allowed).toContain(nextHop(table, target));
      },
    ),
  );
});

test("a flood of routes is cut at 64, the least specific first", () => {
  const table = new RouteTable();
  const many = Array.from({ length: 100 }, (_, index) => route(`192.0.2.${index}/32`, "10.0.0.1"));
  expect(table.set(1, [route("0.0.0.0/0", "10.0.0.9"), ...many])).toBe(37);
  expect(nextHop(table, ip("203.0.113.1"))).toBe(0);
});

test("of equal routes the lower interface's is taken, unless another is asked for", () => {
  const table = new RouteTable();
  table.set(2, [route("0.0.0.0/0", "10.2.0.1"), route("192.0.2.0/24", "10.2.0.2")]);
  table.set(1, [route("0.0.0.0/0", "10.1.0.1")]);
  const hop = (target: string, index?: number): string => {
    const place = table.find(ip(target), index);
    if (place < 0) return "none";
    return `${IpAddress.v4(table.nextHopAt(place, ip(target))).toString()} by ${table.interfaceAt(place)}`;
  };
  expect(hop("203.0.113.1")).toBe("10.1.0.1 by 1");
  expect(hop("203.0.113.1", 2)).toBe("10.2.0.1 by 2");
  expect(hop("192.0.2.1")).toBe("10.2.0.2 by 2");
  expect(hop("192.0.2.1", 1)).toBe("10.1.0.1 by 1");
  // The answers are remembered, and forgotten when routes change.
  table.set(1, []);
  expect(hop("203.0.113.1")).toBe("10.2.0.1 by 2");
  expect(hop("203.0.113.1", 1)).toBe("none");
});
