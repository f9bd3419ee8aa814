import { readFileSync } from "node:fs";

const ticksASecond = 100;

/** Milliseconds, of `/proc/PID/stat`: fields 14 and 15, user and system time in ticks. */
export function processorTimeOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksASecond;
}
