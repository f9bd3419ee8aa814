/** Who may read and write a node. */

/** Bits of what is allowed. */
export const access = { none: 0, read: 1, write: 2, both: 3 } as const;
/** Beside them in what is asked for: only the owner has it. */
export const asOwner = 4;

/** What one domain may do. */
export interface Permission {
  readonly domain: number;
  /** Which of the domains that had this number, one after the other: rights do not pass from one to the next. */
  readonly life: number;
  /** Of {@link access}. */
  readonly access: number;
}

/** The first names the owner, and what all may do that are not named; the others name domains. Never empty. */
export type Permissions = readonly [Permission, ...Permission[]];

/** On whose behalf something is done. */
export interface Actor {
  readonly domain: number;
  /** The domain that it acts for as well (SET_TARGET), or −1. */
  readonly target: number;
  /** May do everything: domain 0, and whoever comes by a local socket. */
  readonly privileged: boolean;
}

/** Which life a number of a domain is in. */
export type LifeOf = (domain: number) => number;

const letters = "nrwb";

/** As on the wire: `n0`, `r3`. */
export function printPermission(permission: Permission): string {
  return `${letters[permission.access] ?? "n"}${permission.domain}`;
}

/** @returns undefined when the text is no permission */
export function parsePermission(text: string, lifeOf: LifeOf): Permission | undefined {
  const granted = letters.indexOf(text.slice(0, 1));
  const digits = text.slice(1);
  if (text === "" || granted < 0 || !/^\d{1,5}$/.test(digits) || Number(digits) > 65_535) return undefined;
  return { domain: Number(digits), life: lifeOf(Number(digits)), access: granted };
}

/** Whether the actor may do all of `wanted`: bits of {@link access}, and {@link asOwner}. */
export function isAllowed(permissions: Permissions, actor: Actor, wanted: number, lifeOf: LifeOf): boolean {
  if (actor.privileged) return true;
  const isActor = ({ domain, life }: Permission): boolean =>
    (domain === actor.domain || domain === actor.target) && life === lifeOf(domain);
  if (isActor(permissions[0])) return true;
  if ((wanted & asOwner) !== 0) return false;
  for (let index = 1; index < permissions.length; index++) {
    const each = permissions[index];
    if (each !== undefined && isActor(each)) return (each.access & wanted) === wanted;
  }
  return (permissions[0].access & wanted) === wanted;
}

/** Those of a node that an actor makes: as its parent's, but what an ordinary domain makes it owns. */
export function inherited(parent: Permissions, actor: Actor, lifeOf: LifeOf): Permissions {
  if (actor.privileged) return parent;
  const [first, ...others] = parent;
  return [{ domain: actor.domain, life: lifeOf(actor.domain), access: first.access }, ...others];
}
