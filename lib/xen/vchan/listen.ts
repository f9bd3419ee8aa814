import type { Flow } from "@tesserae/device/flow";
import type { XenDomain } from "../domain.ts";
import { serveVchan, type VchanServerOptions } from "./serve.ts";

/** What {@link listenVchan} makes. */
export interface VchanListener {
  /** Offers no more; the flow under way is aborted. Resolves when its handler has ended. Idempotent. */
  close(): Promise<void>;
  /** When it was closed. @throws XenError, XenstoreError (rejects) when no other vchan could be offered. */
  readonly over: Promise<void>;
}

/**
 * Offers a vchan to one domain, and another one as soon as that has ended: one connection at a time, for as long as the
 * domain lives, restores included.
 *
 * @param handler gets each flow before its client has come. When it resolves the flow is closed, when it rejects
 *   aborted; what it rejects with is dropped.
 * @throws RangeError, XenError, XenstoreError (rejects) as {@link serveVchan}, for the first one.
 */
export async function listenVchan(
  domain: XenDomain,
  options: VchanServerOptions,
  handler: (flow: Flow) => Promise<void>,
): Promise<VchanListener> {
  let closed = false;
  const isClosed = (): boolean => closed;
  let flow = await serveVchan(domain, options);
  const serve = async (): Promise<void> => {
    for (;;) {
      try {
        await handler(flow);
        await flow.close();
      } catch {
        flow.abort();
      }
      if (isClosed()) return;
      flow = await serveVchan(domain, options);
      if (isClosed()) flow.abort();
    }
  };
  const over = serve();
  // Whoever does not ask is not to be ended by it.
  over.catch(() => undefined);
  return {
    over,
    close: async () => {
      closed = true;
      flow.abort();
      await over.catch(() => undefined);
    },
  };
}
