import dns from "node:dns";
import dnsPromises from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";
import type { IpAddress } from "@tesserae/device/address";
import { ResolveError } from "@tesserae/device/resolver";
import type { LookupRequest } from "./bindings.ts";
import { type Host, reportUncaught } from "./host.ts";
import type { NameService } from "./name-service.ts";
import type { Patches } from "./patches.ts";
import { trampoline } from "./trampoline.ts";
import { serviceName } from "./service-names.ts";
import { readAddress } from "./socket-address.ts";

/**
 * Replaces `getaddrinfo` and `getnameinfo`, which `dns.lookup` and `dns.lookupService` call; and the same of
 * `dns.promises`, which has taken hold of the native functions when it was loaded.
 */
export function patchLookup(host: Host, patches: Patches, names: NameService): void {
  const { cares } = host.bindings;
  patches.define(cares, "getaddrinfo", {
    value: (request: LookupRequest, name: string, family: number, hints: number, order: unknown): number => {
      const finish = finisher(host, request);
      names.resolver.resolve(name).then(
        (all) => {
          const found = select(host, all, family, hints, order);
          if (found.length === 0) finish(host.errno.number("EAI_NONAME"));
          else finish(null, found);
        },
        (error: unknown) => finish(lookupErrno(host, error)),
      );
      return 0;
    },
  });
  patches.define(cares, "getnameinfo", {
    value: (request: LookupRequest, text: string, port: number): number => {
      const address = readAddress(text);
      if (address === undefined) return host.errno.number("EINVAL");
      const finish = finisher(host, request);
      names.nameOf(address).then(
        (name) => {
          if (name === undefined) finish(host.errno.number("EAI_NONAME"));
          else finish(null, name, serviceName(port));
        },
        (error: unknown) => finish(lookupErrno(host, error)),
      );
      return 0;
    },
  });
  patchPromises(patches);
}

/** What lookup takes for options, it checks itself, and what it throws is thrown at once by either kind. */
type Lookup = (name: string, options?: dns.LookupOptions | number) => Promise<unknown>;
type LookupService = (address: string, port: number) => Promise<unknown>;

const promisesLookup = trampoline<Parameters<Lookup>, Promise<unknown>>(dnsPromises, "lookup");
const promisesLookupService = trampoline<Partial<Parameters<LookupService>>, Promise<unknown>>(
  dnsPromises,
  "lookupService",
);
syncBuiltinESMExports();

/** The outcome of `act` as a promise; what it throws is thrown. */
function promised(act: (settle: (error: Error | null, value: unknown) => void) => void): Promise<unknown> {
  let settle: (error: Error | null, value: unknown) => void = () => undefined;
  const promise = new Promise((resolve, reject) => {
    settle = (error, value) => {
      if (error !== null) reject(error);
      else resolve(value);
    };
  });
  act((error, value) => settle(error, value));
  return promise;
}

function patchPromises(patches: Patches): void {
  promisesLookup.install(patches, (_, [name, options = {}]) => {
    const isAll = typeof options === "object" && "all" in options && options.all === true;
    return promised((settle) => {
      dns.lookup(name, typeof options === "number" ? { family: options } : options, (error, address, family) =>
        settle(error, isAll ? address : { address, family }),
      );
    });
  });
  promisesLookupService.install(patches, (before, args) => {
    // Says what is missing.
    const [address, port] = args;
    if (address === undefined || port === undefined) return before(...args);
    return promised((settle) => {
      dns.lookupService(address, port, (error, hostname, service) => settle(error, { hostname, service }));
    });
  });
}

/** Holds the event loop until the request is answered. */
export function finisher(
  host: Host,
  request: LookupRequest,
): (error: number | string | null, ...results: unknown[]) => void {
  host.activity.hold();
  return (error, ...results) => {
    try {
      request.oncomplete?.(error, ...results);
    } catch (thrown) {
      reportUncaught(thrown);
    }
    host.activity.release();
  };
}

function select(
  host: Host,
  all: readonly IpAddress[],
  family: number,
  hints: number,
  order: unknown,
): readonly string[] {
  const { cares } = host.bindings;
  const hasFamily = (wanted: 4 | 6): boolean => host.stack.addresses.some((each) => each.family === wanted);
  let found = all.filter((each) => family === 0 || each.family === family);
  if (family === 6 && (hints & cares.AI_V4MAPPED) !== 0 && (found.length === 0 || (hints & cares.AI_ALL) !== 0)) {
    const mapped = all.filter((each) => each.family === 4).map((each) => `::ffff:${each.toString()}`);
    return [...found.map(String), ...mapped];
  }
  // RFC 3493 §6.1: only families that we have an address of; loopback is always there.
  if ((hints & cares.AI_ADDRCONFIG) !== 0) {
    found = found.filter((each) => each.isLoopback || hasFamily(each.family));
  }
  const first =
    order === undefined ? 0 : order === cares.DNS_ORDER_IPV4_FIRST ? 4 : order === cares.DNS_ORDER_IPV6_FIRST ? 6 : 0;
  if (first !== 0) {
    found = [...found.filter((each) => each.family === first), ...found.filter((each) => each.family !== first)];
  }
  return found.map(String);
}

function lookupErrno(host: Host, error: unknown): number {
  const kind = error instanceof ResolveError ? error.kind : undefined;
  if (kind === "not-found") return host.errno.number("EAI_NONAME");
  if (kind === "aborted") return host.errno.number("EAI_CANCELED");
  return host.errno.number("EAI_AGAIN");
}
