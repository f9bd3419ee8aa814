import { createMemoryKv } from "@tesserae/kv/memory";
import { describe, expect, test } from "vitest";
import { formatDate } from "./date.ts";
import { staticFiles, type StaticFilesOptions } from "./static-files.ts";

const modified = Date.UTC(2020, 1, 3);

async function site(
  options: StaticFilesOptions = {},
): Promise<(path: string, headers?: Record<string, string>, method?: string) => Promise<Response>> {
  const kv = createMemoryKv();
  const files: Record<string, string> = {
    "index.html": "<h1>home",
    "a.txt": "0123456789",
    "b/index.html": "<h1>b",
    "c.js": "let c;",
    "c.js.br": "BR",
    "c.js.gz": "GZIP",
    "é t.txt": "accent",
    ".secret": "x",
    "b/.git/config": "x",
    ".well-known/x": "well",
    "big.bin": "x".repeat(200_000),
  };
  for (const [key, text] of Object.entries(files)) await kv.set(key, Buffer.from(text));
  const dated = {
    stat: async (key: string) => {
      const entry = await kv.stat(key);
      return entry === undefined ? undefined : { ...entry, modified };
    },
    get: (key: string, offset?: number, length?: number) => kv.get(key, offset, length),
    list: (prefix?: string) => kv.list(prefix),
    close: () => kv.close(),
  };
  const handle = staticFiles(dated, options);
  return (path, headers = {}, method = "GET") => handle(new Request(`http://a${path}`, { headers, method }));
}

describe("what is served", () => {
  test.each([
    ["/", "<h1>home", "text/html;charset=utf-8"],
    ["/index.html?x=1", "<h1>home", "text/html;charset=utf-8"],
    ["/a.txt", "0123456789", "text/plain;charset=utf-8"],
    ["/b/", "<h1>b", "text/html;charset=utf-8"],
    ["/%C3%A9%20t.txt", "accent", "text/plain;charset=utf-8"],
    ["/.well-known/x", "well", "application/octet-stream"],
  ])("%s", async (path, body, type) => {
    const response = await (await site())(path);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe(type);
    expect(await response.text()).toBe(body);
  });

  test.each([
    ...["/none", "/b/none/", "/.secret", "/b/.git/config", "/a.txt/", "//a.txt", "/b%2findex.html", "/b%5cindex.html"],
    ...["/%", "/%ff", "/a.txt%00", "/%2e%2e%2fa.txt", "/b/..%2fa.txt"],
  ])("not %s", async (path) => {
    expect((await (await site())(path)).status).toBe(404);
  });

  test("a directory without its slash is redirected, with its query", async () => {
    const response = await (await site())("/b?q=1");
    expect([response.status, response.headers.get("location")]).toEqual([308, "/b/?q=1"]);
  });

  test("a prefix stands for the root", async () => {
    const get = await site({ prefix: "/static" });
    expect((await get("/static/a.txt")).status).toBe(200);
    expect((await get("/a.txt")).status).toBe(404);
  });

  test("what is not found is the next handler's", async () => {
    const get = await site({ notFound: () => new Response("mine") });
    expect(await (await get("/none")).text()).toBe("mine");
  });

  test("a large file comes whole", async () => {
    const response = await (await site())("/big.bin");
    expect(await response.text()).toBe("x".repeat(200_000));
  });

  test("other methods are not allowed", async () => {
    const response = await (await site())("/a.txt", {}, "PUT");
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("HEAD tells the length", async () => {
    const response = await (await site())("/a.txt", {}, "HEAD");
    expect([response.headers.get("content-length"), await response.text()]).toEqual(["10", ""]);
  });
});

describe("precompressed neighbours", () => {
  test.each([
    ["br, gzip", "br", "BR"],
    ["gzip", "gzip", "GZIP"],
    ["gzip, br;q=0", "gzip", "GZIP"],
    ["identity", null, "let c;"],
    ["*", "br", "BR"],
  ])("%s", async (accept, coding, body) => {
    const response = await (await site())("/c.js", { "accept-encoding": accept });
    expect(response.headers.get("content-encoding")).toBe(coding);
    expect(response.headers.get("content-type")).toBe("text/javascript;charset=utf-8");
    expect(response.headers.get("vary")).toBe("accept-encoding");
    expect(await response.text()).toBe(body);
  });

  test("each coding has its own tag", async () => {
    const get = await site();
    const tags = await Promise.all(
      ["br", "gzip", "identity"].map(async (each) =>
        (await get("/c.js", { "accept-encoding": each })).headers.get("etag"),
      ),
    );
    expect(new Set(tags).size).toBe(3);
  });
});

describe("conditions (RFC 9110 §13)", () => {
  const before = formatDate(modified - 1000);
  const at = formatDate(modified);
  test.each<[Record<string, string>, number]>([
    [{ "if-none-match": "TAG" }, 304],
    [{ "if-none-match": '"x", W/TAG' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"x"' }, 200],
    [{ "if-none-match": '"x"', "if-modified-since": at }, 200],
    [{ "if-modified-since": at }, 304],
    [{ "if-modified-since": before }, 200],
    [{ "if-modified-since": "yesterday" }, 200],
    [{ "if-match": "TAG" }, 200],
    [{ "if-match": "*" }, 200],
    [{ "if-match": '"x"' }, 412],
    [{ "if-match": "W/TAG" }, 412],
    [{ "if-unmodified-since": at }, 200],
    [{ "if-unmodified-since": before }, 412],
    [{ "if-match": "TAG", "if-unmodified-since": before }, 200],
    [{ "if-match": '"x"', "if-none-match": "TAG" }, 412],
    [{ range: "bytes=0-1", "if-range": "TAG" }, 206],
    [{ range: "bytes=0-1", "if-range": "W/TAG" }, 200],
    [{ range: "bytes=0-1", "if-range": '"x"' }, 200],
    [{ range: "bytes=0-1", "if-range": at }, 206],
    [{ range: "bytes=0-1", "if-range": before }, 200],
    [{ range: "bytes=0-1", "if-none-match": "TAG" }, 304],
  ])("%j gives %i", async (conditions, status) => {
    const get = await site();
    const tag = (await get("/a.txt")).headers.get("etag")!;
    const headers = Object.fromEntries(
      Object.entries(conditions).map(([name, value]) => [name, value.replace("TAG", tag)]),
    );
    const response = await get("/a.txt", headers);
    expect(response.status).toBe(status);
    if (status !== 412) expect(response.headers.get("etag")).toBe(tag);
    if (status === 304) expect(await response.text()).toBe("");
  });
});

describe("ranges (RFC 9110 §14)", () => {
  test("one", async () => {
    const response = await (await site())("/a.txt", { range: "bytes=2-4" });
    expect([response.status, response.headers.get("content-range"), await response.text()]).toEqual([
      206,
      "bytes 2-4/10",
      "234",
    ]);
  });

  test("several make parts", async () => {
    const response = await (await site())("/a.txt", { range: "bytes=0-1,-2" });
    const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(response.headers.get("content-type")!)![1]!;
    const part = (range: string, body: string): string =>
      `--${boundary}\r\ncontent-type: text/plain;charset=utf-8\r\ncontent-range: bytes ${range}/10\r\n\r\n${body}\r\n`;
    expect(await response.text()).toBe(`${part("0-1", "01")}${part("8-9", "89")}--${boundary}--\r\n`);
  });

  test("a long one comes in pieces", async () => {
    const response = await (await site())("/big.bin", { range: "bytes=10-150009" });
    expect((await response.text()).length).toBe(150_000);
  });

  test("none that can be had is 416 with the size", async () => {
    const response = await (await site())("/a.txt", { range: "bytes=10-" });
    expect([response.status, response.headers.get("content-range")]).toEqual([416, "bytes */10"]);
  });
});
