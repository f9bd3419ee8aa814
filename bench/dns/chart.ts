// Bars for races: one group for each race, one bar for each contender, as long as its rate.
import type { Figure } from "../harness/race.ts";

const palette = ["#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#9c755f"];
const width = 900;
const labels = 230;
const bar = 16;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** An SVG picture of the figures, which are in the order of their races. */
export function chart(title: string, figures: readonly Figure[]): string {
  const names = [...new Set(figures.map(({ contender }) => contender))];
  const races = [...new Set(figures.map(({ race }) => race))];
  const largest = Math.max(...figures.map(({ rate }) => rate), 1);
  const lines: string[] = [];
  let y = 40;
  for (const race of races) {
    y += 14;
    lines.push(`<text x="10" y="${y}" font-weight="bold">${escaped(race)}</text>`);
    y += 6;
    for (const { contender, rate } of figures.filter((figure) => figure.race === race)) {
      const length = Math.round(((width - labels - 80) * rate) / largest);
      const fill = palette[names.indexOf(contender) % palette.length] ?? "#888888";
      lines.push(
        `<text x="${labels - 8}" y="${y + 12}" text-anchor="end">${escaped(contender)}</text>`,
        `<rect x="${labels}" y="${y + 1}" width="${length}" height="${bar - 3}" fill="${fill}"/>`,
        `<text x="${labels + length + 5}" y="${y + 12}">${(rate / 1000).toPrecision(3)} k</text>`,
      );
      y += bar;
    }
    y += 10;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 10}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="10" y="24" font-size="16">${escaped(title)}</text>
${lines.join("\n")}
</svg>
`;
}
