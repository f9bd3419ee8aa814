// Plays packet scripts to the Linux kernel and to our stack, and shows what each did.
//   node scripts/packet-scripts.mjs [part of a name…] [--ours] [--quiet]
import path from "node:path";
import process from "node:process";
import { importFromSources, root } from "./source-bundle.mjs";

/** @type {{ show(folder: string, args: readonly string[]): Promise<number> }} */
const { show } = await importFromSources("test/packet-scripts/show.ts");
process.exitCode = await show(path.join(root, "test/packet-scripts/scripts"), process.argv.slice(2));
