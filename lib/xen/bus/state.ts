/** States of one end of a device, as in its node `state` (Xen's `io/xenbus.h`). */
export const xenbusState = {
  /** No node, or none that is a state: the end is not there. */
  unknown: 0,
  initialising: 1,
  /** A back end has said what it can, and waits for the front end. */
  initWait: 2,
  /** A front end has said where its rings are. */
  initialised: 3,
  connected: 4,
  closing: 5,
  closed: 6,
  reconfiguring: 7,
  reconfigured: 8,
} as const;

const names: readonly string[] = [
  ...["not there", "initialising", "waiting for the front end", "initialised", "connected", "closing", "closed"],
  ...["reconfiguring", "reconfigured"],
];

/** The state that a node's value says; {@link xenbusState}.unknown for what is none. */
export function parseState(text: string | undefined): number {
  return text !== undefined && /^[1-8]$/.test(text) ? Number(text) : xenbusState.unknown;
}

/** For messages. */
export function stateName(state: number): string {
  return names[state] ?? "not there";
}
