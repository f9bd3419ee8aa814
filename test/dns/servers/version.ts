import { spawnSync } from "node:child_process";
import type { NameServer } from "./name-server.ts";

/** The server's name and version, as it prints it: `NSD 4.6.1`. */
export function describeVersion(server: NameServer): string {
  const { program, args } = server.version;
  const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return `${server.name}${server.programs.length === 0 ? " on Node.js" : ""} ${/\d+\.\d+[\w.-]*/.exec(`${stdout}${stderr}`)?.[0] ?? "of unknown version"}`;
}
