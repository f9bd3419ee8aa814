import { formatDiagnostic, type Diagnostic } from "@tesserae/config/diagnostic";

/** What ends a command without a stack trace: the developer has to change something. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly diagnostics: readonly Diagnostic[];
  /** The exit status: 2 for a command line that makes no sense, else 1. */
  readonly status: 1 | 2;

  constructor(diagnostics: readonly Diagnostic[], status: 1 | 2 = 1) {
    super(diagnostics.map(formatDiagnostic).join("\n"));
    this.diagnostics = diagnostics;
    this.status = status;
  }
}

/** A command line that makes no sense. */
export function usage(message: string, fix?: string): Failure {
  return new Failure([{ message, ...(fix === undefined ? {} : { fix }) }], 2);
}

/** A failure in one sentence, with the remedy. */
export function failure(message: string, fix?: string): Failure {
  return new Failure([{ message, ...(fix === undefined ? {} : { fix }) }]);
}

/** The code of a system error (`ENOENT`), or `undefined`. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
