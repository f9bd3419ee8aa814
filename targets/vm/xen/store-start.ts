/** How `init-xenstore-domain` says to a domain that it is to serve xenstore. */
export interface StoreStart {
  /** The domain that the first ring is of. */
  readonly master: number;
  /** Its event channel. */
  readonly port: number;
}

/** Undefined when the command line says nothing of the kind: `--event N`, and `--master-domid N`, which may be left out. */
export function parseStoreStart(commandLine: string): StoreStart | undefined {
  const numberOf = (name: string): number | undefined => {
    const found = new RegExp(`(?:^|\\s)--${name}[= ](\\d{1,9})(?=\\s|\\0|$)`).exec(commandLine)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const port = numberOf("event");
  return port === undefined ? undefined : { master: numberOf("master-domid") ?? 0, port };
}

/** The command line without what {@link parseStoreStart} reads. */
export function withoutStoreStart(commandLine: string): string {
  return commandLine.replaceAll(/(^|\s)--(?:event|master-domid)[= ]\d{1,9}(?=\s|\0|$)/g, "$1");
}
