import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { loadState, saveState, StateError } from "./state.ts";

/** Any bytes as a state: refused in words, or read and written again to what is read the same. */
export const fuzz: FuzzTarget = {
  name: "xenstore-state",
  seeds: [
    saveState({ connections: [], nodes: [] }),
    saveState({
      connections: [
        {
          ...{ domain: 3, target: -1, port: 7, input: Uint8Array.of(1, 2, 3), output: new Uint8Array(0) },
          watches: [{ path: "data", token: "t" }],
          transactions: [1, 2],
        },
      ],
      nodes: [
        { path: "/", value: new Uint8Array(0), permissions: ["n0"] },
        { path: "/a", value: Uint8Array.of(0), permissions: ["n0", "b3"] },
      ],
    }),
  ],
  run(input) {
    let state;
    try {
      state = loadState(input);
    } catch (error) {
      if (error instanceof StateError) return;
      throw error;
    }
    const again = saveState(loadState(saveState(state)));
    if (again.join() !== saveState(state).join()) throw new Error("a state is not what it was, read again");
  },
};
