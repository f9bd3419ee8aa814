import { IpAddress } from "@tesserae/device/address";
import type { Host } from "@tesserae/sim/host";
import type { World } from "@tesserae/sim/world";
import { sleep } from "@tesserae/time/sleep";

/**
 * Two clients behind the router get addresses from it, and fetch from a server outside, which sees one address. A third
 * makes an IPv6 address of what the router advertises, and is seen by it.
 */
export async function scenario(world: World): Promise<void> {
  const address = "203.0.113.2/24";
  const router = world.image("router", {
    lan: false,
    ipv6: "2001:db8::2/64",
    keys: { address, forward: "tcp/8080=192.168.77.77:80" },
  });
  world.lan("outside").attach(router.addNetif());
  world.lan("inside").attach(router.addNetif());
  // The server's network knows where that of the router's clients is.
  const six = { ipv6: "2001:db8::80/64", routes: [{ to: "fd77::/64", via: "2001:db8::2" }] };
  const server = world.host("server", { lan: "outside", ipv4: "203.0.113.80/24", ...six });
  const clients = ["one", "two"].map((name) => world.host(name, { lan: "inside", ipv4: "dhcp" }));
  const inside = world.host("inside", { lan: "inside", ipv4: "192.168.77.77/24", gateway: "192.168.77.1" });

  const seen = new Set<string>();
  await serve(server, 80, seen);
  await serve(inside, 80, new Set());
  await Promise.all(
    clients.map((client) =>
      client.run(async ({ console, address: own }) => {
        const heard = await fetch(client, server.address.toString(), 80);
        if (heard !== "203.0.113.2") throw new Error(`the server saw ${heard}`);
        console.writeLine(`${own.toString()} was seen as ${heard}`);
      }, "fetch"),
    ),
  );
  // Both came from one address, and from two ports of it.
  if (seen.size !== 2) throw new Error(`the server saw ${[...seen].join(" and ")}`);
  const through = await server.run(() => fetch(server, "203.0.113.2", 8080), "come in");
  if (through !== "203.0.113.80") throw new Error(`the forwarded port was seen from ${through}`);
  const modern = world.host("modern", { lan: "inside", ipv4: "192.168.77.78/24", ipv6: "auto" });
  await modern.run(async ({ timers }) => {
    await sleep(timers, 5000);
    const heard = await fetch(modern, "2001:db8::80", 80);
    if (heard !== String(modern.addresses[1])) throw new Error(`the server saw ${heard}`);
  }, "fetch over IPv6");
  world.note("everybody was served");
  router.stop();
  await router.finished;
}

/** Tells each that connects the address that it comes from. */
async function serve(host: Host, port: number, seen: Set<string>): Promise<void> {
  await host.run(async ({ stack }) => {
    await stack.tcp.listen({ port }, async (flow) => {
      const { address, port: from } = flow.remote;
      seen.add(`${address.toString()}:${from}`);
      await flow.write(new TextEncoder().encode(address.toString()));
      await flow.close();
    });
  }, "serve");
}

async function fetch(host: Host, address: string, port: number): Promise<string> {
  const flow = await host.stack.tcp.connect({ address: IpAddress.parse(address), port });
  const bytes = new Uint8Array(100);
  const length = await flow.read(bytes);
  await flow.close();
  return new TextDecoder().decode(bytes.subarray(0, length));
}
