import { createRequire } from "node:module";
import type typescript from "typescript";

/**
 * The TypeScript compiler. It is required, as Node.js would read all of its nine megabytes twice, most of a second, to
 * find out what an import of it could name.
 */
// as: it is that package
export const ts = createRequire(import.meta.url)("typescript") as typeof typescript;
