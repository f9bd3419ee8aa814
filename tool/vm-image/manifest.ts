import type { TrimmedIcu } from "./icu.ts";

/** One file that went into an image, by its content. */
export interface ManifestFile {
  /** In bytes, as it was before. */
  readonly size: number;
  /** In hex. */
  readonly sha256: string;
}

/** All that an image is a function of. */
export interface ImageManifest {
  readonly manifest: 1;
  readonly image: {
    readonly argv: readonly string[];
    readonly environment: readonly string[];
  };
  readonly tool: string;
  readonly kernel: {
    /** SHA-256 of its sources' names and contents, and of the ELF file, in hex. */
    readonly sources: string;
    readonly sha256: string;
    readonly compiler: string;
  };
  readonly node: ManifestFile & { readonly version: string };
  readonly icu: Pick<TrimmedIcu, "name" | "languages">;
  /** Parts of Node.js that were left out besides. */
  readonly dropped: readonly string[];
  /** By the names that programs ask for. */
  readonly libraries: Readonly<Record<string, ManifestFile>>;
  /** By their paths in the image. */
  readonly application: Readonly<Record<string, ManifestFile>>;
}

/** As it is written: the same for the same inputs, with no dates and no paths of the machine that built it. */
export function manifestText(manifest: ImageManifest & { readonly result?: ManifestFile }): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}
