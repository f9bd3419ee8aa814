import type { Figure } from "./race.ts";

const head = ["race", "contender", "against", "ratio", "min–max", "rounds", "rate"];

/** A rate with three digits and a unit prefix: `12.3 M packets/s`. */
export function formatRate(rate: number, unit: string): string {
  for (const [size, prefix] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (rate >= size) return `${(rate / size).toPrecision(3)} ${prefix} ${unit}`;
  }
  return `${rate.toPrecision(3)} ${unit}`;
}

function cells(figure: Figure): string[] {
  const { median, min, max } = figure.ratio;
  const rate = formatRate(figure.rate, figure.unit);
  if (figure.contender === figure.rival) return [figure.race, figure.contender, "", "1", "", "", rate];
  const range = `${min.toFixed(2)}–${max.toFixed(2)}`;
  return [figure.race, figure.contender, figure.rival, median.toFixed(2), range, String(figure.rounds), rate];
}

/** The figures as a table for a terminal. */
export function formatTable(figures: readonly Figure[]): string {
  const rows = [head, ...figures.map(cells)];
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** The figures as a Markdown table. */
export function formatMarkdown(figures: readonly Figure[]): string {
  const row = (texts: readonly string[]): string =>
    `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
  return [row(head), row(head.map(() => "---")), ...figures.map((figure) => row(cells(figure)))].join("\n");
}
