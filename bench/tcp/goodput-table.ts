// The golden table as Markdown and as a picture.
import { bandwidths, losses, lossName, rateName, roundTrips, type Cell } from "../../test/path/golden.ts";

/** As in `9.41 M`. */
export function formatRate(rate: number): string {
  if (Number.isNaN(rate)) return "–";
  if (rate >= 1e9) return `${(rate / 1e9).toPrecision(3)} G`;
  if (rate >= 1e6) return `${(rate / 1e6).toPrecision(3)} M`;
  return `${(rate / 1e3).toPrecision(3)} k`;
}

/** A row for each bandwidth and round trip, a column for each loss. `text` says what is in a cell. */
export function markdownTable(text: (cell: Cell) => string): string {
  const row = (texts: readonly string[]): string => `| ${texts.join(" | ")} |`;
  const rows = bandwidths.flatMap((bandwidth) =>
    roundTrips.map((roundTrip) =>
      row([rateName(bandwidth), `${roundTrip} ms`, ...losses.map((loss) => text({ loss, roundTrip, bandwidth }))]),
    ),
  );
  const head = ["bandwidth", "round trip", ...losses.map((loss) => `loss ${lossName(loss)}`)];
  return [row(head), row(head.map(() => "---")), ...rows].join("\n");
}

/** One grid of the picture. */
export interface Grid {
  readonly title: string;
  /** A number around 1: 1 is grey, above green, below red. NaN: not measured. */
  readonly ratio: (cell: Cell) => number;
  /** What is written in a cell. */
  readonly text: (cell: Cell) => string;
}

const cellWidth = 74;
const cellHeight = 22;
const left = 150;
const top = 60;

/** The grids one below the other. */
export function svg(grids: readonly Grid[]): string {
  const rows = bandwidths.length * roundTrips.length;
  const gridHeight = top + rows * cellHeight + 30;
  const width = left + losses.length * cellWidth + 20;
  const height = grids.length * gridHeight;
  const parts: string[] = [];
  grids.forEach((grid, index) => {
    const y0 = index * gridHeight;
    parts.push(label(10, y0 + 22, grid.title, "start", "bold 14px"));
    losses.forEach((loss, column) => {
      parts.push(label(left + (column + 0.5) * cellWidth, y0 + top - 8, `loss ${lossName(loss)}`, "middle"));
    });
    bandwidths.forEach((bandwidth, band) => {
      roundTrips.forEach((roundTrip, line) => {
        const y = y0 + top + (band * roundTrips.length + line) * cellHeight;
        parts.push(label(left - 8, y + 15, `${rateName(bandwidth)}, ${roundTrip} ms`, "end"));
        losses.forEach((loss, column) => {
          const cell = { loss, roundTrip, bandwidth };
          const x = left + column * cellWidth;
          const colour = colourOf(grid.ratio(cell));
          parts.push(
            `<rect x="${x}" y="${y}" width="${cellWidth - 1}" height="${cellHeight - 1}" fill="${colour}"/>`,
            label(x + cellWidth / 2, y + 15, grid.text(cell), "middle"),
          );
        });
      });
    });
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

/** Half as much and less is red, twice as much and more is green. */
function colourOf(ratio: number): string {
  if (Number.isNaN(ratio)) return "#f4f4f4";
  const strength = Math.max(-1, Math.min(1, Math.log2(ratio)));
  const hue = strength < 0 ? 5 : 135;
  return `hsl(${hue} 60% ${Math.round(93 - 38 * Math.abs(strength))}%)`;
}

function label(x: number, y: number, text: string, anchor: string, font = "12px"): string {
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" style="font:${font} sans-serif" fill="#222">${escaped}</text>`;
}
