import { stackImage } from "./stack-image.ts";

/** An image that answers HTTP requests. */
export const greeter = stackImage({
  name: "greeter",
  keys: `{ name: "port", type: { kind: "port" }, default: "80", doc: "port to listen on" },`,
  main: `
  const reply = new TextEncoder().encode("HTTP/1.0 200 OK\\r\\n\\r\\n" + "hello ".repeat(2000));
  await stack.tcp.listen({ port: keys.port }, async (flow) => {
    await flow.read(new Uint8Array(4096));
    await flow.write(reply);
    await flow.close();
  });
  console.writeLine("listening on " + stack.addresses.join());
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
`,
});

/** What it answers. */
export const greeting = "hello ".repeat(2000);
