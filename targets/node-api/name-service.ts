import type { IpAddress } from "@tesserae/device/address";
import type { Resolver } from "@tesserae/device/resolver";
import { reverseName } from "@tesserae/dns/name";
import type { StubResolver } from "@tesserae/dns/stub-resolver";
import { recordType } from "@tesserae/dns/wire";

/** Names for Node's `dns` module: of any resolver addresses only, of a stub resolver everything. */
export class NameService {
  readonly resolver: Resolver;
  /** `undefined`: `dns.resolve*` have nobody to ask. */
  readonly stub: StubResolver | undefined;

  constructor(resolver: Resolver) {
    this.resolver = resolver;
    this.stub = isStub(resolver) ? resolver : undefined;
  }

  /** The first name of an address; `undefined` when it has none. @throws ResolveError (rejects) */
  async nameOf(address: IpAddress): Promise<string | undefined> {
    if (address.isLoopback) return "localhost";
    const answer = await this.stub?.query(reverseName(address), recordType.PTR);
    if (answer?.kind !== "answer") return undefined;
    for (const { data } of answer.records) if (data.type === "PTR") return data.name;
    return undefined;
  }
}

function isStub(resolver: Resolver): resolver is StubResolver {
  return "query" in resolver && "withServers" in resolver && "servers" in resolver;
}
