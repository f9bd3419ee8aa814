// node:http and fetch on the kernel's sockets and on ours.
import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { parity } from "./parity.ts";
import { close, collect, host, listen, pattern, sha } from "./sockets.ts";
import { describeError } from "./transcript.ts";

parity("http: requests and answers of many kinds", async (transcript) => {
  const server = http.createServer((request, response) => {
    void collect(request).then((body) => {
      transcript.log("server", request.method, request.url, body.length, sha(body), request.headers["x-n"]);
      response.setHeader("x-from", "server");
      if (request.url === "/chunked") {
        response.write("a");
        setTimeout(() => response.end("b"), 5);
      } else if (request.url === "/trailers") {
        response.writeHead(200, { trailer: "x-sum" });
        response.write("body");
        response.addTrailers({ "x-sum": "7" });
        response.end();
      } else if (request.url === "/none") {
        response.writeHead(204).end();
      } else {
        response.end(body);
      }
    });
  });
  const port = await listen(server);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const send = async (options: http.RequestOptions, body?: Buffer): Promise<void> => {
    const request = http.request({ port, host, agent, ...options });
    request.end(body);
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    const got = await collect(response);
    transcript.log("client", response.statusCode, got.length, sha(got), response.trailers, request.reusedSocket);
  };
  await send({ path: "/" });
  await send({ path: "/echo", method: "POST", headers: { "x-n": "1" } }, pattern(1_048_576));
  await send({ path: "/chunked" });
  await send({ path: "/trailers" });
  await send({ path: "/none" });
  await send({ path: "/head", method: "HEAD" });
  agent.destroy();
  await close(server);
});

parity("http: pipelined requests are answered in order", async (transcript) => {
  const server = http.createServer((request, response) => {
    const delay = request.url === "/1" ? 30 : 0;
    setTimeout(() => response.end(`<${String(request.url)}>`), delay);
  });
  const port = await listen(server);
  const client = net.connect(port, host);
  client.write([1, 2, 3].map((n) => `GET /${n} HTTP/1.1\r\nHost: x\r\n\r\n`).join(""));
  let text = "";
  client.on("data", (data) => (text += data.toString()));
  while (!text.includes("</3>")) await once(client, "data");
  transcript.log("client", text.match(/<\/\d>/g), text.match(/200 OK/g)?.length);
  client.destroy();
  await close(server);
});

parity("http: rubbish and too much are refused", async (transcript) => {
  const server = http.createServer((_, response) => response.end());
  const port = await listen(server);
  for (const text of ["RUBBISH\r\n\r\n", `GET / HTTP/1.1\r\nx: ${"y".repeat(40_000)}\r\n\r\n`]) {
    const client = net.connect(port, host);
    client.on("error", () => undefined);
    client.write(text);
    const [data] = (await once(client, "data")) as [Buffer];
    transcript.log("client", data.toString().split("\r\n")[0]);
    client.destroy();
  }
  await close(server);
});

parity("http: an upgrade, as WebSockets begin", async (transcript) => {
  const server = http.createServer();
  server.on("upgrade", (request, socket, head: Buffer) => {
    const key = createHash("sha1")
      .update(`${String(request.headers["sec-websocket-key"])}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    transcript.log("server", request.url, head.toString());
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`,
    );
    socket.on("data", (data: Buffer) => socket.end(data));
  });
  const port = await listen(server);
  const request = http.request({
    port,
    host,
    path: "/ws",
    headers: { connection: "Upgrade", upgrade: "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" },
  });
  request.end();
  const [response, socket] = (await once(request, "upgrade")) as [http.IncomingMessage, net.Socket];
  transcript.log("client", response.statusCode, response.headers["sec-websocket-accept"]);
  socket.write("frame");
  transcript.log("client", (await collect(socket)).toString());
  await close(server);
});

parity("http: the client goes away in the middle of an answer", async (transcript) => {
  let finish: (value?: unknown) => void = () => undefined;
  const over = new Promise((resolve) => (finish = resolve));
  const server = http.createServer((request, response) => {
    request.on("close", () => transcript.log("request", "close", request.complete));
    response.on("close", () => transcript.log("response", "close", response.writableFinished));
    response.on("error", (error) => transcript.log("response", error.message));
    response.writeHead(200);
    const timer = setInterval(() => response.write(pattern(10_000)), 2);
    response.on("close", () => {
      clearInterval(timer);
      setImmediate(finish);
    });
  });
  const port = await listen(server);
  const request = http.get({ port, host });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.once("data", () => response.destroy());
  response.on("error", () => undefined);
  await over;
  await close(server);
});

parity("http: the server goes away in the middle of an answer", async (transcript) => {
  const server = http.createServer((_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("only this");
    setTimeout(() => response.destroy(), 10);
  });
  const port = await listen(server);
  const request = http.get({ port, host });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.on("aborted", () => transcript.log("client", "aborted"));
  await collect(response).catch((error: unknown) => transcript.log("client", describeError(error)));
  transcript.log("client", response.complete);
  await close(server);
});

parity("http: 100-continue, and timeouts of the client", async (transcript) => {
  const server = http.createServer((request, response) => {
    if (request.url !== "/silent") response.end("ok");
  });
  server.on("checkContinue", (request: http.IncomingMessage, response: http.ServerResponse) => {
    response.writeContinue();
    void collect(request).then((body) => response.end(String(body.length)));
  });
  const port = await listen(server);
  const request = http.request({ port, host, method: "PUT", headers: { expect: "100-continue" } });
  request.flushHeaders();
  await once(request, "continue");
  request.end(pattern(100_000));
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  transcript.log("client", (await collect(response)).toString());
  const slow = http.get({ port, host, path: "/silent", timeout: 40 });
  slow.on("timeout", () => slow.destroy(new Error("too slow")));
  const [error] = (await once(slow, "error")) as [Error];
  transcript.log("client", error.message);
  await close(server);
});

parity("fetch: bodies both ways, streams, an abort, and nobody there", async (transcript) => {
  const server = http.createServer((request, response) => {
    if (request.url === "/slow") {
      response.write("first");
      return;
    }
    void collect(request).then((body) => response.end(body));
  });
  const port = await listen(server);
  const base = `http://${host}:${port}`;
  const sent = pattern(300_000);
  const echoed = await fetch(`${base}/echo`, { method: "POST", body: new Uint8Array(sent) });
  transcript.log("client", echoed.status, sha(new Uint8Array(await echoed.arrayBuffer())) === sha(sent));
  const controller = new AbortController();
  const slow = await fetch(`${base}/slow`, { signal: controller.signal });
  const reader = slow.body!.getReader();
  const { value } = await reader.read();
  transcript.log("client", Buffer.from(value!).toString());
  controller.abort();
  await reader.read().catch((error: unknown) => transcript.log("client", (error as Error).name));
  await close(server);
  const nobody = net.createServer();
  const free = await listen(nobody);
  await close(nobody);
  await fetch(`http://${host}:${free}`).catch((error: unknown) => {
    const { cause } = error as { cause: unknown };
    transcript.log("client", (error as Error).message, describeError(cause, [[free, "PORT"]]));
  });
});
