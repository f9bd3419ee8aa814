/** The forms in which an image can be written, beside kernel and image as two files. */
export const formats = ["direct"] as const;

export type Format = (typeof formats)[number];

/** What every form is made of. */
export interface FormatInput {
  /** The application's name: `hello`. */
  readonly name: string;
  /** The kernel's ELF file and the image, absolute paths. */
  readonly kernel: string;
  readonly image: string;
  /** A folder that exists, for what is written. */
  readonly output: string;
  /** Words for the kernel's command line. */
  readonly commandLine: string;
  /** RAM for those forms that say how much, in MiB. */
  readonly memory: number;
}
