// A processor profile of V8's, as a tree of frames whose names say where they are from.
import { readFileSync } from "node:fs";
import { Session, type Profiler } from "node:inspector";
import process from "node:process";

/** A function as it was called from those above it, or several of one name. */
export interface Frame {
  readonly name: string;
  /** Of the source: `lib/tcpip/tcp/tcp.ts`; empty for the engine's own and Node's. */
  readonly source: string;
  /** Samples in it, and in what it called. */
  total: number;
  readonly children: Map<string, Frame>;
}

/** Profiles this process between the first SIGUSR2 and the second, and gives what it found to `done`. */
export function profileOnSignal(done: (profile: Profiler.Profile) => void): void {
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.setSamplingInterval", { interval: 500 });
  process.once("SIGUSR2", () => {
    session.post("Profiler.start");
    process.once("SIGUSR2", () => {
      session.post("Profiler.stop", (error, result) => {
        if (error === null) done(result.profile);
      });
    });
  });
}

/** Those of the native piece have one body for V8, which it names after any of them; their time is the kernel's. */
const nativeFunctions = new Set(["call", "readMany", "writeMany", "hold", "unwatch", "watch", "addressOf", "map"]);

/** The frames of a profile of a bundle, whose comments say which file each part is from. Time without work is left out. */
export function framesOf(profile: Profiler.Profile): Frame {
  const sources = new Map<string, string[]>();
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const root: Frame = { name: "all", source: "", total: 0, children: new Map() };
  const add = (id: number, into: Frame): number => {
    const node = nodes.get(id);
    if (node === undefined) return 0;
    const { functionName, url, lineNumber } = node.callFrame;
    if (functionName === "(idle)" || functionName === "(program)") return 0;
    const source = url.startsWith("file:") ? sourceAt(sources, url, lineNumber) : "";
    const isNative = url === "" && nativeFunctions.has(functionName);
    const name = isNative ? "the kernel" : functionName === "" ? "(anonymous)" : functionName;
    const key = `${name} ${source}`;
    const frame = into.children.get(key) ?? { name, source, total: 0, children: new Map<string, Frame>() };
    into.children.set(key, frame);
    let samples = node.hitCount ?? 0;
    for (const child of node.children ?? []) samples += add(child, frame);
    frame.total += samples;
    return samples;
  };
  const [top] = profile.nodes;
  for (const child of top?.children ?? []) root.total += add(child, root);
  return root;
}

/** The file that a line of a bundle is from. */
function sourceAt(sources: Map<string, string[]>, url: string, line: number): string {
  let lines = sources.get(url);
  if (lines === undefined) {
    let current = "";
    lines = readFileSync(new URL(url), "utf8")
      .split("\n")
      .map((text) => (current = /^\/\/ ((?:lib|targets|bench|test)\/\S+\.ts)$/.exec(text)?.[1] ?? current));
    sources.set(url, lines);
  }
  return lines[line] ?? "";
}
