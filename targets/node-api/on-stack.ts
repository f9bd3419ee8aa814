import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import type { Stack } from "@tesserae/device/stack";
import { installNodeApi, type NodeApi } from "./install.ts";
import { createStackResolver } from "./stack-resolver.ts";

export interface OnStackOptions {
  readonly stack: Stack;
  readonly timers: Timers;
  readonly random: Random;
}

/**
 * As `installNodeApi`, with names from the name servers that the stack knows of. What the boot of a target calls: import
 * it before the application.
 *
 * @throws as `installNodeApi`.
 */
export function installOnStack(options: OnStackOptions): NodeApi {
  return installNodeApi({ stack: options.stack, resolver: createStackResolver(options) });
}
