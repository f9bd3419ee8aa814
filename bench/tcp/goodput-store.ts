// What was measured for the golden table, kept in a file from run to run: a run that ends early loses nothing, and one of
// a few cells leaves the others as they were.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { nameOf, type Cell } from "../../test/path/golden.ts";

/** Goodputs in bits a second: by column of the table (as in `ours→Linux`), then by cell, one a round. */
type Figures = Record<string, Record<string, number[]>>;

interface Contents {
  readonly figures: Figures;
  /** Sections that are no table of cells, as Markdown, by title. */
  readonly texts: Record<string, string>;
}

export class GoodputStore {
  readonly #file: string;
  readonly #contents: Contents;
  /** What this run has begun anew. */
  readonly #fresh = new Set<string>();
  readonly #resume: boolean;

  /** @param resume whether this run adds to the rounds there are, instead of replacing them cell by cell */
  constructor(file: string, resume: boolean) {
    this.#file = file;
    this.#resume = resume;
    // as: written by `#save`
    const kept = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Contents) : undefined;
    this.#contents = kept ?? { figures: {}, texts: {} };
  }

  /** How many rounds of a cell this run need not measure. */
  done(column: string, cell: Cell): number {
    return this.#resume ? this.#of(column, cell).length : 0;
  }

  add(column: string, cell: Cell, value: number): void {
    const name = nameOf(cell);
    const cells = (this.#contents.figures[column] ??= {});
    const key = `${column} ${name}`;
    const before = this.#resume || this.#fresh.has(key) ? this.#of(column, cell) : [];
    this.#fresh.add(key);
    cells[name] = [...before, Math.round(value)];
    this.#save();
  }

  text(title: string): string | undefined {
    return this.#contents.texts[title];
  }

  setText(title: string, text: string): void {
    this.#contents.texts[title] = text;
    this.#save();
  }

  count(column: string, cell: Cell): number {
    return this.#of(column, cell).length;
  }

  /** The geometric mean of the rounds; NaN without any. */
  of(column: string, cell: Cell): number {
    return Math.exp(mean(this.#of(column, cell).map(logarithm)));
  }

  /**
   * How many times as fast a column is as its rival in a cell: the geometric mean over the rounds, which have the same
   * seeds, and its standard error (as a share; NaN for one round).
   */
  against(column: string, rival: string, cell: Cell): readonly [ratio: number, error: number] {
    const rivals = this.#of(rival, cell);
    const pairs = this.#of(column, cell).slice(0, rivals.length);
    const logs = pairs.map((value, round) => logarithm(value) - logarithm(rivals[round] ?? 0));
    const middle = mean(logs);
    const squares = logs.reduce((sum, value) => sum + (value - middle) ** 2, 0);
    return [Math.exp(middle), logs.length < 2 ? Number.NaN : Math.sqrt(squares / (logs.length - 1) / logs.length)];
  }

  #of(column: string, cell: Cell): readonly number[] {
    return this.#contents.figures[column]?.[nameOf(cell)] ?? [];
  }

  #save(): void {
    const text = JSON.stringify(this.#contents, undefined, 1).replaceAll(/\[\s+([^\]]*?)\s+\]/g, (_, list: string) => {
      return `[${list.replaceAll(/\s+/g, " ")}]`;
    });
    writeFileSync(`${this.#file}.new`, `${text}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of a rate; nothing at all counts as a bit a second. */
function logarithm(rate: number): number {
  return Math.log(Math.max(1, rate));
}
