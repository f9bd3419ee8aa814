import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { buildSync } from "esbuild";
import type { NameServer } from "./name-server.ts";
import type { OwnDevice, OwnServing } from "./own-server.ts";

let built: string | undefined;

/** Bundles own-server.ts. Run from the root of the sources. @returns the bundle's path */
function bundle(finish: (code: string) => string): string {
  if (built !== undefined) return built;
  const folder = path.resolve("node_modules/.cache/own-name-server");
  mkdirSync(folder, { recursive: true });
  const { outputFiles } = buildSync({
    entryPoints: [path.resolve("test/dns/servers/own-server.ts")],
    ...{ bundle: true, platform: "node", format: "esm", target: "node20", write: false, logLevel: "warning" },
    ...{ conditions: ["tesserae-source"], external: ["koffi"] },
  });
  const file = path.join(folder, `own-server-${process.pid}.mjs`);
  writeFileSync(file, finish(outputFiles[0]?.text ?? ""));
  return (built = file);
}

export interface OwnOptions {
  /** Sends queries back instead. Default false. */
  readonly echo?: boolean;
  /** What is done to the bundle, once a process: the benchmark makes it what an image is. Default: nothing. */
  readonly finish?: (code: string) => string;
}

/** Our name server, on one kind of device. */
export function ours(device: OwnDevice = "sockets", options: OwnOptions = {}): NameServer {
  const { echo = false, finish = (code: string): string => code } = options;
  return {
    name: "ours",
    programs: [],
    version: { program: process.execPath, args: ["--version"] },
    configure: ({ address, port, zones, xdp }) => {
      const serving: OwnServing = {
        ...{ device, address, port, zones, echo, interface: xdp ?? "dns0" },
        peer: address.replace(/\d+$/, "2"),
      };
      return {
        program: process.execPath,
        args: [bundle(finish)],
        environment: { TESSERAE_NAME_SERVER: JSON.stringify(serving) },
      };
    },
  };
}
