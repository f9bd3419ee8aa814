/** A place in a source file. Lines and columns count from 1. */
export interface Location {
  /** As the reader should see it: relative to the application's folder where possible. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `tesserae.config.ts:7:3`. */
export function formatLocation(location: Location): string {
  return `${location.file}:${String(location.line)}:${String(location.column)}`;
}

/**
 * Where we are called from, as the engine's stack trace: declarations keep it so that a later message can name the
 * place. {@link framesOf} reads it.
 */
export function stackTrace(): string {
  return new Error("declared here").stack ?? "";
}

/** The frames of a V8 stack trace, innermost first, `file:` URLs as they are. Frames without a place are left out. */
export function framesOf(stack: string): readonly Location[] {
  const frames: Location[] = [];
  for (const line of stack.split("\n")) {
    const match = /^\s+at (?:.*\()?((?:file:\/\/|\/|[A-Za-z]:[\\/])[^()]*?):(\d+):(\d+)\)?$/.exec(line);
    if (match?.[1] === undefined) continue;
    frames.push({ file: match[1], line: Number(match[2]), column: Number(match[3]) });
  }
  return frames;
}
