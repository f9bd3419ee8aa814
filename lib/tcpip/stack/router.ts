import { createForwarding, type Forwarding, type ForwardOptions } from "../forward/forward.ts";
import { createNat, type Nat, type NatOptions } from "../nat/nat.ts";
import { createStack, type IpStack, type SeveralStackOptions } from "./stack.ts";

export interface RouterOptions extends SeveralStackOptions {
  /** Hides what is behind the other interfaces behind the address of one. Absent: packets pass as they are. */
  readonly nat?: Omit<NatOptions, "outside" | "timers" | "random"> & {
    /** The number of the interface, from 1, whose address the others share. */
    readonly outside: number;
  };
  readonly reversePath?: ForwardOptions["reversePath"];
  readonly filter?: ForwardOptions["filter"];
}

/** A stack that passes packets on between its interfaces. */
export interface RouterStack extends IpStack {
  readonly forwarding: Forwarding;
  readonly nat?: Nat;
}

/**
 * Our own stack as a router: packets for others go on by the most specific route, translated where `nat` says so.
 *
 * @throws as `createStack`; RangeError when `nat` makes no sense.
 */
export async function createRouter(options: RouterOptions): Promise<RouterStack> {
  const { timers, random, nat: setting, reversePath, filter } = options;
  if (setting !== undefined && options.interfaces[setting.outside - 1] === undefined) {
    throw new RangeError(`nat.outside ${setting.outside} is no interface`);
  }
  const stack = await createStack(options);
  try {
    const { ip } = stack;
    const nat =
      setting === undefined
        ? undefined
        : createNat({ ...setting, timers, random, outside: ip.interface(setting.outside) });
    const forwarding = createForwarding({
      ip,
      filter,
      translator: nat,
      ...(reversePath === undefined ? {} : { reversePath }),
    });
    const closeStack = stack.close.bind(stack);
    const close = (): Promise<void> => {
      forwarding.close();
      nat?.close();
      return closeStack();
    };
    return Object.assign(stack, { forwarding, close, ...(nat === undefined ? {} : { nat }) });
  } catch (error) {
    await stack.close();
    throw error;
  }
}
