/** The states of RFC 9293 §3.3.2, as small integers in the order in which a connection can pass through them. */

export const closed = 0;
export const listen = 1;
export const synSent = 2;
export const synReceived = 3;
export const established = 4;
export const finWait1 = 5;
export const finWait2 = 6;
export const closeWait = 7;
export const closing = 8;
export const lastAck = 9;
export const timeWait = 10;

/** One of the constants above. */
export type State = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** What RFC 9293 calls the states, in the order of the constants. */
export const stateNames = [
  "CLOSED",
  "LISTEN",
  "SYN-SENT",
  "SYN-RECEIVED",
  "ESTABLISHED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "CLOSE-WAIT",
  "CLOSING",
  "LAST-ACK",
  "TIME-WAIT",
] as const;

/** What RFC 9293 calls a state. */
export type StateName = (typeof stateNames)[number];

export function stateName(state: State): StateName {
  return stateNames[state];
}

/** Whether data of the peer can still arrive: it has not sent its FIN, or we have not seen it. */
export function canReceive(state: State): boolean {
  return state === established || state === finWait1 || state === finWait2;
}

/** Whether data of ours can still be sent, for the first time or again. */
export function canSend(state: State): boolean {
  return state === established || state === closeWait || state === finWait1 || state === closing || state === lastAck;
}
