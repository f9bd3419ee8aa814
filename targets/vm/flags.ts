import type { FlagPlan } from "@tesserae/image/arguments";
import type { KeyPlan } from "@tesserae/image/key";
import { readIpv4Flags } from "@tesserae/node/ipv4-flags";

/** The words of the boot command line that the vm target's `boot` understands, beside the keys of the image. */
export const vmFlags: readonly FlagPlan[] = [
  { name: "dhcp", doc: "ask the network for an address, as ipv4=dhcp" },
  { name: "gateway", value: "ADDRESS", doc: "our router, with an address in ipv4" },
  { name: "log", value: "LEVEL", doc: "least important lines to log, as log-level" },
];

/** Those of {@link vmFlags} that mean something for an image with these keys. */
export function flagsFor(keys: readonly KeyPlan[]): readonly FlagPlan[] {
  const hasStack = addressKey(keys) !== undefined;
  const hasLog = keys.some((each) => each.name === "logLevel");
  return vmFlags.filter(({ name }) => (name === "log" ? hasLog : hasStack));
}

/**
 * The texts of keys that the flags set.
 *
 * @param keys the run-time keys of the image
 * @param given the texts of those that were given
 * @throws StartError naming the flag.
 */
export function readFlags(
  flags: Readonly<Record<string, string>>,
  keys: readonly KeyPlan[],
  given: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const set: Record<string, string> = {};
  const ipv4 = readIpv4Flags(flags, given["ipv4"] ?? addressKey(keys)?.default);
  if (ipv4 !== undefined) set["ipv4"] = ipv4;
  if (flags["log"] !== undefined) set["logLevel"] = flags["log"];
  return set;
}

function addressKey(keys: readonly KeyPlan[]): KeyPlan | undefined {
  return keys.find((each) => each.name === "ipv4" && each.type.kind === "interface4");
}
