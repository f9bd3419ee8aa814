import type { FuzzFailure } from "./fuzzer.ts";

/** `bytes` as hex digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
}

/** What broke, with which input, and how to see it again. */
export function describeFailure(name: string, seed: number, failure: FuzzFailure): string {
  const { error, input } = failure;
  const text = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  return [
    `fuzz target "${name}" fails (seed ${seed}) on ${input.length} bytes:`,
    `  ${hex(input) || "(none)"}`,
    `replay: node scripts/soak.mjs ${quoted(name)} --input ${hex(input) || '""'}`,
    text,
  ].join("\n");
}

/** The name as a word of a command line. */
export function quoted(name: string): string {
  return /^[\w./-]+$/.test(name) ? name : JSON.stringify(name);
}
