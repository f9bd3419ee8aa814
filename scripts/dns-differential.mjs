// Asks name servers the same generated queries and shows what they do differently; docs/dns.md says why.
//   node scripts/dns-differential.mjs [--count N] [--seed N] [--subject NAME] [--rivals NAME,NAME]
import process from "node:process";
import { importFromSources } from "./source-bundle.mjs";

/** @type {{ main(args: readonly string[]): Promise<number> }} */
const { main } = await importFromSources("test/dns/differential/main.ts");
process.exitCode = await main(process.argv.slice(2));
