/** What ends a build without a stack trace: the developer has to change something. */
export class ImageFailure extends Error {
  override readonly name = "ImageFailure";
  /** What puts it right, in one line: a command to run, a package to install. */
  readonly fix: string | undefined;

  constructor(message: string, fix?: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.fix = fix;
  }
}

/** A file that is not what its format says, with the place. */
export class FormatError extends Error {
  override readonly name = "FormatError";
  /** In bytes from the beginning of the file. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(`${message} (at byte ${String(offset)})`);
    this.offset = offset;
  }
}

/** Runs `read`, and says of which file it is that its format is broken. @throws ImageFailure instead of FormatError. */
export function ofFile<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new ImageFailure(`${file}: ${cause.message}`, undefined, { cause });
  }
}
