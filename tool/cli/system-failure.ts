import { existsSync, statSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { codeOf, failure, type Failure } from "./failure.ts";
import { relative } from "./project.ts";

/**
 * What the system refused, in words: which file or folder, and what to do about it. `undefined` for errors that are not
 * about a file.
 */
export function systemFailure(error: unknown): Failure | undefined {
  const code = codeOf(error);
  if (!(error instanceof Error) || code === undefined || !/^E[A-Z]+$/.test(code)) return undefined;
  if (!("path" in error) || typeof error.path !== "string") return undefined;
  const { path: file } = error;
  const call = "syscall" in error && typeof error.syscall === "string" ? error.syscall : "";
  // What is opened below .tesserae is opened to be written, beside its place.
  const writes = !["open", "scandir", "stat", "lstat", "read"].includes(call) || file.endsWith(".tmp");
  const folder = nearestFolder(path.dirname(file));
  switch (code) {
    case "EACCES":
    case "EPERM":
      return writes
        ? failure(`no permission to write in the folder ${shown(folder)}`, writable(folder))
        : failure(`no permission to read ${shown(file)}`, `make it readable for you: chmod u+r ${shown(file)}`);
    case "EROFS":
      return failure(`the folder ${shown(folder)} cannot be written to`, "work on a copy on a disk that can");
    case "ENOSPC":
    case "EDQUOT":
      return failure(`no space is left for files in the folder ${shown(folder)}`, "remove something there");
    default:
      return failure(error.message);
  }
}

/** As the developer can type it wherever the folder lies. */
function shown(file: string): string {
  return relative(path.resolve(file));
}

function nearestFolder(folder: string): string {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    if (existsSync(at) || path.dirname(at) === at) return at;
  }
}

function writable(folder: string): string {
  const own = statSync(folder, { throwIfNoEntry: false })?.uid === process.getuid?.();
  if (own) return `run: chmod u+w ${shown(folder)}`;
  // What builds wrote may be given away; what else another user has, may not.
  const parts = folder.split(path.sep);
  const at = parts.indexOf(".tesserae");
  const built = at < 0 ? undefined : parts.slice(0, at + 1).join(path.sep);
  if (built === undefined) return "it belongs to another user: work in a folder of your own";
  return `another user has built there: run: sudo chown -R "$(id -un)" ${shown(built)}`;
}
