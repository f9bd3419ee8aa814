import type { IpAddress, Prefix } from "@tesserae/device/address";
import { equalNames } from "../name-bytes.ts";
import type { TsigKey } from "../tsig/key.ts";

/** Who may do something: all that it names must hold. A rule that names nothing holds for everybody. */
export interface AccessRule {
  /** The client's address is in one of these. */
  readonly from?: readonly Prefix[];
  /** The message is signed with this key (by name; the key itself was checked). */
  readonly key?: Uint8Array;
}

/** Whether one of the rules holds. */
export function isAllowed(rules: readonly AccessRule[], client: IpAddress, key: TsigKey | undefined): boolean {
  return rules.some((rule) => holds(rule, client, key));
}

export function holds(rule: AccessRule, client: IpAddress, key: TsigKey | undefined): boolean {
  if (rule.key !== undefined && (key === undefined || !equalNames(rule.key, key.name))) return false;
  return rule.from === undefined || rule.from.some((prefix) => prefix.contains(client));
}
