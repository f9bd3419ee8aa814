import { IpAddress, Prefix } from "@tesserae/device/address";
import { FlowError } from "@tesserae/device/flow";
import type { Ipv6Interface } from "../ipv6/interface.ts";
import { isLinkLocal } from "../ipv6/scope.ts";

/** What holds for an interface however it comes by its addresses. */
interface Identity {
  /** What the low 64 bits of our own addresses follow from: a secret (RFC 7217) or the MAC address. Default the first. */
  readonly identifiers?: "stable" | "eui64";
  /** 16 bytes: addresses stay the same for as long as these do. Default: drawn at random, for as long as the stack lives. */
  readonly secret?: Uint8Array;
  /** Whether redirects that pass the checks of RFC 4861 §8.1 are followed. Default false. */
  readonly redirects?: boolean;
}

/** How the interface comes by its IPv6 addresses. */
export type Ipv6Setting =
  | (Identity & {
      /** A link-local address, and what routers tell (RFC 4862). The stack does not wait for it. */
      readonly kind: "auto";
      /** Whether to make temporary addresses, too, and to connect from them (RFC 8981). Default false. */
      readonly temporary?: boolean;
    })
  | (Identity & {
      /** This address, and a link-local one; routers are not listened to. */
      readonly kind: "static";
      /** Our address with the length of the link's prefix. */
      readonly address: Prefix;
      /** The default router. Without it only the link can be reached. */
      readonly gateway?: IpAddress | undefined;
      /** Looks for other users of the addresses first (RFC 4862 §5.4), which takes up to two seconds. Default false. */
      readonly probe?: boolean;
    })
  | { readonly kind: "off" };

/** What an interface does that is not told otherwise. */
export const standardIpv6: Ipv6Setting = { kind: "auto" };

const everywhere = new Prefix(IpAddress.any6, 0);

/** @returns the setting. @throws RangeError when it makes no sense. */
export function checkSetting6(setting: Ipv6Setting): Ipv6Setting {
  if (setting.kind !== "static") return setting;
  const { address, gateway } = setting;
  const own = address.address;
  if (own.family !== 6) throw new RangeError(`ipv6.address ${address.toString()} is not an IPv6 address`);
  if (own.isUnspecified || own.isMulticast || own.isLoopback || (own.w0 === 0 && own.w1 === 0 && own.w2 === 0xffff)) {
    throw new RangeError(`ipv6.address ${address.toString()} is not the address of a host`);
  }
  if (gateway === undefined) return setting;
  if (gateway.family !== 6 || gateway.equals(own) || !(address.contains(gateway) || isLinkLocal(gateway))) {
    throw new RangeError(`ipv6.gateway ${gateway.toString()} is not a neighbour of ${address.toString()}`);
  }
  return setting;
}

/**
 * Gives an interface its addresses. Resolves at once, but for a static address that is probed.
 *
 * @throws FlowError (rejects) `address-in-use`, `aborted`.
 */
export async function configure6(
  on: Ipv6Interface | undefined,
  setting: Ipv6Setting | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (on === undefined || setting === undefined || setting.kind === "off") return;
  if (setting.kind === "auto") {
    on.autoconfigure({ temporary: setting.temporary ?? false });
    return;
  }
  const { address, gateway, probe = false } = setting;
  if (gateway !== undefined) on.addRoute(everywhere, gateway);
  const stop = (): void => on.clear();
  signal?.addEventListener("abort", stop);
  const isOurs = signal?.aborted !== true && (await on.add(address, { probe }));
  signal?.removeEventListener("abort", stop);
  if (isOurs) return;
  if (signal?.aborted === true) throw new FlowError("aborted", "the stack was aborted", { cause: signal.reason });
  throw new FlowError("address-in-use", `another host uses ${address.address.toString()}`);
}
