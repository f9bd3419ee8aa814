import path from "node:path";
import { ImageFailure } from "../image-failure.ts";
import { replaceFile } from "../replace-file.ts";
import type { FormatInput } from "./format.ts";

/** A network interface of a guest. */
export interface XlInterface {
  /** The bridge in the back end's domain. */
  readonly bridge?: string | undefined;
  /** `00:16:3e:…`; absent: xl makes one up. */
  readonly mac?: string | undefined;
  /** The domain that serves it, by name or number. Default: dom0. */
  readonly backend?: string | undefined;
}

/** A disk of a guest. */
export interface XlDisk {
  /** A file with raw sectors, or a block device, in the domain that serves it. */
  readonly file: string;
  /** `xvda`. */
  readonly device: string;
  readonly readOnly?: boolean | undefined;
  readonly backend?: string | undefined;
}

/** What xl makes a guest of. */
export interface XlGuest {
  readonly name: string;
  /** Default: `pvh`. */
  readonly type?: "pvh" | "pv" | undefined;
  /** Paths where xl runs. */
  readonly kernel: string;
  readonly ramdisk?: string | undefined;
  /** The kernel's command line. */
  readonly commandLine?: string | undefined;
  /** In MiB. */
  readonly memory: number;
  /** Default: 1. */
  readonly vcpus?: number | undefined;
  readonly interfaces?: readonly XlInterface[] | undefined;
  readonly disks?: readonly XlDisk[] | undefined;
  /** What becomes of it when it crashes. Default: `destroy`; `preserve` keeps it to be looked at. */
  readonly onCrash?: "destroy" | "preserve" | "restart" | undefined;
  /** More settings, as they are to be written: `seclabel = "…"`. */
  readonly more?: readonly string[] | undefined;
}

/**
 * The text of a configuration for `xl create` (Xen: docs/man/xl.cfg). One setting a line, as xl wants.
 *
 * @throws ImageFailure for a value that cannot be written: xl's strings have no escapes.
 */
export function xlConfig(guest: XlGuest): string {
  const { name, kernel, ramdisk, commandLine = "", interfaces = [], disks = [] } = guest;
  const lines = [
    `name = ${text("name", name)}`,
    `type = "${guest.type ?? "pvh"}"`,
    `kernel = ${text("kernel", kernel)}`,
  ];
  if (ramdisk !== undefined) lines.push(`ramdisk = ${text("ramdisk", ramdisk)}`);
  if (commandLine !== "") lines.push(`cmdline = ${text("the command line", commandLine)}`);
  lines.push(`memory = ${String(guest.memory)}`, `vcpus = ${String(guest.vcpus ?? 1)}`);
  if (interfaces.length > 0) lines.push(`vif = [ ${interfaces.map(vif).join(", ")} ]`);
  if (disks.length > 0) lines.push(`disk = [ ${disks.map(disk).join(", ")} ]`);
  lines.push('on_poweroff = "destroy"', 'on_reboot = "restart"', `on_crash = "${guest.onCrash ?? "destroy"}"`);
  return `${[...lines, ...(guest.more ?? [])].join("\n")}\n`;
}

/**
 * Writes `<name>.xl`, a guest for `xl create`, with network interfaces on xl's usual bridge. Disks are left to whoever
 * starts it, and kernel and image must stay where they are.
 *
 * @returns its path.
 */
export function writeXl({ name, kernel, image, commandLine, memory, output, interfaces, disks }: FormatInput): string {
  const file = path.join(output, `${name}.xl`);
  const cards = Array.from({ length: interfaces }, () => ({}));
  const text = xlConfig({ name, kernel, ramdisk: image, commandLine, memory, interfaces: cards });
  const missing = Array.from(
    { length: disks },
    (_, index) => `format=raw,vdev=xvd${letter(index)},target=/path/to/disk`,
  );
  const remark = "# The application wants disks; give each a file or a device:";
  const lines = disks === 0 ? [] : [remark, `# disk = [ ${missing.map((each) => `"${each}"`).join(", ")} ]`, ""];
  replaceFile(file, text + lines.join("\n"));
  return file;
}

function letter(index: number): string {
  return String.fromCharCode("a".charCodeAt(0) + index);
}

function vif({ bridge, mac, backend }: XlInterface): string {
  const settings = { bridge, mac, backend };
  const given = Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return text("a network interface", given.join(","));
}

function disk({ file, device, readOnly = false, backend }: XlDisk): string {
  const from = backend === undefined ? "" : `backend=${backend},`;
  // The target comes last: all that follows it is its path.
  return text("a disk", `${from}format=raw,vdev=${device},access=${readOnly ? "ro" : "rw"},target=${file}`);
}

/** A string of xl's: between quotes of the kind that is not in it. */
function text(what: string, value: string): string {
  const line = /[\n\r\0]/.test(value);
  if (!line && !value.includes('"')) return `"${value}"`;
  if (!line && !value.includes("'")) return `'${value}'`;
  throw new ImageFailure(`${what} cannot be written for xl, which knows no escapes: ${JSON.stringify(value)}`);
}
