// What a scenario sees, side by side for each of its parties.

/** Lines by party. The order between parties is a matter of timing and not compared. */
export class Transcript {
  readonly parties: Record<string, string[]> = {};

  /** Writes down an event; ports that the system chose are the same text each time when given through `mask`. */
  log(party: string, ...what: readonly unknown[]): void {
    const lines = (this.parties[party] ??= []);
    lines.push(what.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join(" "));
  }
}

/** What identifies an error to a program. */
export function describeError(error: unknown, mask: readonly (readonly [unknown, string])[] = []): string {
  // as: Node's errors have these; on others they are undefined.
  const { code, errno, syscall, address, port, message } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  let text = JSON.stringify({ code, errno, syscall, address, port, message });
  for (const [value, name] of mask) text = text.replaceAll(String(value), name);
  return text;
}
