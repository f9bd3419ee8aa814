import type { Implementation } from "./implementation.ts";
import { targets } from "./target.ts";

/** What the targets' boots supply: `target` for every base kind. */
const base: readonly Implementation[] = [...new Set(targets.flatMap((target) => target.base))].map((kind) => ({
  name: "target",
  kind,
  targets: targets.filter((target) => target.base.includes(kind)).map((target) => target.name),
}));

/** The targets that supply as many devices of a kind as the machine has. */
function targetsWithSeveral(kind: string): readonly string[] {
  return targets.filter((target) => target.several.includes(kind)).map((target) => target.name);
}

/** The implementations that come with Tesserae. Of one kind, those that come first are preferred. */
export const catalogue: readonly Implementation[] = [
  ...base,
  { name: "virtio", kind: "netif", targets: targetsWithSeveral("netif") },
  {
    name: "kernel",
    kind: "stack",
    module: "@tesserae/node/kernel-stack",
    export: "createKernelStack",
    targets: ["node"],
  },
  {
    name: "tcpip",
    kind: "stack",
    module: "@tesserae/tcpip/stack/stack",
    export: "createStack",
    needs: { netif: "netif", timers: "timers", random: "random", log: "log" },
    options: {
      ipv4: {
        from: "key",
        key: "ipv4",
        type: { kind: "interface4" },
        default: "10.0.0.2/24 via 10.0.0.1",
        doc: "our IPv4 address",
      },
      ipv6: {
        from: "key",
        key: "ipv6",
        type: { kind: "interface6" },
        default: "auto",
        doc: "our IPv6 address",
      },
    },
    targets: ["tap", "sim"],
  },
  {
    name: "tcpip",
    kind: "stack",
    module: "@tesserae/vm/stack",
    export: "createVmStack",
    needs: { netif: "netif", timers: "timers", random: "random", log: "log" },
    options: {
      ipv4: {
        from: "key",
        key: "ipv4",
        type: { kind: "interface4" },
        default: "dhcp",
        doc: "our IPv4 address",
      },
      ipv6: {
        from: "key",
        key: "ipv6",
        type: { kind: "interface6" },
        default: "auto",
        doc: "our IPv6 address",
      },
      dns: {
        from: "key",
        key: "dns",
        type: { kind: "string", maxLength: 200 },
        default: "",
        doc: "name servers, with commas between them; none: those that the network tells",
      },
    },
    targets: ["vm", "xen"],
  },
  {
    name: "of-stack",
    kind: "tcp",
    module: "@tesserae/image/service",
    export: "createTcpOfStack",
    needs: { stack: "stack" },
  },
  {
    name: "of-stack",
    kind: "udp",
    module: "@tesserae/image/service",
    export: "createUdpOfStack",
    needs: { stack: "stack" },
  },
  {
    name: "tap",
    kind: "netif",
    module: "@tesserae/tap/netif",
    export: "createTap",
    options: { name: { from: "key", key: "interface", type: { kind: "string" }, doc: "name of the tap device" } },
    targets: ["tap"],
  },
  {
    name: "kernel",
    kind: "resolver",
    module: "@tesserae/node/kernel-resolver",
    export: "createKernelResolver",
    targets: ["node"],
  },
  {
    name: "dns",
    kind: "resolver",
    module: "@tesserae/node-api/stack-resolver",
    export: "createStackResolver",
    needs: { stack: "stack", timers: "timers", random: "random" },
    options: { names: { from: "declaration", option: "names", default: {} } },
    targets: ["vm", "xen"],
  },
  {
    name: "hosts",
    kind: "resolver",
    module: "@tesserae/tcpip/hosts",
    export: "createHosts",
    options: { names: { from: "declaration", option: "names", default: {} } },
  },
  {
    name: "compiled",
    kind: "files",
    module: "@tesserae/kv/compiled",
    export: "createCompiledKv",
    options: { files: { from: "files", option: "folder" } },
  },
  {
    name: "directory",
    kind: "files",
    module: "@tesserae/node/directory",
    export: "createDirectory",
    options: { path: { from: "path", option: "folder", key: "folder", doc: "folder that the files are served from" } },
    targets: ["node", "tap"],
  },
  {
    name: "memory",
    kind: "kv",
    module: "@tesserae/kv/memory",
    export: "createMemoryKv",
  },
  {
    name: "memory",
    kind: "block",
    module: "@tesserae/block/memory",
    export: "createMemoryBlock",
    options: {
      sectors: { from: "declaration", option: "sectors", default: 2048 },
      sectorSize: { from: "declaration", option: "sectorSize", default: 512 },
    },
  },
  {
    name: "file",
    kind: "block",
    module: "@tesserae/node/file-block",
    export: "createFileBlock",
    options: {
      path: { from: "path", option: "path", key: "path", doc: "file that holds the sectors" },
      sectorSize: { from: "declaration", option: "sectorSize", default: 512 },
    },
    targets: ["node", "tap"],
    provides: ["persistent"],
  },
  { name: "virtio", kind: "block", targets: targetsWithSeveral("block"), provides: ["persistent"] },
  // What a simulated host keeps when it crashes.
  { name: "disk", kind: "block", targets: ["sim"], provides: ["persistent"] },
  { name: "disk", kind: "kv", targets: ["sim"], provides: ["persistent"] },
  // Kept where the target can.
  {
    name: "kept",
    kind: "kv",
    module: "@tesserae/node/directory-kv",
    export: "createDirectoryKv",
    options: {
      path: {
        ...{ from: "key", key: "keep", type: { kind: "string" }, default: "" },
        doc: "folder that keeps what is stored; none: memory",
      },
    },
    targets: ["node", "tap"],
  },
  { name: "kept", kind: "kv", targets: ["sim"], provides: ["persistent"] },
  { name: "kept", kind: "kv", module: "@tesserae/kv/memory", export: "createMemoryKv", targets: ["vm", "xen"] },
  {
    name: "kernel",
    kind: "local",
    module: "@tesserae/node/local-sockets",
    export: "createLocalSockets",
    targets: ["node", "tap"],
  },
  {
    name: "node",
    kind: "crypto",
    module: "@tesserae/node/crypto",
    export: "createCrypto",
    targets: ["node", "tap", "vm", "xen"],
  },
  // A run of the simulator repeats itself, signatures too.
  {
    name: "repeatable",
    kind: "crypto",
    module: "@tesserae/node/crypto",
    export: "createRepeatableCrypto",
    targets: ["sim"],
  },
  {
    name: "console",
    kind: "log",
    module: "@tesserae/log/log",
    export: "createLog",
    needs: { console: "console", timers: "timers" },
    options: {
      level: {
        from: "key",
        key: "logLevel",
        type: { kind: "choice", choices: ["debug", "info", "warn", "error"] },
        default: "info",
        doc: "least important lines to log",
      },
    },
  },
  {
    name: "registry",
    kind: "metrics",
    module: "@tesserae/log/metrics",
    export: "createMetrics",
  },
];
