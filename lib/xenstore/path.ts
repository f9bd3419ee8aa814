/** Paths of nodes: `/` and names with a slash between them. */

/** Bytes of the longest absolute path, and of the longest relative one. */
export const longestAbsolute = 3072;
export const longestRelative = 2048;

/** What `@` begins: names of events that the server makes up, and no nodes. */
export type SpecialPath = "@introduceDomain" | "@releaseDomain";

export function isSpecial(path: string): path is SpecialPath {
  return path === "@introduceDomain" || path === "@releaseDomain";
}

/** Where relative paths of a domain begin. */
export function domainPath(domain: number): string {
  return `/local/domain/${domain}`;
}

/**
 * The absolute path that a client means.
 *
 * @param home where the client's relative paths begin
 * @returns undefined when the path is malformed: a character that is not allowed, a slash too many, too long
 */
export function absolutePath(path: string, home: string): string | undefined {
  if (path.startsWith("/")) return path.length <= longestAbsolute && isWellFormed(path) ? path : undefined;
  if (path.length > longestRelative || path.startsWith("@")) return undefined;
  const absolute = `${home}/${path}`;
  return isWellFormed(absolute) ? absolute : undefined;
}

function isWellFormed(path: string): boolean {
  return path === "/" || /^(?:\/[\w@-]+)+$/.test(path);
}

/** The names from the root down; none for the root itself. */
export function namesOf(path: string): string[] {
  return path === "/" ? [] : path.slice(1).split("/");
}

/** The path one level up; the root's is the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** The path of a child. */
export function childOf(path: string, name: string): string {
  return path === "/" ? `/${name}` : `${path}/${name}`;
}

/** Whether `path` is `ancestor` or below it. */
export function isWithin(path: string, ancestor: string): boolean {
  return ancestor === "/" || path === ancestor || path.startsWith(`${ancestor}/`);
}
