import { existsSync, statSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { failure, usage } from "./failure.ts";
import { PackageTree } from "./package-tree.ts";
import { templateFiles } from "./template.ts";

export interface Created {
  readonly name: string;
  /** Absolute. */
  readonly folder: string;
  /** Whether the packages have to be installed before it runs. */
  readonly needsInstall: boolean;
}

/**
 * Makes a project in the folder `argument`, all of it or nothing, with the folders above it that there are not.
 *
 * @throws Failure when the folder exists and is not empty, or its name cannot be an image's.
 */
export async function createProject(argument: string | undefined, version: string): Promise<Created> {
  if (argument === undefined || argument === "") throw usage("create needs a name", "usage: tesserae create NAME");
  const folder = path.resolve(argument);
  const name = path.basename(folder);
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name)) {
    const near = name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^[^a-z]+|-+$/g, "");
    const hint = near === "" ? "" : ` (such as "${near}")`;
    throw usage(`"${name}" is not a project's name${hint}`, "use lower-case letters, digits and dashes");
  }
  const parent = path.dirname(folder);
  if (existsSync(folder) && (await contents(folder)).length > 0) {
    throw failure(`"${argument}" exists already`, "nothing was changed: take another name, or remove it first");
  }
  for (let above = parent; !isFolder(above); above = path.dirname(above)) {
    if (existsSync(above)) throw failure(`"${path.relative(process.cwd(), above)}" is no folder`, "take another place");
  }
  // The first one that was not there before.
  const made = await mkdir(parent, { recursive: true });
  let scratch: string | undefined;
  let done = false;
  try {
    scratch = await mkdtemp(path.join(parent, `.${name}-`));
    for (const [file, text] of Object.entries(templateFiles(name, version))) {
      await mkdir(path.dirname(path.join(scratch, file)), { recursive: true });
      await writeFile(path.join(scratch, file), text);
    }
    if (existsSync(folder)) await cp(scratch, folder, { recursive: true, errorOnExist: true, force: false });
    else await rename(scratch, folder);
    done = true;
  } finally {
    if (scratch !== undefined) await rm(scratch, { recursive: true, force: true });
    if (!done && made !== undefined) await rm(made, { recursive: true, force: true });
  }
  return { name, folder, needsInstall: !isInstalled(folder) };
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}

async function contents(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch {
    throw failure(`"${folder}" exists already and is no folder`, "take another name");
  }
}

/** Whether a module in `folder` finds our packages without further ado. */
function isInstalled(folder: string): boolean {
  for (let at = folder; ; at = path.dirname(at)) {
    if (existsSync(path.join(at, "node_modules", "@tesserae", "config")))
      return new PackageTree().find("@tesserae/config", folder) !== undefined;
    if (path.dirname(at) === at) return false;
  }
}
