/** Where an image can run. */
export interface Target {
  readonly name: string;
  readonly doc: string;
  /** The package that has `boot`. */
  readonly package: string;
  /** The module that exports `boot(plan)`. */
  readonly boot: string;
  /** Kinds of devices that the boot supplies. */
  readonly base: readonly string[];
  /** Kinds of devices of which the boot supplies as many as the machine has; each declared one gets its own. */
  readonly several: readonly string[];
  /** Whether the application and the libraries may use what only Node.js has. */
  readonly nodeModules: boolean;
  /** Whether Node.js's networking modules, where an image's code uses them, are put onto the image's own stack. */
  readonly nodeApi: boolean;
  /** npm packages with native code: they cannot be in the bundle and are loaded beside it. */
  readonly external: readonly string[];
  /**
   * Flags that `run` gives to the boot or to the machine, for its help and completion: name → what stands for the value,
   * if any; `[=…]` when it can be left out.
   */
  readonly flags: Readonly<Record<string, string>>;
}

const linkFlags = {
  pcap: "FILE",
  loss: "SHARE",
  delay: "DURATION",
  jitter: "DURATION",
  reorder: "SHARE",
  duplicate: "SHARE",
  corrupt: "SHARE",
} as const;

/** What the targets have alike that our boot kernel runs on. */
const machine = {
  package: "@tesserae/vm",
  boot: "@tesserae/vm/boot",
  several: ["netif", "block"],
  nodeModules: true,
  nodeApi: true,
  external: [],
} as const;
const machineFlags = { dhcp: "", gateway: "ADDRESS", log: "LEVEL", memory: "SIZE" } as const;

export const targets: readonly Target[] = [
  {
    name: "node",
    doc: "a Node.js process on the kernel's sockets",
    package: "@tesserae/node",
    boot: "@tesserae/node/boot",
    base: ["timers", "random", "console"],
    several: [],
    nodeModules: true,
    nodeApi: false,
    external: [],
    flags: { queues: "COUNT" },
  },
  {
    name: "tap",
    doc: "a Node.js process with our TCP/IP stack on a Linux tap device",
    package: "@tesserae/tap",
    boot: "@tesserae/tap/boot",
    base: ["timers", "random", "console", "netif"],
    several: [],
    nodeModules: true,
    nodeApi: true,
    external: ["koffi"],
    flags: {
      tap: "NAME",
      "tap-fd": "NUMBER",
      xdp: "NAME",
      "host-address": "PREFIX",
      queues: "COUNT",
      mtu: "BYTES",
      gateway: "ADDRESS",
      dhcp: "",
      trace: "",
      ...linkFlags,
    },
  },
  {
    name: "sim",
    doc: "the simulator: virtual time, hosts and links in one process",
    package: "@tesserae/sim",
    boot: "@tesserae/sim/boot",
    base: ["timers", "random", "console", "netif", "resolver"],
    several: [],
    nodeModules: false,
    nodeApi: false,
    external: [],
    flags: {
      seed: "SEED",
      choices: "CHOICES",
      until: "DURATION",
      trace: "FILE",
      timeline: "",
      page: "FILE.html",
      bandwidth: "RATE",
      burst: "FRAMES",
      queue: "QUEUE",
      "path-mtu": "BYTES",
      worker: "",
      ...linkFlags,
    },
  },
  {
    name: "vm",
    doc: "a virtual machine with no operating system in it but ours",
    ...machine,
    base: ["timers", "random", "console"],
    flags: {
      ...machineFlags,
      "image-in": "memory|nvdimm",
      cpus: "1",
      machine: "TYPE",
      block: "FILE",
      tap: "NAME",
      "host-address": "PREFIX",
      forward: "HOST:GUEST",
      pcap: "FILE",
      gdb: "[=PORT]",
      accelerator: "HOW",
    },
  },
  {
    name: "xen",
    doc: "a guest of Xen's, with no operating system in it but ours",
    ...machine,
    base: ["timers", "random", "console", "xen"],
    flags: {
      ...machineFlags,
      block: "FILE",
      bridge: "NAME",
      emulate: "",
      forward: "HOST:GUEST",
      pcap: "FILE",
    },
  },
];
