import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { Hono } from "hono";
import { expect, test, vi } from "vitest";
import { createClient, type FetchInit } from "./client.ts";
import { createMemoryTcp } from "./memory-tcp.ts";
import { serve } from "./server.ts";

test("a Hono application runs unmodified", async () => {
  const app = new Hono();
  app.get("/", (c) => c.text("home"));
  app.get("/json/:id", (c) =>
    c.json({ id: c.req.param("id"), q: c.req.query("q"), agent: c.req.header("user-agent") }),
  );
  app.post("/form", async (c) => c.text((await c.req.parseBody<{ name: string }>()).name));
  app.post("/echo", async (c) => c.body(await c.req.arrayBuffer()));
  app.use("/header/*", async (c, next) => {
    await next();
    c.header("x-after", "1");
  });
  app.get("/header/x", (c) => c.html("<p>x"));
  app.get("/throw", () => {
    throw new Error("x");
  });
  vi.spyOn(console, "error").mockImplementation(() => undefined);

  const tcp = createMemoryTcp();
  const timers = new Scheduler(new VirtualClock());
  await serve({ tcp, timers, port: 80 }, (request) => app.fetch(request));
  const client = createClient({ tcp, timers });
  const ask = (path: string, init?: FetchInit): Promise<Response> => client.fetch(`http://127.0.0.1${path}`, init);

  const home = await ask("/");
  expect([home.status, home.headers.get("content-length"), await home.text()]).toEqual([200, "4", "home"]);
  const json = await ask("/json/7?q=%C3%A9", { headers: { "user-agent": "t" } });
  expect(json.headers.get("content-type")).toBe("application/json");
  expect(await json.json()).toEqual({ id: "7", q: "é", agent: "t" });
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  expect(await (await ask("/form", { method: "POST", headers, body: "name=Ada" })).text()).toBe("Ada");
  expect(await (await ask("/echo", { method: "POST", body: "abc" })).text()).toBe("abc");
  const after = await ask("/header/x");
  expect([after.headers.get("x-after"), await after.text()]).toEqual(["1", "<p>x"]);
  expect((await ask("/none")).status).toBe(404);
  expect((await ask("/throw")).status).toBe(500);
  vi.restoreAllMocks();
});
