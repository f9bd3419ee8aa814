/** An image that answers HTTP requests on a stack of its own, 10.2.0.2/24 unless it is told. */
export const greeter = `
import { boot } from "@tesserae/tap/boot";
import { createStack } from "@tesserae/tcpip/stack/stack";

await boot({
  name: "greeter",
  target: "tap",
  keys: [
    { name: "ipv4", type: { kind: "interface4" }, default: "10.2.0.2/24 via 10.2.0.1", doc: "our address" },
    { name: "port", type: { kind: "port" }, default: "80", doc: "port to listen on" },
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
      options: { ipv4: { key: "ipv4" } },
    },
  ],
  bindings: { stack: "stack", console: "console" },
  async main({ stack, console, keys, signal }) {
    const reply = new TextEncoder().encode("HTTP/1.0 200 OK\\r\\n\\r\\n" + "hello ".repeat(2000));
    await stack.tcp.listen({ port: keys.port }, async (flow) => {
      await flow.read(new Uint8Array(4096));
      await flow.write(reply);
      await flow.close();
    });
    console.writeLine("listening on " + stack.addresses.join());
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  },
});
`;

/** What it answers. */
export const greeting = "hello ".repeat(2000);
