/** What a parser's `next` found. Small integers, so that a step allocates nothing. */

/** All input was taken and more is needed. */
export const needInput = 0;
/** A whole head: see `head`. */
export const gotHead = 1;
/** A piece of the body: `dataOffset` and `dataLength` in the array that was passed in. */
export const gotData = 2;
/** The message is over. The next call starts the next one. */
export const gotEnd = 3;
/** The peer broke a rule: see `fault`. Every later call gives the same. */
export const failed = 4;

export type MessageEvent = typeof needInput | typeof gotHead | typeof gotData | typeof gotEnd | typeof failed;
