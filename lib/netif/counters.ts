import type { NetifStatistics } from "@tesserae/device/netif";

/** The statistics of an interface, as its owner counts them. */
export class NetifCounters implements NetifStatistics {
  receivedFrames = 0;
  receivedBytes = 0;
  sentFrames = 0;
  sentBytes = 0;
  droppedFrames = 0;
}
