/** What became of some bytes: the values of the lines that they ended, or what is wrong with the first that is none. */
export interface JsonLines {
  readonly values: readonly unknown[];
  /** Absent while all is well. After it nothing is taken any more. */
  readonly problem?: string;
}

/** Cuts a stream of bytes into lines, each a JSON value. A line that is too long is a problem, not an allocation. */
export class JsonLineParser {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  readonly #longest: number;
  #rest = "";
  #broken = false;

  /** @param longest bytes of a line at most, in UTF-16 units once decoded */
  constructor(longest = 1 << 20) {
    this.#longest = longest;
  }

  /** Takes the next bytes. Empty lines are passed over. */
  take(bytes: Uint8Array): JsonLines {
    if (this.#broken) return { values: [] };
    const values: unknown[] = [];
    let text: string;
    try {
      text = this.#decoder.decode(bytes, { stream: true });
    } catch {
      return this.#break(values, "it is not UTF-8");
    }
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.length > this.#longest) return this.#break(values, `a line of ${String(line.length)} characters`);
      if (line.trim() === "") continue;
      try {
        values.push(JSON.parse(line));
      } catch {
        return this.#break(values, `a line is not JSON: ${line.slice(0, 80)}`);
      }
    }
    if (this.#rest.length > this.#longest) {
      return this.#break(values, `a line of more than ${String(this.#longest)} characters`);
    }
    return { values };
  }

  #break(values: readonly unknown[], problem: string): JsonLines {
    this.#broken = true;
    this.#rest = "";
    return { values, problem };
  }
}
