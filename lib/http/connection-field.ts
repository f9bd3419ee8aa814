import { equalsIgnoreCase } from "./octets.ts";

/** The options of a Connection field that matter here (RFC 9110 §7.6.1), as bits. */
export const connectionClose = 1;
export const connectionKeepAlive = 2;
export const connectionUpgrade = 4;

/** The union of the options that `value` names; others are ignored. */
export function connectionOptions(value: string): number {
  if (equalsIgnoreCase(value, "keep-alive")) return connectionKeepAlive;
  if (equalsIgnoreCase(value, "close")) return connectionClose;
  let options = 0;
  for (const part of value.split(",")) {
    const option = part.trim();
    if (equalsIgnoreCase(option, "close")) options |= connectionClose;
    else if (equalsIgnoreCase(option, "keep-alive")) options |= connectionKeepAlive;
    else if (equalsIgnoreCase(option, "upgrade")) options |= connectionUpgrade;
  }
  return options;
}

/**
 * Whether the sender keeps the connection open after this message (RFC 9112 §9.3).
 *
 * @param minor of the version: 0 or 1
 */
export function keepsAlive(options: number, minor: number): boolean {
  if ((options & connectionClose) !== 0) return false;
  return minor > 0 || (options & connectionKeepAlive) !== 0;
}
