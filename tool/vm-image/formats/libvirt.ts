import path from "node:path";
import { replaceFile } from "../replace-file.ts";
import type { FormatInput } from "./format.ts";

/**
 * Writes `<name>.xml`, a domain for `virsh define` or `virsh create`: a q35 machine with one processor, a virtio network
 * interface on libvirt's default network, a virtio source of randomness and a serial console (`virsh console`). Libvirt
 * wants absolute paths, so the files must stay where they are.
 *
 * @returns its path.
 */
export function writeLibvirt(input: FormatInput): string {
  const file = path.join(input.output, `${input.name}.xml`);
  replaceFile(file, libvirtDomain(input));
  return file;
}

/** The domain as XML. */
export function libvirtDomain({ name, kernel, image, commandLine, memory }: Omit<FormatInput, "output">): string {
  const lines = [
    `<domain type="kvm">`,
    `  <name>${escapeXml(name)}</name>`,
    `  <memory unit="MiB">${String(memory)}</memory>`,
    `  <vcpu>1</vcpu>`,
    `  <os>`,
    `    <type arch="x86_64" machine="q35">hvm</type>`,
    `    <kernel>${escapeXml(kernel)}</kernel>`,
    `    <initrd>${escapeXml(image)}</initrd>`,
    ...(commandLine === "" ? [] : [`    <cmdline>${escapeXml(commandLine)}</cmdline>`]),
    `  </os>`,
    `  <features>`,
    `    <acpi/>`,
    `    <apic/>`,
    `  </features>`,
    `  <cpu mode="host-passthrough"/>`,
    `  <on_poweroff>destroy</on_poweroff>`,
    `  <on_reboot>restart</on_reboot>`,
    `  <on_crash>destroy</on_crash>`,
    `  <devices>`,
    `    <interface type="network">`,
    `      <source network="default"/>`,
    `      <model type="virtio"/>`,
    `    </interface>`,
    `    <serial type="pty"/>`,
    `    <console type="pty"/>`,
    `    <rng model="virtio">`,
    `      <backend model="random">/dev/urandom</backend>`,
    `    </rng>`,
    `    <memballoon model="none"/>`,
    `  </devices>`,
    `</domain>`,
  ];
  return `${lines.join("\n")}\n`;
}

/** For texts and attributes. Characters that XML cannot have at all become the replacement character. */
function escapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return (
    text
      // eslint-disable-next-line no-control-regex -- they are what is looked for
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
      .replace(/[&<>"]/g, (character) => entities[character] ?? character)
  );
}
