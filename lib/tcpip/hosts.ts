import { IpAddress } from "@tesserae/device/address";
import { ResolveError, type Resolver } from "@tesserae/device/resolver";

export interface HostsOptions {
  /** Name → address, or addresses with the best first. Names are compared without case and without a final dot. */
  readonly names?: Readonly<Record<string, string | readonly string[]>>;
}

/**
 * A resolver that knows a fixed table, as `/etc/hosts` does. `localhost` is 127.0.0.1 and ::1 (RFC 6761 §6.3), and an address
 * in text is its own answer.
 *
 * @throws RangeError naming the entry when an address is none, or an entry is empty.
 */
export function createHosts(options: HostsOptions = {}): Resolver {
  const table = new Map<string, readonly IpAddress[]>([["localhost", [IpAddress.loopback4, IpAddress.loopback6]]]);
  for (const [name, value] of Object.entries(options.names ?? {})) {
    const addresses = (typeof value === "string" ? [value] : value).map((text) => {
      const address = IpAddress.tryParse(text);
      if (address === undefined) throw new RangeError(`names: "${name}" has "${text}", which is not an IP address`);
      return address;
    });
    if (addresses.length === 0) throw new RangeError(`names: "${name}" has no address`);
    table.set(canonical(name), addresses);
  }
  return {
    resolve(name, { signal } = {}) {
      if (signal?.aborted === true) {
        return Promise.reject(new ResolveError("aborted", name, `resolving ${name} was aborted`));
      }
      const literal = IpAddress.tryParse(name);
      if (literal !== undefined) return Promise.resolve([literal]);
      const key = canonical(name);
      const found = table.get(key.endsWith(".localhost") ? "localhost" : key);
      if (found !== undefined) return Promise.resolve(found);
      return Promise.reject(new ResolveError("not-found", name, `${name} is not in the table of hosts`));
    },
  };
}

function canonical(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}
