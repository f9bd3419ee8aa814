// A flame graph as SVG: a bar for each function, as wide as its share of the time, on the one that called it.
import type { Frame } from "./profile.ts";

const width = 1200;
const rowHeight = 17;
/** Shares below this are left out. */
const least = 0.004;
/** A character of the font, in pixels. */
const character = 6.1;

/** Colours by where a function is from; the first that matches. */
const colours: readonly (readonly [start: string, colour: string, what: string])[] = [
  ["lib/dns", "#59a14f", "lib/dns"],
  ["lib/http", "#59a14f", "lib/http"],
  ["lib/tcpip/tcp", "#4e79a7", "TCP"],
  ["lib/tcpip/udp", "#4e79a7", "UDP"],
  ["lib/tcpip", "#76b7b2", "IP and below"],
  ["targets", "#f28e2b", "the device"],
  ["lib", "#9c9ede", "other libraries"],
  ["bench", "#edc948", "the application"],
  ["", "#bab0ac", "Node.js and V8"],
];

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function colourOf({ source }: Frame): string {
  return colours.find(([start]) => source.startsWith(start))?.[1] ?? "#bab0ac";
}

/** The share of the time that is spent in each part itself, the largest first. */
export function sharesOf(root: Frame): [part: string, share: number][] {
  const shares = new Map<string, number>();
  const add = (frame: Frame): void => {
    let own = frame.total;
    for (const child of frame.children.values()) {
      own -= child.total;
      add(child);
    }
    const { source } = frame;
    const part =
      frame.name === "the kernel" ? frame.name : (colours.find(([start]) => source.startsWith(start))?.[2] ?? "");
    shares.set(part, (shares.get(part) ?? 0) + own / root.total);
  };
  add(root);
  return [...shares].sort(([, a], [, b]) => b - a);
}

/** The picture. Its bars tell their name, file and share when they are pointed at. */
export function flameGraph(title: string, root: Frame): string {
  const bars: string[] = [];
  let deepest = 0;
  const draw = (frame: Frame, x: number, depth: number): void => {
    const share = frame.total / root.total;
    if (share < least) return;
    deepest = Math.max(deepest, depth);
    const length = share * width;
    const label = `${frame.name}${frame.source === "" ? "" : ` — ${frame.source}`}, ${(share * 100).toFixed(1)} %`;
    const fits = Math.floor((length - 6) / character);
    const text = frame.name.length <= fits ? frame.name : fits > 3 ? `${frame.name.slice(0, fits - 1)}…` : "";
    bars.push(
      `<g transform="translate(${x.toFixed(1)} ROW${depth})"><title>${escaped(label)}</title>` +
        `<rect width="${Math.max(0.5, length - 0.5).toFixed(1)}" height="${rowHeight - 1}" fill="${colourOf(frame)}"/>` +
        (text === "" ? "" : `<text x="3" y="12">${escaped(text)}</text>`) +
        "</g>",
    );
    let at = x;
    const children = [...frame.children.values()].sort((a, b) => b.total - a.total);
    for (const child of children) {
      draw(child, at, depth + 1);
      at += (child.total / root.total) * width;
    }
  };
  draw(root, 0, 0);
  const height = 56 + (deepest + 1) * rowHeight;
  // Callers below, as flames stand.
  const placed = bars.map((bar) =>
    bar.replace(/ROW(\d+)/, (_, depth: string) => String(height - 6 - (Number(depth) + 1) * rowHeight)),
  );
  const legend = colours.map(
    ([, colour, what], index) =>
      `<rect x="${10 + index * 130}" y="32" width="10" height="10" fill="${colour}"/>` +
      `<text x="${24 + index * 130}" y="41">${escaped(what)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="10" y="20" font-size="15">${escaped(title)}</text>
${legend.join("\n")}
${placed.join("\n")}
</svg>
`;
}
