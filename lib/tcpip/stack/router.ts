import { createForwarding, type Forwarding, type ForwardOptions } from "../forward/forward.ts";
import { createForwarding6 } from "../forward/forward6.ts";
import type { AdvertisingOptions } from "../ndp/ndp.ts";
import { createNat, type Nat, type NatOptions } from "../nat/nat.ts";
import { createStack, type InterfaceSetting, type IpStack, type SeveralStackOptions } from "./stack.ts";

/** One of a router's interfaces. */
export interface RouterInterfaceSetting extends InterfaceSetting {
  /**
   * Tells the hosts on the link that we are a router, and of the prefixes of our addresses, so that they make their own
   * (RFC 4861 §6.2); options say more. Default false.
   */
  readonly advertise?: boolean | AdvertisingOptions | undefined;
}

export interface RouterOptions extends SeveralStackOptions {
  readonly interfaces: readonly RouterInterfaceSetting[];
  /** Hides what is behind the other interfaces behind the address of one. Absent: packets pass as they are. */
  readonly nat?:
    | (Omit<NatOptions, "outside" | "timers" | "random"> & {
        /** The number of the interface, from 1, whose address the others share. */
        readonly outside: number;
      })
    | undefined;
  readonly reversePath?: ForwardOptions["reversePath"];
  readonly redirects?: ForwardOptions["redirects"];
  readonly filter?: ForwardOptions["filter"];
  /** The same for IPv6. */
  readonly filter6?: ForwardOptions["filter"];
}

/** A stack that passes packets on between its interfaces. */
export interface RouterStack extends IpStack {
  readonly forwarding: Forwarding;
  /** Absent where IPv6 is off on every interface. */
  readonly forwarding6?: Forwarding;
  readonly nat?: Nat;
}

/**
 * Our own stack as a router: packets of both families for others go on by the most specific route, those of IPv4
 * translated where `nat` says so.
 *
 * @throws as `createStack`; RangeError when `nat` makes no sense.
 */
export async function createRouter(options: RouterOptions): Promise<RouterStack> {
  const { timers, random, nat: setting, reversePath, redirects, filter } = options;
  if (setting !== undefined && options.interfaces[setting.outside - 1] === undefined) {
    throw new RangeError(`nat.outside ${setting.outside} is no interface`);
  }
  const stack = await createStack(options);
  try {
    const { ip } = stack;
    const ways = { redirects, ...(reversePath === undefined ? {} : { reversePath }) };
    const nat =
      setting === undefined
        ? undefined
        : createNat({
            // What serves on the router itself keeps its port.
            isTaken: (protocol, port) => stack[protocol].usesPort(port),
            ...setting,
            timers,
            random,
            outside: ip.interface(setting.outside),
          });
    const forwarding = createForwarding({
      ip,
      filter,
      translator: nat,
      ...ways,
    });
    const { ipv6 } = stack;
    const forwarding6 =
      ipv6 === undefined ? undefined : createForwarding6({ ip: ipv6, filter: options.filter6, ...ways });
    for (const [place, { advertise = false }] of options.interfaces.entries()) {
      if (advertise === false) continue;
      const on = stack.interfaces[place]?.ipv6;
      if (on === undefined) throw new RangeError(`interfaces[${place}].advertise: IPv6 is off`);
      on.ndp.advertise(advertise === true ? {} : advertise);
    }
    const closeStack = stack.close.bind(stack);
    const close = (): Promise<void> => {
      forwarding.close();
      forwarding6?.close();
      nat?.close();
      return closeStack();
    };
    return Object.assign(stack, {
      forwarding,
      close,
      ...(nat === undefined ? {} : { nat }),
      ...(forwarding6 === undefined ? {} : { forwarding6 }),
    });
  } catch (error) {
    await stack.close();
    throw error;
  }
}
