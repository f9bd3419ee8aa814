import type { ScenarioOptions } from "@tesserae/sim/scenario";
import type { World } from "@tesserae/sim/world";

/** The run ends with a picture of it. */
export const options: ScenarioOptions = { timeline: true };

/**
 * A client and a server on two hosts, joined by a link that loses a twentieth of the frames. The application checks
 * every byte; a wrong one, or a missing one, fails the run.
 */
export async function scenario(world: World): Promise<void> {
  const keys = { bytes: "100000" };
  const server = world.image("server", { lan: false, ipv4: "10.0.0.1/24", keys: { ...keys, role: "server" } });
  const client = world.image("client", {
    lan: false,
    ipv4: "10.0.0.2/24",
    keys: { ...keys, role: "client", server: "server" },
  });
  world.link(server, client, { loss: 0.05, delay: 20, bandwidth: 10_000_000 });
  await client.finished;
  server.stop();
  await server.finished;
  world.note("every byte arrived");
}
