// Express, Fastify and Hono over our stack on a tap device of this network namespace. Ends when its input does.
import { serve } from "@hono/node-server";
import { IpAddress, Prefix } from "@tesserae/device/address";
import { installNodeApi } from "@tesserae/node-api/install";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createTap } from "@tesserae/tap/netif";
import { createHosts } from "@tesserae/tcpip/hosts";
import { createStack } from "@tesserae/tcpip/stack/stack";
// @ts-expect-error -- it comes without types
import untyped from "express";
import fastify from "fastify";
import { Hono } from "hono";

interface Express {
  use(handler: unknown): void;
  post(path: string, handler: (request: ExpressRequest, response: { json(value: object): void }) => void): void;
  listen(port: number): unknown;
}
interface ExpressRequest {
  readonly body: object;
  readonly params: { readonly name: string };
  readonly ip: string;
}
// as: what the test uses of it.
const express = untyped as (() => Express) & { json(): unknown };

const netif = await createTap({ name: "t1", hostAddress: Prefix.parse("10.3.0.1/24") });
const address = Prefix.parse("10.3.0.2/24");
const gateway = IpAddress.parse("10.3.0.1");
const stack = await createStack({
  ...{ netif, timers: createTimers(), random: createRandom() },
  ipv4: { kind: "static", address, gateway },
});
installNodeApi({ stack, resolver: createHosts() });

const one = express();
one.use(express.json());
one.post("/hello/:name", ({ body, params, ip }, response) => response.json({ ...body, hello: params.name, ip }));
one.listen(3001);

const two = fastify();
two.post<{ Body: { from: string }; Params: { name: string } }>("/hello/:name", ({ body, params, ip }) => {
  return { ...body, hello: params.name, ip };
});
await two.listen({ port: 3002, host: "0.0.0.0" });

const three = new Hono();
three.post("/hello/:name", async (context) => {
  // as: the server's own request, as @hono/node-server gives it.
  const { incoming } = context.env as { readonly incoming: { readonly socket: { readonly remoteAddress: string } } };
  const body: object = await context.req.json<{ from: string }>();
  return context.json({ ...body, hello: context.req.param("name"), ip: incoming.socket.remoteAddress });
});
serve({ fetch: three.fetch, port: 3003 }, () => console.log("ready"));
