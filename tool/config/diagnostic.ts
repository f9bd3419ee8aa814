import { formatLocation, type Location } from "./location.ts";

/** Something the developer has to change. */
export interface Diagnostic {
  /** Where; absent when it is nowhere in particular. */
  readonly location?: Location;
  /** What is wrong: one line or a short paragraph, without a full stop when it is one clause. */
  readonly message: string;
  /** What would put it right. */
  readonly fix?: string;
}

/** `file:line:column: error: message`, and the remedy indented on the next line. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const place = diagnostic.location === undefined ? "" : `${formatLocation(diagnostic.location)}: `;
  const fix = diagnostic.fix === undefined ? "" : `\n  ${diagnostic.fix.replaceAll("\n", "\n  ")}`;
  return `${place}error: ${diagnostic.message}${fix}`;
}

/** A declaration that is wrong by itself, thrown where it is made; its stack leads to the place. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly fix: string | undefined;

  constructor(message: string, fix?: string) {
    super(message);
    this.fix = fix;
  }
}
