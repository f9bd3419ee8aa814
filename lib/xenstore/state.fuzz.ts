import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { loadState, saveState } from "./state.ts";
import { StateError } from "./state-bytes.ts";

/** Any bytes as a state: refused in words, or read and written again to what is read the same. */
export const fuzz: FuzzTarget = {
  name: "xenstore-state",
  seeds: [
    saveState({ connections: [], nodes: [], quotas: { general: new Map(), own: new Map() } }),
    saveState({
      connections: [
        {
          ...{ socket: -1, domain: 3, target: -1, port: 7, input: Uint8Array.of(1, 2, 3), output: new Uint8Array(0) },
          watches: [{ path: "data", token: "t" }],
          transactions: [
            { id: 1, accesses: [] },
            {
              id: 2,
              accesses: [
                { path: "/a", kind: "seen", value: new Uint8Array(0), permissions: [] },
                { path: "/b", kind: "written", value: Uint8Array.of(9), permissions: ["n3", "r0"] },
                { path: "/a", kind: "removed", value: new Uint8Array(0), permissions: [] },
              ],
            },
          ],
        },
        {
          ...{ socket: 7, domain: 0, target: -1, port: 0, input: new Uint8Array(0), output: Uint8Array.of(1) },
          watches: [],
          transactions: [],
        },
      ],
      quotas: { general: new Map([["nodes", 5]]), own: new Map([[3, new Map([["watches", 0]])]]) },
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
