#!/usr/bin/env node
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

if (existsSync(new URL("../dist/tesserae.js", import.meta.url))) {
  const { tesserae } = await import("../dist/tesserae.js");
  process.exitCode = await tesserae(process.argv.slice(2));
} else {
  const checkout = fileURLToPath(new URL("../../..", import.meta.url));
  process.stderr.write(`tesserae: error: the tool is not built yet\n  run, in ${checkout}: npm run build\n`);
  process.exitCode = 1;
}
