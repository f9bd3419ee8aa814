/** Media types by file name extension (IANA "Media Types"), for what a site is made of. */
const types = new Map<string, string>([
  ...text("html htm", "text/html"),
  ...text("css", "text/css"),
  ...text("js mjs", "text/javascript"),
  ...text("txt log", "text/plain"),
  ...text("md", "text/markdown"),
  ...text("csv", "text/csv"),
  ...text("ics", "text/calendar"),
  ...text("xml", "application/xml"),
  ...each("json map", "application/json"),
  ...each("webmanifest", "application/manifest+json"),
  ...each("jsonld", "application/ld+json"),
  ...each("atom", "application/atom+xml"),
  ...each("rss", "application/rss+xml"),
  ...each("xhtml", "application/xhtml+xml"),
  ...each("svg", "image/svg+xml"),
  ...each("png", "image/png"),
  ...each("jpg jpeg", "image/jpeg"),
  ...each("gif", "image/gif"),
  ...each("webp", "image/webp"),
  ...each("avif", "image/avif"),
  ...each("bmp", "image/bmp"),
  ...each("ico", "image/vnd.microsoft.icon"),
  ...each("woff", "font/woff"),
  ...each("woff2", "font/woff2"),
  ...each("ttf", "font/ttf"),
  ...each("otf", "font/otf"),
  ...each("mp3", "audio/mpeg"),
  ...each("ogg oga opus", "audio/ogg"),
  ...each("wav", "audio/wav"),
  ...each("mp4 m4v", "video/mp4"),
  ...each("webm", "video/webm"),
  ...each("wasm", "application/wasm"),
  ...each("pdf", "application/pdf"),
  ...each("zip", "application/zip"),
  ...each("gz", "application/gzip"),
  ...each("tar", "application/x-tar"),
]);

function each(extensions: string, type: string): [string, string][] {
  return extensions.split(" ").map((extension) => [extension, type]);
}

function text(extensions: string, type: string): [string, string][] {
  return each(extensions, `${type};charset=utf-8`);
}

/** The media type for a file name or key, `application/octet-stream` when its extension says nothing. */
export function mediaType(name: string): string {
  const dot = name.lastIndexOf(".");
  const extension = dot > name.lastIndexOf("/") ? name.slice(dot + 1).toLowerCase() : "";
  return types.get(extension) ?? "application/octet-stream";
}
