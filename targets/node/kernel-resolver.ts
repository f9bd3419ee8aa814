import { lookup } from "node:dns";
import { IpAddress } from "@tesserae/device/address";
import { ResolveError, type Resolver } from "@tesserae/device/resolver";
import { codeOf } from "./flow-fault.ts";
import { addressOf } from "./kernel-address.ts";

/** The system's resolver (getaddrinfo): hosts file, DNS, and whatever else the machine is set up to ask. */
export function createKernelResolver(): Resolver {
  return { resolve };
}

const kinds: Readonly<Record<string, ResolveError["kind"]>> = {
  ENOTFOUND: "not-found",
  ENODATA: "not-found",
  EINVAL: "not-found",
  ERR_INVALID_ARG_VALUE: "not-found",
  EAI_AGAIN: "timeout",
  ETIMEOUT: "timeout",
};

function resolve(name: string, options: { readonly signal?: AbortSignal } = {}): Promise<readonly IpAddress[]> {
  return new Promise((done, reject) => {
    const { signal } = options;
    const fail = (kind: ResolveError["kind"], why: string, cause?: unknown): void =>
      reject(new ResolveError(kind, name, `resolving "${name}": ${why}`, { cause }));
    if (signal?.aborted === true) {
      fail("aborted", "aborted", signal.reason);
      return;
    }
    const own = IpAddress.tryParse(name);
    if (own !== undefined) {
      done([own]);
      return;
    }
    // RFC 1035 §2.3.4, and no byte that getaddrinfo could take for the end of the name.
    if (name === "" || name.length > 255 || name.includes("\0")) {
      fail("not-found", "not a host name");
      return;
    }
    // The query itself cannot be called back: its answer is dropped.
    const abort = (): void => fail("aborted", "aborted", signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    lookup(name, { all: true, order: "verbatim" }, (error, found) => {
      signal?.removeEventListener("abort", abort);
      if (error !== null) {
        fail(kinds[codeOf(error)] ?? "refused", error.message, error);
        return;
      }
      const addresses = found.map((each) => addressOf(each.address));
      if (addresses.length === 0) fail("not-found", "no address");
      else done(addresses);
    });
  });
}
