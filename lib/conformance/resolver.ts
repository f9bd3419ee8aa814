import type { IpAddress } from "@tesserae/device/address";
import { ResolveError, type Resolver } from "@tesserae/device/resolver";
import { ensure, ensureEqual, ensureRejects } from "./assert.ts";
import { defineCase, Skipped, type Suite } from "./suite.ts";

export interface ResolverSubject {
  readonly resolver: Resolver;
  /** A name that exists, and one of its addresses. */
  readonly known?: { readonly name: string; readonly address: IpAddress };
  /** A name that does not exist. */
  readonly missing?: string;
}

/** The contract of `Resolver`. */
export const resolverSuite: Suite<ResolverSubject> = [
  defineCase("an address in text is its own answer", async ({ resolver }) => {
    for (const text of ["192.0.2.7", "127.0.0.1", "::1", "2001:db8::7"]) {
      const addresses = await resolver.resolve(text);
      ensureEqual(addresses.map(String), [text], text);
    }
  }),

  defineCase("a name that exists has its addresses", async ({ resolver, known }) => {
    if (known === undefined) throw new Skipped("the subject knows no name");
    const addresses = await resolver.resolve(known.name);
    ensure(
      addresses.some((each) => each.equals(known.address)),
      `${known.name} is ${addresses.join(", ")}, without ${known.address.toString()}`,
    );
    ensureEqual(new Set(addresses.map(String)).size, addresses.length, "distinct addresses");
  }),

  defineCase("letter case does not matter (RFC 4343)", async ({ resolver, known }) => {
    if (known === undefined) throw new Skipped("the subject knows no name");
    const lower = await resolver.resolve(known.name.toLowerCase());
    const upper = await resolver.resolve(known.name.toUpperCase());
    ensureEqual(upper.map(String).sort(), lower.map(String).sort(), "addresses");
  }),

  defineCase("a name that does not exist rejects with not-found, naming it", async ({ resolver, missing }) => {
    if (missing === undefined) throw new Skipped("the subject knows of every name");
    const error = await ensureRejects(resolver.resolve(missing), ResolveError, "resolve");
    ensureEqual(error.kind, "not-found", "kind");
    ensureEqual(error.host, missing, "host");
  }),

  defineCase("what is no name rejects with ResolveError", async ({ resolver }) => {
    for (const name of ["", "a\0b", "x".repeat(300)]) {
      const error = await ensureRejects(resolver.resolve(name), ResolveError, JSON.stringify(name.slice(0, 10)));
      ensureEqual(error.kind, "not-found", "kind");
    }
  }),

  defineCase("an aborted signal rejects with aborted", async ({ resolver, known }) => {
    const resolving = resolver.resolve(known?.name ?? "name.invalid", { signal: AbortSignal.abort() });
    const error = await ensureRejects(resolving, ResolveError, "resolve");
    ensureEqual(error.kind, "aborted", "kind");
  }),
];
