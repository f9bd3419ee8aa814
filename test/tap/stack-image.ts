export interface StackImage {
  readonly name: string;
  /** Its import lines, beside those of the target and the stack. */
  readonly imports?: string;
  /** Its keys beside `ipv4`, which is 10.2.0.2/24 unless it is told. */
  readonly keys: string;
  /** Whether it has the address fd00::2/64 too. */
  readonly ipv6?: boolean;
  /** The body of `main({ stack, console, keys, signal })`. */
  readonly main: string;
}

/** The source of an image on a stack of its own, as `tesserae build --target tap` writes it. */
export function stackImage({ name, imports = "", keys, ipv6 = false, main }: StackImage): string {
  const key6 = `{ name: "ipv6", type: { kind: "interface6" }, default: "fd00::2/64", doc: "our address" },`;
  return `
import { boot } from "@tesserae/tap/boot";
import { createStack } from "@tesserae/tcpip/stack/stack";
${imports}
await boot({
  name: "${name}",
  target: "tap",
  keys: [
    { name: "ipv4", type: { kind: "interface4" }, default: "10.2.0.2/24 via 10.2.0.1", doc: "our address" },
    ${ipv6 ? key6 : ""}
    ${keys}
  ],
  constants: {},
  devices: [
    { id: "timers", kind: "timers", base: true },
    { id: "random", kind: "random", base: true },
    { id: "console", kind: "console", base: true },
    { id: "netif", kind: "netif", base: true },
    {
      id: "stack",
      kind: "stack",
      implementation: "tcpip",
      create: createStack,
      needs: { netif: "netif", timers: "timers", random: "random" },
      options: { ipv4: { key: "ipv4" }${ipv6 ? `, ipv6: { key: "ipv6" }` : ""} },
    },
  ],
  bindings: { stack: "stack", console: "console" },
  async main({ stack, console, keys, signal }) {
${main}
  },
});
`;
}
