import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import type { Resolver } from "@tesserae/device/resolver";
import type { Stack } from "@tesserae/device/stack";
import { createHosts } from "@tesserae/tcpip/hosts";

export interface VmResolverOptions {
  readonly stack: Stack;
  readonly timers: Timers;
  readonly random: Random;
  /** Names that are known without asking anybody. */
  readonly names?: Readonly<Record<string, string | readonly string[]>>;
}

/** A resolver that knows the names declared. */
export function createVmResolver({ names }: VmResolverOptions): Resolver {
  return createHosts(names === undefined ? {} : { names });
}
