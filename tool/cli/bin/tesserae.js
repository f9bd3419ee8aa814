#!/usr/bin/env node
import { existsSync } from "node:fs";

if (existsSync(new URL("../dist/tesserae.js", import.meta.url))) {
  const { tesserae } = await import("../dist/tesserae.js");
  process.exitCode = await tesserae(process.argv.slice(2));
} else {
  process.stderr.write("tesserae: error: the tool is not built yet\n  run: npm run build\n");
  process.exitCode = 1;
}
