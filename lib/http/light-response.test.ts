import { Hono } from "hono";
import { afterEach, describe, expect, test, vi } from "vitest";
import { LightResponse } from "./light-response.ts";

const form = new FormData();
form.append("a", "b");

const cases: readonly [string, () => [body?: BodyInit | null, init?: ResponseInit]][] = [
  ["nothing", () => []],
  ["a string", () => ["hé"]],
  ["an empty string", () => [""]],
  ["bytes", () => [new Uint8Array([1, 2, 3])]],
  ["a buffer", () => [new Uint8Array([1, 2, 3]).buffer]],
  ["a form", () => [new URLSearchParams({ a: "b c" })]],
  ["a blob", () => [new Blob(["x"], { type: "text/css" })]],
  ["a stream", () => [new Blob(["xyz"]).stream()]],
  ["a status", () => [null, { status: 404, statusText: "Gone fishing" }]],
  ["a record", () => ["x", { headers: { "X-A": " 1 ", "content-TYPE": "text/html" } }]],
  ["pairs", () => ["x", { headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x", "1"], ["X", "2"]] }]], // prettier-ignore
  ["Headers", () => ["x", { headers: new Headers({ a: "b" }) }]],
  ["another response", () => ["x", new Response(null, { status: 201, headers: { a: "b" } })]],
];

async function facts(response: Response): Promise<unknown> {
  const { status, statusText, ok, type, bodyUsed, redirected } = response;
  const headers = [...response.headers];
  const body = Buffer.from(await response.arrayBuffer()).toString("latin1");
  const second =
    response.body === null ? "none" : await response.text().catch((error: unknown) => (error as Error).name);
  return { status, statusText, ok, type, bodyUsed, redirected, headers, body, second, used: response.bodyUsed };
}

describe("says what the engine's Response says of", () => {
  test.each(cases)("%s", async (_name, make) => {
    expect(await facts(new LightResponse(...make()))).toEqual(await facts(new Response(...make())));
  });

  test.each(cases)("a clone of %s", async (_name, make) => {
    const light = new LightResponse(...make());
    const clone = light.clone();
    expect(await facts(clone)).toEqual(await facts(new Response(...make())));
    expect(await light.text()).toEqual(await new Response(...make()).text());
  });

  test("JSON and redirects", async () => {
    expect(await facts(LightResponse.json({ a: 1 }))).toEqual(await facts(Response.json({ a: 1 })));
    const typed = { status: 201, headers: { "content-type": "application/x+json" } };
    expect(await facts(LightResponse.json([], typed))).toEqual(await facts(Response.json([], typed)));
    const there = "http://a/b";
    expect(await facts(LightResponse.redirect(there, 307))).toEqual(await facts(Response.redirect(there, 307)));
  });

  test("a body read as a form, a blob and JSON", async () => {
    expect((await new LightResponse(form).formData()).get("a")).toBe("b");
    expect((await new LightResponse("x", { headers: { "content-type": "text/css" } }).blob()).type).toBe("text/css");
    expect(await LightResponse.json({ a: 1 }).json()).toEqual({ a: 1 });
  });
});

test.each<[string, () => unknown]>([
  ["a status", () => new LightResponse(null, { status: 1000 })],
  ["a name", () => new LightResponse(null, { headers: { "a b": "c" } })],
  ["a value", () => new LightResponse(null, { headers: { a: "b\r\nc: d" } })],
  ["a status text", () => new LightResponse(null, { statusText: "a\nb" })],
])("%s that cannot be sent is refused", (_name, make) => {
  expect(make).toThrow();
});

describe("in the place of the global Response", () => {
  afterEach(() => void vi.unstubAllGlobals());

  test("it serves Hono", async () => {
    vi.stubGlobal("Response", LightResponse);
    const app = new Hono();
    app.use(async (context, next) => {
      await next();
      context.header("x-after", "1");
    });
    app.get("/", (context) => context.text("home"));
    app.get("/json", (context) => context.json({ a: 1 }, 201));
    const home = await app.request("/");
    expect(home).toBeInstanceOf(LightResponse);
    expect([await home.text(), home.headers.get("x-after")]).toEqual(["home", "1"]);
    const json = await app.request("/json");
    expect([json.status, await json.json()]).toEqual([201, { a: 1 }]);
    expect((await app.request("/none")).status).toBe(404);
  });
});
