// Name servers that are compared: each writes its configuration for the same zones, starts, and says when it answers.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

/** A zone that every server loads from the same master file. */
export interface ServedZone {
  /** Absolute, with the final dot: `bench.test.` */
  readonly apex: string;
  /** The master file's path. */
  readonly file: string;
}

/** Where a server listens and keeps its files. */
export interface Serving {
  readonly address: string;
  readonly port: number;
  readonly zones: readonly ServedZone[];
  /** A folder of the server's own. */
  readonly folder: string;
  /** Servers that can: answer on this interface through AF_XDP. */
  readonly xdp?: string;
  /** Who may transfer zones, and to whom changes are announced: settings in the server's own words, by its name. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** A program and how it is started in the foreground. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface NameServer {
  readonly name: string;
  /** The programs that must be there. */
  readonly programs: readonly string[];
  /** The program with arguments that make it print its version. */
  readonly version: Command;
  /** Writes the configuration. @returns what to start */
  configure(serving: Serving): Command;
}

/** Writes a file of a server's configuration, and makes the folders that it needs. @returns the file's path */
export function configuration(serving: Serving, name: string, text: string): string {
  mkdirSync(path.join(serving.folder, "run"), { recursive: true });
  const file = path.join(serving.folder, name);
  writeFileSync(file, text);
  return file;
}

/** The apex without its final dot, as most configurations want it; the root stays `.`. */
export function bare(apex: string): string {
  return apex === "." ? apex : apex.replace(/\.$/, "");
}
