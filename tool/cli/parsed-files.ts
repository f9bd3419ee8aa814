import type { SourceFile } from "typescript";

/** A file's text, and what the compiler made of it. */
export interface ParsedFile {
  readonly text: string;
  readonly source: SourceFile;
}

/** What the compiler has read, for a command that checks again and again: it is read again only where it changed. */
export class ParsedFiles {
  #circumstances = "";
  readonly #files = new Map<string, ParsedFile>();

  /** The files by name, as they were read under these circumstances; what was read under others is forgotten. */
  under(circumstances: string): Map<string, ParsedFile> {
    if (circumstances !== this.#circumstances) this.#files.clear();
    this.#circumstances = circumstances;
    return this.#files;
  }
}
