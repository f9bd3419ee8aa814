// node:tls, https and http2 on the kernel's sockets and on ours.
import { once } from "node:events";
import type http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { parity } from "./parity.ts";
import { accepted, close, closed, collect, host, listen, pattern, sha, watch } from "./sockets.ts";

parity("tls: a session, its ends, and its details", async (transcript, certificate) => {
  const server = tls.createServer(certificate, (socket) => {
    watch(transcript, "server", socket);
    socket.on("data", (data: Buffer) => socket.write(data));
  });
  const port = await listen(server);
  const options = { port, host, servername: "site.test", ca: certificate.cert, ALPNProtocols: ["http/1.1"] };
  const other = accepted(server, "secureConnection");
  const client = tls.connect(options);
  watch(transcript, "client", client);
  await once(client, "secureConnect");
  transcript.log("client", client.getProtocol(), client.authorized, client.remoteAddress, client.remotePort === port);
  transcript.log("client", client.getPeerCertificate().subject.CN, client.encrypted, client.localAddress);
  client.write("secret");
  await once(client, "data");
  client.end();
  await Promise.all([closed(client), closed(await other)]);
  await close(server);
});

parity("tls: megabytes both ways", async (transcript, certificate) => {
  const bytes = pattern(3_000_000);
  const server = tls.createServer({ ...certificate, allowHalfOpen: true } as tls.TlsOptions, (socket) => {
    void collect(socket).then((got) => {
      transcript.log("server", got.length, sha(got));
      socket.end(bytes);
    });
  });
  const port = await listen(server);
  const client = tls.connect({ port, host, ca: certificate.cert, allowHalfOpen: true } as tls.ConnectionOptions);
  client.end(bytes);
  const got = await collect(client);
  transcript.log("client", got.length, sha(got));
  await close(server);
});

parity("tls: a certificate that nobody trusts, and a peer that speaks no TLS", async (transcript, certificate) => {
  const server = tls.createServer(certificate);
  server.on("tlsClientError", () => transcript.log("server", "tlsClientError"));
  const port = await listen(server);
  const client = tls.connect({ port, host });
  const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
  transcript.log("client", error.code);
  const plain = net.connect(port, host);
  plain.on("error", () => undefined);
  plain.write("GET / HTTP/1.0\r\n\r\n");
  plain.resume();
  await closed(plain);
  await close(server);
  const deaf = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.resume().end("HTTP/1.0 400 Bad Request\r\n\r\n");
  });
  const deafPort = await listen(deaf);
  const [failure] = (await once(tls.connect({ port: deafPort, host }), "error")) as [NodeJS.ErrnoException];
  transcript.log("client", failure.code);
  await close(deaf);
});

parity("tls: the connection below is reset, or ends", async (transcript, certificate) => {
  for (const how of ["reset", "end"]) {
    const below: net.Socket[] = [];
    const server = tls.createServer(certificate, (socket) => socket.on("error", () => undefined));
    server.on("connection", (socket: net.Socket) => below.push(socket));
    const port = await listen(server);
    const secured = once(server, "secureConnection");
    const client = tls.connect({ port, host, ca: certificate.cert });
    await Promise.all([once(client, "secureConnect"), secured]);
    client.on("error", (error: NodeJS.ErrnoException) => transcript.log(how, "error", error.code, error.syscall));
    client.on("end", () => transcript.log(how, "end"));
    client.resume();
    if (how === "reset") below[0]!.resetAndDestroy();
    else below[0]!.destroy();
    await closed(client);
    await close(server);
  }
});

parity("tls: STARTTLS over an open connection", async (transcript, certificate) => {
  const server = net.createServer((socket) => {
    socket.once("data", (data) => {
      transcript.log("server", data.toString());
      socket.write("go ahead");
      const secure = new tls.TLSSocket(socket, { isServer: true, ...certificate });
      secure.on("data", (each: Buffer) => secure.end(each));
      secure.on("close", () => transcript.log("server", "close", socket.destroyed));
    });
  });
  const port = await listen(server);
  const other = accepted(server);
  const plain = net.connect(port, host);
  plain.write("STARTTLS");
  await once(plain, "data");
  const secure = tls.connect({ socket: plain, servername: "site.test", ca: certificate.cert });
  await once(secure, "secureConnect");
  transcript.log("client", secure.authorized, secure.remoteAddress);
  secure.write("secret");
  transcript.log("client", (await collect(secure)).toString());
  await Promise.all([closed(plain), closed(await other)]);
  transcript.log("client", plain.destroyed);
  await close(server);
});

parity(
  "https: a server, an agent that keeps connections, and a session used again",
  async (transcript, certificate) => {
    const server = https.createServer(certificate, (request, response) => {
      response.end(
        `${String(request.url)} ${String(request.socket instanceof tls.TLSSocket && request.socket.isSessionReused())}`,
      );
    });
    const port = await listen(server);
    for (const keepAlive of [true, false]) {
      const agent = new https.Agent({ keepAlive, ca: certificate.cert, servername: "site.test", maxSockets: 1 });
      for (const path of ["/1", "/2", "/3"]) {
        const request = https.get({ port, host, path, agent });
        const [response] = (await once(request, "response")) as [http.IncomingMessage];
        transcript.log("client", (await collect(response)).toString(), request.reusedSocket);
        await new Promise((resolve) => setImmediate(resolve));
      }
      agent.destroy();
    }
    await close(server);
  },
);

parity("http2: with TLS and without", async (transcript, certificate) => {
  const answer = (stream: http2.ServerHttp2Stream): void => {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  };
  const secure = http2.createSecureServer(certificate);
  const plain = http2.createServer();
  for (const server of [secure, plain]) {
    server.on("stream", answer);
    const port = await listen(server);
    const scheme = server === secure ? "https" : "http";
    const session = http2.connect(`${scheme}://${host}:${port}`, { ca: certificate.cert });
    const all = [1, 2, 3].map(async (each) => {
      const stream = session.request({ ":method": "POST", ":path": `/${each}` });
      stream.end(pattern(each * 100_000));
      return sha(await collect(stream));
    });
    transcript.log(scheme, await Promise.all(all));
    session.close();
    await once(session, "close");
    await close(server);
  }
});
