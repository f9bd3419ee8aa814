import type { XenDomain } from "@tesserae/xen/domain";
import { lookAgain } from "./look-again.ts";

/** What a toolstack asks a domain for, in its node `control/shutdown` (Xen's docs/misc/xenstore-paths). */
export type ShutdownRequest = "poweroff" | "halt" | "reboot" | "suspend";

const node = "control/shutdown";
const requests: ReadonlySet<string> = new Set<ShutdownRequest>(["poweroff", "halt", "reboot", "suspend"]);
const isRequest = (text: string): text is ShutdownRequest => requests.has(text);

/**
 * Calls back at each request of the toolstack (`xl shutdown`, `xl reboot`, `xl save`), which was acknowledged then.
 * Others are left alone. Says in xenstore what is heard, so that the toolstack need not guess.
 *
 * @returns ends it
 * @throws XenstoreError (rejects)
 */
export async function watchShutdown(
  { xenstore }: Pick<XenDomain, "xenstore">,
  callback: (request: ShutdownRequest) => void,
): Promise<() => Promise<void>> {
  for (const feature of ["poweroff", "reboot", "suspend"]) {
    // An older toolstack does not give the node; it does not ask for it either.
    await xenstore.write(`control/feature-${feature}`, "1").catch(() => undefined);
  }
  const look = async (): Promise<void> => {
    const request = await xenstore.transaction(async (nodes) => {
      const text = (await nodes.readIfThere(node)) ?? "";
      if (!isRequest(text)) return undefined;
      await nodes.write(node, "");
      return text;
    });
    if (request !== undefined) callback(request);
  };
  // When the store is gone nothing more is asked for.
  return xenstore.watch(node, lookAgain(look));
}
