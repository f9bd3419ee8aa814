import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { didYouMean } from "@tesserae/image/nearest";
import { failure } from "./failure.ts";

/** The folder of an application. */
export interface Project {
  /** Absolute, symbolic links resolved. */
  readonly folder: string;
  /** As the developer named it: for messages. */
  readonly shown: string;
  /** Absolute. */
  readonly configFile: string;
}

export const configName = "tesserae.config.ts";

/**
 * Finds the application in `directory`.
 *
 * @throws Failure when there is no such folder, or no configuration in it.
 */
export function openProject(directory: string | undefined): Project {
  const shown = directory ?? ".";
  const folder = path.resolve(shown);
  if (!existsSync(folder)) {
    const siblings = foldersIn(path.dirname(folder));
    throw failure(`there is no folder "${shown}"${didYouMean(path.basename(folder), siblings)}`);
  }
  if (!statSync(folder).isDirectory()) throw failure(`"${shown}" is not a folder`, "give the folder of an application");
  const real = realpathSync(folder);
  const configFile = path.join(real, configName);
  if (!existsSync(configFile)) {
    const where = directory === undefined ? "the current folder" : `"${shown}"`;
    throw failure(
      `there is no ${configName} in ${where}`,
      `give the folder of an application, or make one: tesserae create NAME`,
    );
  }
  return { folder: real, shown, configFile };
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((each) => (each.isDirectory() ? [each.name] : []));
  } catch {
    return [];
  }
}

/** `path` as seen from the current folder, when that is shorter. */
export function relative(file: string): string {
  const near = path.relative(process.cwd(), file);
  return near === "" ? "." : near.length < file.length ? near : file;
}
