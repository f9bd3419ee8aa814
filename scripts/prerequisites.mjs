// What the suites need beyond npm's packages: a command, the Debian package that brings it, and the suites it serves.
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** @typedef {{ command: string, debian: string, suites: string }} Prerequisite: a command, or a file by its path */

/** @type {readonly Prerequisite[]} */
export const prerequisites = [
  { command: "ip", debian: "iproute2", suites: "network namespaces: targets/tap, test/system" },
  { command: "tc", debian: "iproute2", suites: "loss and delay: test/system" },
  { command: "ethtool", debian: "ethtool", suites: "checksum offload: targets/tap" },
  { command: "nft", debian: "nftables", suites: "translation by the kernel: bench" },
  { command: "ping", debian: "iputils-ping", suites: "ICMP with the kernel: targets/tap" },
  { command: "arping", debian: "iputils-arping", suites: "ARP with the kernel: targets/tap" },
  { command: "sysctl", debian: "procps", suites: "settings of the kernel's: test/namespace" },
  { command: "taskset", debian: "util-linux", suites: "a core of one's own: bench" },
  { command: "chrt", debian: "util-linux", suites: "scheduling: bench" },
  { command: "setpriv", debian: "util-linux", suites: "other users: targets/tap" },
  { command: "python3", debian: "python3", suites: "programs on the kernel's sockets: test/tap, test/node" },
  { command: "socat", debian: "socat", suites: "echo servers: test/tap" },
  { command: "curl", debian: "curl", suites: "HTTP clients: test/system, test/vm" },
  { command: "wrk", debian: "wrk", suites: "HTTP load: test/system, test/vm, bench" },
  { command: "tshark", debian: "tshark", suites: "packet captures: lib/wire, test/system" },
  { command: "iperf3", debian: "iperf3", suites: "bulk TCP: bench, test/interop" },
  { command: "nmap", debian: "nmap", suites: "scanners: test/interop" },
  { command: "hping3", debian: "hping3", suites: "odd packets: test/interop" },
  { command: "dnsmasq", debian: "dnsmasq-base", suites: "DHCP and DNS with a real server: targets/tap, lib/dns" },
  { command: "radvd", debian: "radvd", suites: "IPv6 routers: test/tap" },
  { command: "ndisc6", debian: "ndisc6", suites: "IPv6 neighbours: test/tap" },
  { command: "rdisc6", debian: "ndisc6", suites: "IPv6 routers: test/tap" },
  { command: "udhcpc", debian: "udhcpc", suites: "our DHCP server with a real client: examples/router" },
  { command: "openssl", debian: "openssl", suites: "TLS clients: targets/node-api, test/vm" },
  { command: "xenstore-ls", debian: "xenstore-utils", suites: "Xen's tools: test/xen" },
  { command: "/usr/lib/xen-4.17/bin/test-xenstore", debian: "xen-utils-4.17", suites: "Xen's tools: test/xen" },
  { command: "gcc", debian: "gcc", suites: "the boot kernel: targets/vm, tool/vm-image, test/vm" },
  { command: "qemu-system-x86_64", debian: "qemu-system-x86", suites: "virtual machines: test/vm, tool/qemu" },
  { command: "/usr/share/OVMF/OVMF_CODE_4M.fd", debian: "ovmf", suites: "disks that boot by UEFI: tool/vm-image" },
  { command: "fsck.fat", debian: "dosfstools", suites: "disks that boot by UEFI: tool/vm-image" },
  { command: "sfdisk", debian: "fdisk", suites: "disks that boot: tool/vm-image" },
  { command: "virt-xml-validate", debian: "libvirt-clients", suites: "libvirt's XML: tool/vm-image" },
  { command: "xmllint", debian: "libxml2-utils", suites: "libvirt's XML: tool/vm-image" },
  { command: "nsd", debian: "nsd", suites: "name servers: test/dns, bench" },
  { command: "nsd-checkzone", debian: "nsd", suites: "zone files: test/dns" },
  { command: "knotd", debian: "knot", suites: "name servers: test/dns, bench" },
  { command: "kdig", debian: "knot-dnsutils", suites: "DNS clients: test/dns" },
  { command: "knsupdate", debian: "knot-dnsutils", suites: "dynamic updates: test/dns" },
  { command: "named", debian: "bind9", suites: "name servers: test/dns, bench" },
  { command: "dig", debian: "bind9-dnsutils", suites: "DNS clients: test/dns, bench" },
  { command: "delv", debian: "bind9-dnsutils", suites: "signed zones: test/dns" },
  { command: "nsupdate", debian: "bind9-dnsutils", suites: "dynamic updates: test/dns" },
  { command: "dnssec-signzone", debian: "bind9-utils", suites: "signed zones: test/dns, bench" },
  { command: "dnssec-keygen", debian: "bind9-utils", suites: "signed zones: test/dns, bench" },
  { command: "dnssec-verify", debian: "bind9-utils", suites: "signed zones: test/dns" },
  { command: "named-checkzone", debian: "bind9-utils", suites: "zone files: test/dns" },
  { command: "ldns-verify-zone", debian: "ldnsutils", suites: "signed zones: test/dns" },
  { command: "ldns-read-zone", debian: "ldnsutils", suites: "zone files: test/dns" },
  { command: "ldns-signzone", debian: "ldnsutils", suites: "signed zones: test/dns" },
  { command: "ldns-keygen", debian: "ldnsutils", suites: "signed zones: test/dns" },
  { command: "kzonecheck", debian: "knot-dnssecutils", suites: "signed zones: test/dns" },
  { command: "nginx", debian: "nginx-light", suites: "HTTP servers: bench" },
  { command: "dnsperf", debian: "dnsperf", suites: "DNS load: bench" },
  { command: "unbound", debian: "unbound", suites: "DNS: test/resolver" },
  { command: "mdir", debian: "mtools", suites: "disks that boot by UEFI: tool/vm-image" },
  { command: "mcopy", debian: "mtools", suites: "disks that boot by UEFI: tool/vm-image" },
  { command: "mtype", debian: "mtools", suites: "disks that boot by UEFI: tool/vm-image" },
  { command: "cpio", debian: "cpio", suites: "archives for a kernel: tool/xen-host, bench" },
  { command: "busybox", debian: "busybox-static", suites: "a Linux guest: bench" },
  { command: "lz4", debian: "lz4", suites: "a Linux guest: bench" },
  { command: "mke2fs", debian: "e2fsprogs", suites: "a Linux guest: bench" },
  { command: "apt-get", debian: "apt", suites: "a Linux guest: bench" },
  { command: "dpkg-deb", debian: "dpkg", suites: "a Linux guest: bench" },
];

/** @param {string} command */
export function onPath(command) {
  if (path.isAbsolute(command)) return existsSync(command);
  for (const folder of `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`.split(":")) {
    try {
      accessSync(path.join(folder, command), constants.X_OK);
      return true;
    } catch {
      // Not in this folder.
    }
  }
  return false;
}

export function missing() {
  return prerequisites.filter((each) => !onPath(each.command));
}

function isRoot() {
  return process.getuid?.() === 0;
}

function isDebian() {
  return existsSync("/etc/debian_version") && onPath("apt-get");
}

/**
 * Installs missing Debian packages when that is possible, and says what is skipped when it is not.
 *
 * @returns {boolean} whether nothing is missing now
 */
export function ensureSystemPackages() {
  const lacking = missing();
  if (lacking.length > 0 && isRoot() && isDebian()) {
    const packages = [...new Set(lacking.map((each) => each.debian))];
    console.log(`installing Debian packages: ${packages.join(" ")}`);
    const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const run = (/** @type {string[]} */ args) =>
      spawnSync("apt-get", args, { env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    run(["update", "-qq"]);
    const installed = run(["install", "-y", "-qq", "--no-install-recommends", ...packages]);
    if (installed.status !== 0) console.error(installed.stderr);
  }
  const still = missing();
  for (const each of still) {
    console.log(`skipped: ${each.suites} (needs \`${each.command}\`, Debian package ${each.debian})`);
  }
  if (!isRoot()) console.log("skipped: suites that create network namespaces and tap devices (they need root)");
  return still.length === 0;
}

/** Installs npm's packages when there are none, or when the lock file is newer. */
export function ensureNodeModules() {
  const lock = readFileSync("package-lock.json", "utf8");
  const marker = "node_modules/.tesserae-lock";
  const done = existsSync(marker) && readFileSync(marker, "utf8") === lock;
  if (done) return;
  console.log("installing npm packages");
  execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { stdio: "inherit" });
  execFileSync(process.execPath, ["-e", `require("fs").copyFileSync("package-lock.json", ${JSON.stringify(marker)})`]);
}

export function ensureBuilt() {
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-b"], { stdio: "inherit" });
}

/** Ends the process with a clear line when this Node.js is too old. */
export function ensureNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`Tesserae needs Node.js 20.19 or later; this is ${process.version}.`);
  process.exit(1);
}
