/** How long and how large the tests in machines are: short in CI, as the variables say for `npm run soak:vm`. */

const number = (variable: string, usual: number): number => Number(process.env[variable] ?? usual);

/** What the site is asked for: `VM_CONNECTIONS`, `VM_TRANSFER_BYTES`, `VM_LOAD_SECONDS`. */
export const siteExtent = {
  connections: number("VM_CONNECTIONS", 200),
  // QEMU listens on a forwarded port with room for two that it has not accepted yet.
  opening: 2,
  loadConnections: 2,
  transferBytes: number("VM_TRANSFER_BYTES", 16 * 2 ** 20),
  loadSeconds: number("VM_LOAD_SECONDS", 3),
} as const;

/** What a machine is asked for that must not lose memory: `VM_LEAK_REQUESTS`, `VM_LEAK_CONNECTIONS`. */
export const leakExtent = {
  requests: number("VM_LEAK_REQUESTS", 1000),
  connections: number("VM_LEAK_CONNECTIONS", 100),
} as const;
