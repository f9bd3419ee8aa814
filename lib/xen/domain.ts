import type { Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";
import type { XenstoreClient } from "@tesserae/xenstore/client";
import type { EventChannels } from "./event-channel.ts";
import type { ForeignPages, GrantTable, SharedPages } from "./grant.ts";

/** What a domain has of Xen: all that the protocols of this package need. */
export interface XenDomain {
  /** The domain's own number. After a restore it may be another. */
  readonly id: number;
  readonly grants: GrantTable;
  readonly foreign: ForeignPages;
  readonly events: EventChannels;
  readonly xenstore: XenstoreClient;
  readonly timers: Timers;
  readonly random: Random;

  /**
   * Zeroed memory to share.
   *
   * @throws XenError `exhausted`.
   */
  allocate(pages: number): SharedPages;

  /**
   * Calls back each time the domain goes on after a suspension, perhaps on another host. Memory is as it was; but all
   * grants, mappings and event channels made before are void: they are forgotten, and neither ended nor closed, as their
   * numbers may be others' by now. The xenstore client works; its watches are set again and fire once. Not called after
   * a checkpoint, where the domain goes on with all it had.
   *
   * @returns what ends it
   */
  onResume(callback: () => void): () => void;
}
