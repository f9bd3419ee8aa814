import { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { createClient, type ClientOptions, type HttpClient } from "./client.ts";
import { LightResponse } from "./light-response.ts";
import { createMemoryTcp } from "./memory-tcp.ts";
import { type HttpServer, serve } from "./server.ts";
import type { Handler } from "./handler.ts";

const origin = "http://127.0.0.1";

async function settle(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function time(): { clock: VirtualClock; timers: Scheduler; pass: (ms: number) => Promise<void> } {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const pass = async (ms: number): Promise<void> => {
    clock.advanceTo(clock.now() + ms);
    timers.run();
    await settle();
  };
  return { clock, timers, pass };
}

async function both(
  handler: Handler,
  options: Partial<ClientOptions> = {},
): Promise<{ client: HttpClient; server: HttpServer; pass: (ms: number) => Promise<void> }> {
  const tcp = createMemoryTcp();
  const { timers, pass } = time();
  const server = await serve({ tcp, timers, port: 80 }, handler);
  return { client: createClient({ tcp, timers, ...options }), server, pass };
}

/** A server that answers every connection by `script`. */
async function scripted(
  script: (flow: Flow, connection: number) => Promise<void>,
  options: Partial<ClientOptions> = {},
): Promise<{ client: HttpClient; connections: () => number; pass: (ms: number) => Promise<void> }> {
  const tcp = createMemoryTcp();
  const { timers, pass } = time();
  let connections = 0;
  await tcp.listen({ port: 80 }, (flow) => script(flow, ++connections));
  return { client: createClient({ tcp, timers, ...options }), connections: () => connections, pass };
}

async function readHead(flow: Flow): Promise<string> {
  const into = new Uint8Array(4096);
  let text = "";
  while (!text.includes("\r\n\r\n")) {
    const length = await flow.read(into);
    if (length === 0) break;
    text += Buffer.from(into.subarray(0, length)).toString("latin1");
  }
  return text;
}

const say = (flow: Flow, text: string): Promise<void> => flow.write(Buffer.from(text, "latin1"));

describe("requests and responses", () => {
  const mirror: Handler = async (request) =>
    Response.json({
      method: request.method,
      url: request.url,
      type: request.headers.get("content-type"),
      body: await request.text(),
    });

  test.each<[string, string, RequestInit | undefined, object]>([
    ["GET", "/a?b", undefined, { method: "GET", url: `${origin}/a?b`, type: null, body: "" }],
    ["text", "/", { method: "post", body: "hé" }, { method: "POST", type: "text/plain;charset=UTF-8", body: "hé" }],
    ["bytes", "/", { method: "PUT", body: Buffer.from("x") }, { method: "PUT", type: null, body: "x" }],
    [
      "a form",
      "/",
      { method: "POST", body: new URLSearchParams({ a: "b" }) },
      { type: "application/x-www-form-urlencoded;charset=UTF-8", body: "a=b" },
    ],
    ["nothing to post", "/", { method: "POST" }, { method: "POST", body: "" }],
  ])("%s", async (_name, path, init, expected) => {
    const { client } = await both(mirror);
    const response = await client.fetch(origin + path, init);
    expect(response).toBeInstanceOf(Response);
    expect([response.status, response.ok, response.url]).toEqual([200, true, origin + path]);
    expect(await response.json()).toMatchObject(expected);
  });

  test("a Request with a stream", async () => {
    const { client } = await both(mirror);
    const body = new ReadableStream({
      start(controller) {
        for (const piece of ["one ", "two ", "x".repeat(50_000)]) controller.enqueue(Buffer.from(piece));
        controller.close();
      },
    });
    const request = new Request(`${origin}/s`, { method: "POST", body, duplex: "half" } as RequestInit);
    expect(await (await client.fetch(request)).json()).toMatchObject({ body: `one two ${"x".repeat(50_000)}` });
  });

  test("a body goes up while the response comes down", async () => {
    const { client } = await both((request) => new Response(request.body));
    const sizes = new Array(40).fill(30_000) as number[];
    const body = new ReadableStream({
      async pull(controller) {
        await settle();
        const size = sizes.pop();
        if (size === undefined) controller.close();
        else controller.enqueue(new Uint8Array(size));
      },
    });
    const response = await client.fetch(origin, { method: "POST", body });
    expect((await response.arrayBuffer()).byteLength).toBe(1_200_000);
  });

  test("HEAD, 204 and 304 have no body", async () => {
    const { client, server } = await both((request) => {
      const status = Number(new URL(request.url).pathname.slice(1));
      return status === 200 ? new LightResponse("hello") : new LightResponse(null, { status });
    });
    expect((await client.fetch(`${origin}/200`, { method: "HEAD" })).headers.get("content-length")).toBe("5");
    for (const status of [204, 304]) expect((await client.fetch(`${origin}/${status}`)).body).toBeNull();
    expect(server.statistics.connections).toBe(1);
  });

  test("interim responses are passed over", async () => {
    const { client } = await scripted(async (flow) => {
      await readHead(flow);
      await say(flow, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    expect(await (await client.fetch(origin)).text()).toBe("ok");
  });

  test.each([
    ["https://127.0.0.1/", {}],
    ["http://u:p@127.0.0.1/", {}],
    ["nonsense", {}],
    [origin, { method: "CONNECT" }],
    [origin, { method: "G T" }],
    [origin, { body: "x" }],
    [origin, { headers: { "x\n": "y" } }],
  ])("%s with %j is refused", async (url, init) => {
    const { client } = await both(mirror);
    await expect(client.fetch(url, init)).rejects.toBeInstanceOf(TypeError);
  });
});

describe("connections", () => {
  test("are used again, and never above the bound", async () => {
    const { client, server } = await both(
      async () => {
        await settle();
        return new LightResponse("x");
      },
      { limits: { maxPerOrigin: 2 } },
    );
    const all = await Promise.all(Array.from({ length: 9 }, async () => (await client.fetch(origin)).text()));
    expect(all).toEqual(new Array(9).fill("x"));
    expect(server.statistics).toMatchObject({ connections: 2, requests: 9 });
  });

  test("too many waiting requests are refused", async () => {
    const { client } = await both(() => new Promise<Response>(() => undefined), {
      limits: { maxPerOrigin: 1, maxWaiting: 1 },
    });
    const first = client.fetch(origin);
    const second = client.fetch(origin);
    await settle();
    await expect(client.fetch(origin)).rejects.toMatchObject({ kind: "exhausted" });
    await client.close();
    await expect(first).rejects.toMatchObject({ kind: "closed" });
    await expect(second).rejects.toMatchObject({ kind: "closed" });
  });

  test("idle ones are closed in time", async () => {
    const { client, server, pass } = await both(() => new LightResponse("x"));
    await (await client.fetch(origin)).text();
    await settle();
    expect(server.active).toBe(1);
    await pass(4001);
    expect(server.active).toBe(0);
    expect(await (await client.fetch(origin)).text()).toBe("x");
  });

  const closesAfterOne = async (flow: Flow, connection: number): Promise<void> => {
    await readHead(flow);
    await say(flow, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    if (connection > 1) return;
    // Takes the second request, and closes instead of answering.
    await readHead(flow);
    await flow.close();
  };

  test("a request that may be repeated is sent again when a kept connection was closed", async () => {
    const { client, connections } = await scripted(closesAfterOne);
    await (await client.fetch(origin)).text();
    expect(await (await client.fetch(origin)).text()).toBe("x");
    expect(connections()).toBe(2);
  });

  test("one that may not is not", async () => {
    const { client, connections } = await scripted(closesAfterOne);
    await (await client.fetch(origin)).text();
    await expect(client.fetch(origin, { method: "POST", body: "x" })).rejects.toMatchObject({ kind: "closed" });
    expect(connections()).toBe(1);
  });

  test("cancelling a body ends its connection", async () => {
    const { client, server } = await both(() => new LightResponse(new Uint8Array(1_000_000)));
    const response = await client.fetch(origin);
    await response.body!.cancel();
    await settle();
    expect(server.active).toBe(0);
  });
});

describe("what a server can do wrong", () => {
  test.each([
    ["Nothing\r\n\r\n", "status-line"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "framing-conflict"],
    ["HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "field-name"],
    ["HTTP/1.1 101 Switching Protocols\r\n\r\n", "status-line"],
    [`HTTP/1.1 200 OK\r\nX: ${"x".repeat(40_000)}\r\n\r\n`, "head-too-large"],
  ])("%j", async (answer, kind) => {
    const { client } = await scripted(async (flow) => {
      await readHead(flow);
      await say(flow, answer);
    });
    await expect(client.fetch(origin)).rejects.toMatchObject({ kind });
  });

  test("an end inside the body", async () => {
    const { client } = await scripted(async (flow) => {
      await readHead(flow);
      await say(flow, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
      await flow.close();
    });
    await expect((await client.fetch(origin)).text()).rejects.toMatchObject({ kind: "truncated" });
  });

  test("silence", async () => {
    const { client, pass } = await scripted(() => new Promise(() => undefined));
    const asked = client.fetch(origin);
    asked.catch(() => undefined);
    await settle();
    await pass(60_001);
    await expect(asked).rejects.toMatchObject({ kind: "timeout" });
  });

  test("silence that the caller ends", async () => {
    const { client } = await scripted(() => new Promise(() => undefined));
    const controller = new AbortController();
    const asked = client.fetch(origin, { signal: controller.signal });
    asked.catch(() => undefined);
    await settle();
    controller.abort(new Error("enough"));
    await expect(asked).rejects.toThrow("enough");
  });

  test.each(["abort", "timeout", "early answer", "nobody there"])(
    "a stream that goes up is cancelled: %s",
    async (why) => {
      const { client, pass } = await scripted(async (flow) => {
        await readHead(flow);
        if (why === "early answer") await say(flow, "HTTP/1.1 413 X\r\ncontent-length: 0\r\n\r\n");
      });
      const controller = new AbortController();
      let cancelled = false;
      const body = new ReadableStream<Uint8Array>({
        start: (stream) => stream.enqueue(new Uint8Array(10)),
        cancel: () => {
          cancelled = true;
        },
      });
      const result = client.fetch(`${origin}${why === "nobody there" ? ":81" : ""}/`, {
        method: "POST",
        body,
        signal: controller.signal,
      });
      const outcome = result.then(
        (response) => response.status,
        () => "failed",
      );
      await settle();
      if (why === "abort") controller.abort();
      else await pass(60_001);
      expect(await outcome).toBe(why === "early answer" ? 413 : "failed");
      await settle();
      expect(cancelled).toBe(true);
    },
  );

  test("nobody there", async () => {
    const { client } = await scripted(() => Promise.resolve());
    await expect(client.fetch("http://127.0.0.1:81/")).rejects.toMatchObject({ kind: "refused" });
    await expect(client.fetch("http://name/")).rejects.toMatchObject({ kind: "not-found" });
  });
});

describe("redirects", () => {
  const redirecting: Handler = async (request) => {
    const url = new URL(request.url);
    const [, status, to] = url.pathname.split("/");
    if (status === "end") {
      return Response.json({
        method: request.method,
        auth: request.headers.get("authorization"),
        body: await request.text(),
      });
    }
    return new LightResponse("moved", {
      status: Number(status),
      headers: { location: to === "loop" ? url.href : `/${to!}` },
    });
  };

  test.each([
    [301, "POST", "GET", ""],
    [302, "POST", "GET", ""],
    [303, "PUT", "GET", ""],
    [307, "POST", "POST", "x"],
    [308, "PUT", "PUT", "x"],
  ])("%i of %s becomes %s", async (status, method, then, body) => {
    const { client, server } = await both(redirecting);
    const headers = { authorization: "secret" };
    const response = await client.fetch(`${origin}/${status}/end`, { method, headers, body: "x" });
    expect([response.redirected, response.url]).toEqual([true, `${origin}/end`]);
    expect(await response.json()).toEqual({ method: then, auth: "secret", body });
    expect(server.statistics.connections).toBe(1);
  });

  test("credentials stay with their origin", async () => {
    const tcp = createMemoryTcp();
    const { timers } = time();
    await serve(
      { tcp, timers, port: 80 },
      () => new LightResponse(null, { status: 302, headers: { location: "http://127.0.0.2:81/end" } }),
    );
    await serve({ tcp, timers, port: 81 }, redirecting);
    const client = createClient({ tcp, timers });
    const response = await client.fetch(origin, { headers: { authorization: "secret" } });
    expect(await response.json()).toMatchObject({ auth: null });
  });

  test("end at the bound, by wish, and at other schemes", async () => {
    const { client } = await both(redirecting);
    await expect(client.fetch(`${origin}/302/loop`)).rejects.toMatchObject({ kind: "redirect" });
    await expect(client.fetch(`${origin}/302/end`, { redirect: "error" })).rejects.toMatchObject({ kind: "redirect" });
    expect((await client.fetch(`${origin}/302/end`, { redirect: "manual" })).status).toBe(302);
    const other = await both(() => new LightResponse(null, { status: 302, headers: { location: "file:///x" } }));
    await expect(other.client.fetch(origin)).rejects.toMatchObject({ kind: "redirect" });
  });
});

test("names are resolved, and each address tried", async () => {
  const tcp = createMemoryTcp();
  const { timers } = time();
  await serve({ tcp, timers, port: 80 }, (request) => new LightResponse(request.headers.get("host")));
  const asked: string[] = [];
  const picky = {
    listen: tcp.listen.bind(tcp),
    connect: (options: Parameters<typeof tcp.connect>[0]) => {
      asked.push(options.address.toString());
      return tcp.connect(asked.length === 1 ? { ...options, port: 9 } : options);
    },
  };
  const resolver = { resolve: () => Promise.resolve([IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.2")]) };
  const client = createClient({ tcp: picky, timers, resolver });
  expect(await (await client.fetch("http://Example.com/")).text()).toBe("example.com");
  expect(asked).toEqual(["10.0.0.1", "10.0.0.2"]);
});
