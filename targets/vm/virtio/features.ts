/** Feature bits by number (virtio 1.2 §5 and §6), and their names for messages. */

/** A set of features: bits 0–31 and 32–63. */
export interface FeatureBits {
  readonly low: number;
  readonly high: number;
}

export const featureVersion1 = 32;
export const featureEventIndex = 29;
export const featureIndirect = 28;

export const netFeature = {
  checksum: 0,
  guestChecksum: 1,
  mtu: 3,
  mac: 5,
  guestTso4: 7,
  hostTso4: 11,
  mergeableBuffers: 15,
  status: 16,
} as const;

export const blockFeature = {
  sizeMax: 1,
  segmentsMax: 2,
  readOnly: 5,
  blockSize: 6,
  flush: 9,
  discard: 13,
  writeZeroes: 14,
} as const;

const commonNames: Readonly<Record<number, string>> = {
  24: "VIRTIO_F_NOTIFY_ON_EMPTY",
  27: "VIRTIO_F_ANY_LAYOUT",
  28: "VIRTIO_F_INDIRECT_DESC",
  29: "VIRTIO_F_EVENT_IDX",
  32: "VIRTIO_F_VERSION_1",
  33: "VIRTIO_F_ACCESS_PLATFORM",
  34: "VIRTIO_F_RING_PACKED",
  35: "VIRTIO_F_IN_ORDER",
  36: "VIRTIO_F_ORDER_PLATFORM",
};

/** The name of a feature that all kinds of devices have, or its number. */
export function featureName(feature: number): string {
  return commonNames[feature] ?? `feature ${String(feature)}`;
}

export function hasFeature(bits: FeatureBits, feature: number): boolean {
  return ((feature < 32 ? bits.low >>> feature : bits.high >>> (feature - 32)) & 1) === 1;
}

/** The set of some features. */
export function featureBits(features: readonly number[]): FeatureBits {
  let low = 0;
  let high = 0;
  for (const feature of features) {
    if (feature < 32) low |= 1 << feature;
    else high |= 1 << (feature - 32);
  }
  return { low: low >>> 0, high: high >>> 0 };
}
