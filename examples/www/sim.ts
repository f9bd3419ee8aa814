import { createClient } from "@tesserae/http/client";
import type { World } from "@tesserae/sim/world";
import { noise } from "./noise.ts";

const pages = ["/", "/about.html", "/style.css", "/img/tiles.svg", "/docs/", "/robots.txt", "/now", "/api/hello/you"];

/** Several visitors fetch every page and a piece of noise at the same time. */
export function scenario(world: World): void {
  const server = world.image("www");
  for (let visitor = 1; visitor <= 3; visitor++) {
    world.host(`visitor${visitor}`).run(async ({ stack, resolver, timers, console }) => {
      await server.ready;
      const client = createClient({ tcp: stack.tcp, resolver, timers });
      for (const page of pages) {
        const response = await client.fetch(`http://www:8080${page}`);
        const body = await response.text();
        console.writeLine(`${response.status} ${page} ${body.length} characters`);
        if (response.status !== 200) throw new Error(`${page} answers ${response.status}`);
      }
      const bytes = 200_000;
      const response = await client.fetch(`http://www:8080/noise/${bytes}`);
      const got = new Uint8Array(await response.arrayBuffer());
      const expected = new Uint8Array(await new Response(noise(bytes)).arrayBuffer());
      if (got.length !== bytes || got.some((value, index) => value !== expected[index])) {
        throw new Error(`the noise differs: ${got.length} of ${bytes} bytes came`);
      }
      console.writeLine(`${bytes} bytes of noise, all as expected`);
      await client.close();
    });
  }
}
