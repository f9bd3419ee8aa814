import { createRequire } from "node:module";
import path from "node:path";

// A package with native code is no part of an image: it is found when the image runs. It need not lie above the image:
// npm may have put it inside the package that depends on it. Where that is differs from machine to machine, so the
// image is not told; it asks.

/** The source of the module that stands in an image for the package `name`, on which `owner` depends. */
export function externalSource(name: string, owner: string): string {
  return `import { createRequire } from "node:module";
let from = createRequire(import.meta.url);
try {
  const owner = createRequire(from.resolve(${JSON.stringify(`${owner}/package.json`)}));
  owner.resolve(${JSON.stringify(name)});
  from = owner;
} catch {}
export default from(${JSON.stringify(name)});
`;
}

/** Whether an image in `folder`, absolute, will find the package. */
export function findsExternal(name: string, owner: string, folder: string): boolean {
  const here = createRequire(path.join(folder, "image.mjs"));
  return (
    resolves(() => createRequire(here.resolve(`${owner}/package.json`)).resolve(name)) ||
    resolves(() => here.resolve(name))
  );
}

function resolves(resolve: () => string): boolean {
  try {
    resolve();
    return true;
  } catch {
    return false;
  }
}
