import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import { createStubResolver, type StubResolver } from "@tesserae/dns/stub-resolver";
import { createHosts } from "@tesserae/tcpip/hosts";
import { orderDestinations, type SourceTellingStack } from "@tesserae/tcpip/stack/destination-order";

/** Servers asked at most; a network may tell more. */
const mostServers = 8;

export interface StackResolverOptions {
  readonly stack: SourceTellingStack & { readonly nameServers?: readonly IpAddress[] };
  readonly timers: Timers;
  readonly random: Random;
  /** Names that are known without asking anybody. */
  readonly names?: Readonly<Record<string, string | readonly string[]>>;
}

/** A resolver that asks the name servers that the stack knows of now, over the stack. */
export function createStackResolver({ stack, timers, random, names }: StackResolverOptions): StubResolver {
  return createStubResolver({
    udp: stack.udp,
    tcp: stack.tcp,
    timers,
    random,
    // Who has no address of a family has no use for those of others (as with AI_ADDRCONFIG, RFC 3493 §6.1).
    families: () => (stack.addresses.some(({ family }) => family === 6) ? [6, 4] : [4]),
    order: (addresses) => orderDestinations(stack, addresses),
    servers: (stack.nameServers ?? []).slice(0, mostServers),
    hosts: createHosts(names === undefined ? {} : { names }),
  });
}
