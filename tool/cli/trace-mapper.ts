import { readFileSync } from "node:fs";
import { SourceMap, type SourceMapPayload } from "node:module";
import path from "node:path";
import { relative } from "./project.ts";

/** The application as its machine knows it. */
const place = /(?:file:\/\/)?\/app\/main\.mjs:(\d{1,9}):(\d{1,9})/g;
/** The beginning of a line of a stack trace: it is waited for as a whole. */
const unfinished = /^(?:\s|[^\n]*\/)/;
/** Characters of a line that are held back at most. */
const longest = 4096;

/** Leads the stack traces on a machine's console, whose image has no source map, to the sources. */
export class TraceMapper {
  readonly #map: string;
  readonly #folder: string;
  #sources: SourceMap | undefined | null;
  #rest = "";

  /** @param map the file of the source map @param image the file of the bundle that it is of */
  constructor(map: string, image: string) {
    this.#map = map;
    this.#folder = path.dirname(image);
  }

  /** Takes text of a console and gives what is ready to be shown. */
  take(text: string): string {
    const lines = (this.#rest + text).split(/(?<=\n)/);
    this.#rest = "";
    const last = lines.at(-1) ?? "";
    if (!last.endsWith("\n") && last.length < longest && unfinished.test(last)) this.#rest = lines.pop() ?? "";
    return lines.map((line) => this.#lead(line)).join("");
  }

  end(): string {
    const rest = this.#rest;
    this.#rest = "";
    return this.#lead(rest);
  }

  #lead(line: string): string {
    return line.replace(place, (whole, row: string, column: string) => {
      const entry = this.#load()?.findEntry(Number(row) - 1, Number(column) - 1);
      // Of a place that it does not have, the map gives the one before.
      if (entry === undefined || !("originalSource" in entry) || entry.generatedLine !== Number(row) - 1) return whole;
      const { originalSource: source } = entry;
      const file = source.startsWith("../") ? relative(path.resolve(this.#folder, source)) : source;
      return `${file}:${String(entry.originalLine + 1)}:${String(entry.originalColumn + 1)}`;
    });
  }

  /** Reads the map when the first trace comes. */
  #load(): SourceMap | undefined {
    if (this.#sources === undefined) {
      try {
        // as: the build writes version 3 source maps.
        this.#sources = new SourceMap(JSON.parse(readFileSync(this.#map, "utf8")) as SourceMapPayload);
      } catch {
        // Without the map, traces are shown as they come.
        this.#sources = null;
      }
    }
    return this.#sources ?? undefined;
  }
}
