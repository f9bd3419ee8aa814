/** How long and how large the system tests are: short in CI, as the variables say for a soak. */

/** Seconds of load: `LOAD_SECONDS`. */
export const loadSeconds = Number(process.env["LOAD_SECONDS"] ?? 4);
/** Seconds of hostile frames: `GARBAGE_SECONDS`. */
export const garbageSeconds = Number(process.env["GARBAGE_SECONDS"] ?? 5);
/** Bytes of a large transfer: `TRANSFER_BYTES`. */
export const transferBytes = Number(process.env["TRANSFER_BYTES"] ?? 128 * 2 ** 20);
/** Bytes of a transfer over a path that loses a twentieth of its packets: `LOSSY_BYTES`. */
export const lossyBytes = Number(process.env["LOSSY_BYTES"] ?? 2 ** 20);

/** Milliseconds that a test may take: generous, the work is what is bounded. */
export const patience = 1_800_000;
