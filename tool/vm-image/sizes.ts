/** What one part of an image takes, in bytes. */
export interface PartSize {
  /** `kernel`, `node`, `language data`, `libc.so.6`, `application`, … */
  readonly part: string;
  /** As it was before. */
  readonly raw: number;
  /** In the kernel's file or the image. */
  readonly image: number;
}

/** A table of parts with their sum, a line each, in KiB. */
export function sizeTable(parts: readonly PartSize[]): readonly string[] {
  const sum = (size: (part: PartSize) => number): number => parts.reduce((total, part) => total + size(part), 0);
  const all = [...parts, { part: "in all", raw: sum(({ raw }) => raw), image: sum(({ image }) => image) }];
  const rows = [
    ["", "before", "in the image"],
    ...all.map(({ part, raw, image }) => [part, kibibytes(raw), kibibytes(image)]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map(([part = "", raw = "", image = ""]) => {
    const [first = 0, second = 0, third = 0] = widths;
    return `  ${part.padEnd(first)}  ${raw.padStart(second)}  ${image.padStart(third)}`;
  });
}

function kibibytes(bytes: number): string {
  const grouped = String(Math.ceil(bytes / 1024)).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${grouped} KiB`;
}
