import { existsSync, watch, type FSWatcher } from "node:fs";
import path from "node:path";
import { buildImage, type BuildRequest } from "./build.ts";
import { forwardSignals, type RunningImage } from "./child.ts";
import { Failure } from "./failure.ts";
import { ParsedFiles } from "./parsed-files.ts";
import { systemFailure } from "./system-failure.ts";
import { startBuilt } from "./start.ts";
import type { Terminal } from "./terminal.ts";

/** Changes within this many milliseconds are one. */
const settle = 120;
/** How long an image may take to stop before it is killed, in milliseconds. */
const patience = 5000;
/** Folders watched at most. */
const mostFolders = 2000;

/**
 * Builds and runs; and again when a file changes that went into the image, or lies in the application's folder. While
 * the new image cannot be built the old one keeps running. Ends, with the image's status, on a signal.
 */
export async function develop(request: BuildRequest, terminal: Terminal): Promise<number> {
  const watchers = new Map<string, FSWatcher>();
  let image: RunningImage | undefined;
  let wake: () => void = () => undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  // Asked anew each time, as the signal's handler writes it.
  const stopping = (): boolean => stopped;
  let status = 0;
  const parsed = new ParsedFiles();
  const changed = (name: string | null): void => {
    // What the build writes and what editors leave behind are no changes.
    if (name !== null && /^\.|~$|\.sw[a-p]$/.test(name)) return;
    clearTimeout(timer);
    timer = setTimeout(() => wake(), settle);
  };
  const follow = (folders: Iterable<string>): void => {
    for (const folder of folders) {
      if (watchers.has(folder) || watchers.size >= mostFolders || !existsSync(folder)) continue;
      const watcher = watch(folder, (_event, name) => changed(name));
      // A folder that goes away is followed again when it is part of the next build.
      watcher.on("error", () => {
        watcher.close();
        watchers.delete(folder);
      });
      watchers.set(folder, watcher);
    }
  };
  const unforward = forwardSignals(
    () => image,
    () => {
      stopped = true;
      wake();
    },
  );
  follow([request.project.folder]);
  try {
    for (;;) {
      const next = new Promise<void>((resolve) => {
        wake = resolve;
      });
      try {
        const built = await buildImage({ ...request, parsed });
        for (const warning of built.warnings) terminal.error(`warning: ${warning}`);
        follow(
          new Set(built.inputs.filter((file) => !file.includes("node_modules")).map((file) => path.dirname(file))),
        );
        if (!stopping()) {
          const before = image;
          // That it ends now is no news.
          image = undefined;
          await before?.stop(patience);
          if (stopping()) return await (before?.ended ?? 0);
          terminal.error(before === undefined ? `running ${built.name}` : `changed: running ${built.name} again`);
          const started = await startBuilt(built, terminal);
          image = started;
          void started.ended.then((code) => {
            status = code;
            if (image === started && !stopping())
              terminal.error(`${built.name} ended with status ${String(code)}; waiting`);
          });
        }
      } catch (error) {
        const told = error instanceof Failure ? error : systemFailure(error);
        if (told === undefined) throw error;
        terminal.error(
          `${told.message}\n${image === undefined ? "waiting for a change" : "the old image keeps running"}`,
        );
      }
      await next;
      if (stopping()) {
        await image?.ended;
        return status;
      }
    }
  } finally {
    clearTimeout(timer);
    unforward();
    for (const watcher of watchers.values()) watcher.close();
  }
}
