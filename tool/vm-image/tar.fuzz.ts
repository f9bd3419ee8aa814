import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { FormatError } from "./image-failure.ts";
import { readTarFile, writeTar } from "./tar.ts";

/** Whatever the archive is, what is found lies inside it. */
export const fuzz: FuzzTarget = {
  name: "tar",
  seeds: [
    Buffer.concat([
      ...writeTar([
        { name: "a", bytes: Buffer.from("hello") },
        { name: "package/bin/node", bytes: Buffer.alloc(600, 1), executable: true },
      ]),
    ]),
  ],
  run(input) {
    try {
      const found = readTarFile(input, "package/bin/node");
      if (found !== undefined && found.length > input.length) throw new Error("there is more than there was");
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  },
};
