import type { IpAddress } from "@tesserae/device/address";
import { ResolveError } from "@tesserae/device/resolver";
import type { LookupRequest } from "./bindings.ts";
import { type Host, reportUncaught } from "./host.ts";
import type { NameService } from "./name-service.ts";
import type { Patches } from "./patches.ts";
import { serviceName } from "./service-names.ts";
import { readAddress } from "./socket-address.ts";

/** Replaces `getaddrinfo` and `getnameinfo`, which `dns.lookup` and `dns.lookupService` call. */
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
