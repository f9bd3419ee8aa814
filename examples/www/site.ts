import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { Timers } from "@tesserae/device/clock";
import type { Kv } from "@tesserae/device/kv";
import { staticFiles } from "@tesserae/http/static-files";
import { Hono } from "hono";
import { noise } from "./noise.ts";

/** An ordinary Hono application: pages compiled into the image, and a few that are computed. */
export function createSite({ files, timers }: { files: Kv; timers: Timers }): Hono {
  const started = timers.now();
  let visits = 0;
  const app = new Hono();
  const pages = staticFiles(files);

  app.get("/now", (context) => {
    visits++;
    const seconds = ((timers.now() - started) / 1000).toFixed(1);
    return context.html(
      `<!doctype html><title>Now</title><link rel="stylesheet" href="/style.css">` +
        `<main><h1>Now</h1><p>Up for ${seconds} s; visit number ${visits}.</p><p><a href="/">Back</a></p></main>`,
    );
  });

  app.get("/api/hello/:name", (context) => context.json({ hello: context.req.param("name") }));

  /** As many bytes of noise as asked for, the same ones each time: something to measure downloads with. */
  app.get("/noise/:bytes", (context) => {
    const bytes = Number(context.req.param("bytes"));
    if (!Number.isSafeInteger(bytes) || bytes < 0) return context.text("how many bytes?\n", 400);
    return context.body(noise(bytes), 200, {
      "content-type": "application/octet-stream",
      "content-length": String(bytes),
    });
  });

  /** Reads a body of any size and answers with its SHA-256. */
  app.put("/digest", async (context) => {
    const hash = sha256.create();
    const reader = context.req.raw.body?.getReader();
    for (;;) {
      const chunk = await reader?.read();
      if (chunk?.value === undefined) break;
      hash.update(chunk.value);
    }
    return context.text(`${bytesToHex(hash.digest())}\n`);
  });

  app.all("*", (context) => pages(context.req.raw));
  return app;
}
