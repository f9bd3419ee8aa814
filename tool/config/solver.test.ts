import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Implementation } from "./implementation.ts";
import { solve, type Problem, type Wanted } from "./solver.ts";

function wanted(id: string, kind: string, more: Partial<Wanted> = {}): Wanted {
  return { id, kind, requires: [], with: {}, ...more };
}

function problem(implementations: readonly Implementation[], devices: readonly Wanted[], target = "sim"): Problem {
  return {
    target,
    targets: ["node", "tap", "sim"],
    wanted: devices,
    implementations,
    versionOf: (each) => (each.module === "missing/x" ? undefined : (each.version ?? "1.0.0")),
  };
}

function chosen(given: Problem): readonly string[] | string {
  const solution = solve(given);
  return solution.ok
    ? solution.devices.map(({ id, implementation, needs }) => {
        const passed = Object.entries(needs).map(([parameter, to]) => `${parameter}=${to}`);
        return `${id}:${implementation.name}${passed.length > 0 ? `(${passed.join(",")})` : ""}`;
      })
    : `${solution.device}: ${solution.message}; ${solution.fixes.join("; ")}`;
}

const timers: Implementation = { name: "target", kind: "timers" };

describe("solve", () => {
  test("takes the first implementation that runs on the target, and makes what it needs, shared", () => {
    const implementations: Implementation[] = [
      timers,
      { name: "kernel", kind: "stack", targets: ["node"] },
      { name: "tcpip", kind: "stack", needs: { clock: "timers", netif: "netif" } },
      { name: "nic", kind: "netif", needs: { clock: "timers" } },
    ];
    expect(chosen(problem(implementations, [wanted("stack", "stack")], "node"))).toEqual(["stack:kernel"]);
    expect(chosen(problem(implementations, [wanted("net", "stack"), wanted("time", "timers")]))).toEqual([
      "time:target",
      "netif:nic(clock=time)",
      "net:tcpip(clock=time,netif=netif)",
    ]);
  });

  test("goes back on a choice whose needs cannot be met", () => {
    const implementations: Implementation[] = [
      { name: "fancy", kind: "kv", needs: { disk: { kind: "block", requires: ["persistent"] } } },
      { name: "plain", kind: "kv" },
      { name: "memory", kind: "block" },
    ];
    expect(chosen(problem(implementations, [wanted("data", "kv")]))).toEqual(["data:plain"]);
    expect(chosen(problem(implementations, [wanted("data", "kv", { implementation: "fancy" })]))).toBe(
      'data: nothing fits device "block" of kind "block", which "data" needs, on target sim: "memory" is not ' +
        'persistent, which "fancy" (device "data") needs; take another implementation than "fancy" for device "data"; ' +
        'take implementation: "fancy" out of device "data"',
    );
  });

  test("versions, capabilities, limits, conflicts and missing packages are explained with what would help", () => {
    const of = (
      implementations: readonly Implementation[],
      ...devices: readonly Wanted[]
    ): readonly string[] | string => chosen(problem(implementations, devices));
    const log: Implementation = { name: "console", kind: "log", version: "1.2.0" };
    expect(of([log], wanted("log", "log", { version: "^1.1" }))).toEqual(["log:console"]);
    expect(of([log], wanted("log", "log", { version: "^2" }))).toBe(
      'log: nothing fits device "log" on target sim: "console" is version 1.2.0, outside the range ^2; ' +
        'change version: "^2" of device "log"',
    );
    expect(of([{ ...log, module: "missing/x" }], wanted("log", "log"))).toBe(
      'log: nothing fits device "log" on target sim: "console" is in missing, which is not installed; ' +
        "run: npm install missing",
    );
    expect(of([{ ...log, limit: 1 }], wanted("a", "log"), wanted("b", "log"))).toBe(
      'b: nothing fits device "b" on target sim: "console" can be there only once in an image; ' +
        'declare at most 1 of kind "log"',
    );
    expect(of([log, { name: "other", kind: "x", conflicts: ["console"] }], wanted("a", "log"), wanted("b", "x"))).toBe(
      'b: nothing fits device "b" on target sim: "other" cannot be in one image with "console" (device "a"); ' +
        'take another implementation for device "a" or for device "b"',
    );
    expect(of([log], wanted("a", "lgo"))).toBe(
      'a: nothing implements kind "lgo" (did you mean "log"?); add an implementation of kind "lgo" to implementations',
    );
  });

  test("a target that does not fit is explained with those that do", () => {
    const implementations: Implementation[] = [
      { name: "memory", kind: "block" },
      { name: "file", kind: "block", targets: ["node", "tap"], provides: ["persistent"] },
    ];
    expect(chosen(problem(implementations, [wanted("disk", "block", { requires: ["persistent"] })]))).toBe(
      'disk: nothing fits device "disk" on target sim: "memory" is not persistent, and "file" runs on node and tap ' +
        'only; take "persistent" out of requires of device "disk"; build for --target node or --target tap',
    );
  });

  test("which of several devices is passed has to be said", () => {
    const implementations: Implementation[] = [
      { name: "nic", kind: "netif" },
      { name: "tcpip", kind: "stack", needs: { netif: "netif" } },
    ];
    const nics = [wanted("inside", "netif"), wanted("outside", "netif")];
    expect(chosen(problem(implementations, [wanted("s", "stack"), ...nics]))).toContain(
      'needs one device of kind "netif" as netif, and there are "inside", "outside"; say which, as with: ' +
        '{ netif: "inside" } in device "s"',
    );
    const said = wanted("s", "stack", { with: { netif: "outside" } });
    expect(chosen(problem(implementations, [said, ...nics]))).toContain("s:tcpip(netif=outside)");
    expect(chosen(problem(implementations, [wanted("s", "stack", { with: { netif: "outsid" } }), ...nics]))).toContain(
      '(did you mean "outside"?)',
    );
  });

  test("a wrapper is taken for a declared device only, and never wraps itself", () => {
    const implementations: Implementation[] = [
      { name: "faulty", kind: "netif", needs: { inner: "netif" } },
      { name: "nic", kind: "netif" },
    ];
    expect(chosen(problem(implementations, [wanted("net", "netif", { implementation: "faulty" })]))).toEqual([
      "netif:nic",
      "net:faulty(inner=netif)",
    ]);
    const self = wanted("net", "netif", { implementation: "faulty", with: { inner: "net" } });
    expect(solve(problem(implementations, [self])).ok).toBe(false);
  });

  test("finds a solution exactly when there is one, and what it finds is one", () => {
    const kinds = ["a", "b", "c"];
    const kind = fc.constantFrom(...kinds);
    const implementation = fc.record({
      kind,
      needs: fc.dictionary(fc.constantFrom("p", "q"), fc.record({ kind, requires: fc.subarray(["x", "y"]) })),
      provides: fc.subarray(["x", "y"]),
      targets: fc.option(fc.subarray(["node", "sim"]), { nil: undefined }),
    });
    const device = fc.record({ kind, requires: fc.subarray(["x", "y"], { maxLength: 1 }) });
    fc.assert(
      fc.property(fc.array(implementation, { maxLength: 6 }), fc.array(device, { maxLength: 2 }), (given, devices) => {
        // Needs go down the alphabet, so that every graph is finite and a check of all choices is short.
        const implementations = given.map((each, index): Implementation => {
          const needs = Object.fromEntries(Object.entries(each.needs).filter(([, need]) => need.kind > each.kind));
          const { targets } = each;
          return { ...each, needs, name: `i${index}`, ...(targets === undefined ? { targets: ["sim"] } : { targets }) };
        });
        const slots = devices.map((each, index) => wanted(`d${index}`, each.kind, { requires: each.requires }));
        const distinct = new Set(slots.map((each) => each.kind)).size === slots.length;
        fc.pre(distinct);
        const solution = solve(problem(implementations, slots));
        expect(solution.ok).toBe(possible(implementations, slots));
        if (!solution.ok) {
          expect(solution.message).not.toBe("");
          return;
        }
        const at = new Map(solution.devices.map((each, index) => [each.id, index]));
        for (const [index, each] of solution.devices.entries()) {
          expect(each.implementation.targets).toContain("sim");
          for (const [parameter, id] of Object.entries(each.needs)) {
            expect(at.get(id)).toBeLessThan(index);
            const need = each.implementation.needs?.[parameter];
            const passed = solution.devices[at.get(id) ?? -1]!;
            if (typeof need === "object")
              expect(passed.implementation.provides).toEqual(expect.arrayContaining([...(need.requires ?? [])]));
          }
        }
      }),
    );
  });
});

/** Tries every assignment of one implementation to each kind (a device of a kind is shared, so that is all there is). */
function possible(implementations: readonly Implementation[], slots: readonly Wanted[]): boolean {
  const usable = implementations.filter((each) => each.targets?.includes("sim") === true);
  const meets = (each: Implementation, requires: readonly string[]): boolean =>
    requires.every((one) => each.provides?.includes(one) === true);
  const assign = (kinds: readonly string[], picked: ReadonlyMap<string, Implementation>): boolean => {
    const [kind, ...rest] = kinds;
    if (kind !== undefined) {
      const options = usable.filter((each) => each.kind === kind);
      return [undefined, ...options].some((each) =>
        assign(rest, each === undefined ? picked : new Map([...picked, [kind, each]])),
      );
    }
    const fits = slots.every((slot) => {
      const each = picked.get(slot.kind);
      return each !== undefined && meets(each, slot.requires);
    });
    return (
      fits &&
      [...picked.values()].every((each) =>
        Object.values(each.needs ?? {}).every((need) => {
          if (typeof need === "string") return picked.has(need);
          const other = picked.get(need.kind);
          return other !== undefined && meets(other, need.requires ?? []);
        }),
      )
    );
  };
  return assign(["a", "b", "c"], new Map());
}
