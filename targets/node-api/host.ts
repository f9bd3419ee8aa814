import type { Bindings } from "./bindings.ts";
import type { Activity } from "./activity.ts";
import type { Errno } from "./errno.ts";
import type { PromptStack } from "./prompt-stack.ts";

/** Runs a function in the asynchronous context that was current when the scope was made. */
export type AsyncScope = <T>(act: () => T) => T;

/** What every socket of ours needs. */
export interface Host {
  readonly stack: PromptStack;
  readonly bindings: Bindings;
  readonly errno: Errno;
  readonly activity: Activity;
  /** The context of nobody: what comes from the network belongs to no request. */
  readonly root: AsyncScope;
}

/**
 * Reports what a user's callback threw as an uncaught exception, as Node does for callbacks from libuv. Ours run inside
 * promise jobs and the stack's own calls, where it would become something else.
 */
export function reportUncaught(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}
