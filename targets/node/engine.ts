import { setFlagsFromString } from "node:v8";

/** Bytes of bytecode. V8's own bound is 920. */
const mostInlined = 4000;

/**
 * Lets V8's optimising compiler put more of what a function calls into its code. A packet goes through many small
 * functions of several layers, one after the other: with V8's own bound each layer, and half of what is in it, remains a
 * call of its own. For the whole process; to be called before anything is hot.
 */
export function inlineDeeply(): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${mostInlined}`);
}
