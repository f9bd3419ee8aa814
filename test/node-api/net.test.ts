// node:net on the kernel's sockets and on ours.
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parity } from "./parity.ts";
import { accepted, close, closed, collect, host, listen, pattern, sha, watch } from "./sockets.ts";
import { describeError } from "./transcript.ts";

parity("net: echo, and both ends end", async (transcript) => {
  const server = net.createServer((socket) => {
    watch(transcript, "server", socket);
    socket.on("data", (data) => socket.write(data));
  });
  const port = await listen(server);
  const other = accepted(server);
  const client = watch(transcript, "client", net.connect(port, host));
  client.write("hello");
  await once(client, "data");
  client.end();
  await Promise.all([closed(client), closed(await other)]);
  await close(server);
});

parity("net: half-open: the server answers after the client has ended", async (transcript) => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    watch(transcript, "server", socket);
    socket.on("end", () => {
      transcript.log("server", socket.readyState);
      setTimeout(() => socket.end("late answer"), 20);
    });
  });
  const port = await listen(server);
  const client = watch(transcript, "client", net.connect({ port, host, allowHalfOpen: true }));
  const other = accepted(server);
  client.end("question");
  await once(client, "end");
  transcript.log("client", client.readyState, client.destroyed);
  await Promise.all([closed(client), closed(await other)]);
  await close(server);
});

parity("net: a reset by the server", async (transcript) => {
  const server = net.createServer((socket) => {
    watch(transcript, "server", socket);
    socket.once("data", () => socket.resetAndDestroy());
  });
  const port = await listen(server);
  const other = accepted(server);
  const client = watch(transcript, "client", net.connect(port, host));
  client.write("x");
  await Promise.all([closed(client), closed(await other)]);
  await close(server);
});

parity("net: a reset by the client", async (transcript) => {
  const server = net.createServer((socket) => watch(transcript, "server", socket));
  const port = await listen(server);
  const other = accepted(server);
  const client = watch(transcript, "client", net.connect(port, host));
  const socket = await other;
  client.write("x");
  await once(socket, "data");
  client.resetAndDestroy();
  await Promise.all([closed(client), closed(socket)]);
  await close(server);
});

parity("net: a reset while writing", async (transcript) => {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.pause();
    setTimeout(() => socket.resetAndDestroy(), 30);
  });
  const port = await listen(server);
  const client = net.connect(port, host);
  // Whether reading or writing finds out first is a matter of timing.
  client.on("error", ({ code }: NodeJS.ErrnoException) => {
    transcript.log("client", "error", code === "EPIPE" || code === "ECONNRESET");
  });
  client.on("close", (hadError) => transcript.log("client", "close", hadError));
  client.write(pattern(16_777_216));
  await closed(client);
  await close(server);
});

parity("net: nobody listens", async (transcript) => {
  const server = net.createServer();
  const port = await listen(server);
  await close(server);
  const client = net.connect(port, host);
  const [error] = (await once(client, "error")) as [Error];
  transcript.log("client", describeError(error, [[port, "PORT"]]), client.connecting, client.destroyed);
  await closed(client);
});

parity("net: the port 0 and bad addresses", async (transcript) => {
  for (const options of [
    { port: 0, host },
    { port: 1, host, localAddress: "203.0.113.7" },
  ]) {
    const client = net.connect(options);
    const [error] = (await once(client, "error")) as [Error];
    transcript.log("client", (error as NodeJS.ErrnoException).code, (error as NodeJS.ErrnoException).syscall);
  }
  const server = net.createServer();
  server.listen(0, "203.0.113.7");
  const [error] = (await once(server, "error")) as [Error];
  transcript.log("server", describeError(error));
});

parity("net: the port is taken", async (transcript) => {
  const first = net.createServer();
  const port = await listen(first);
  const second = net.createServer();
  second.listen(port, host);
  const [error] = (await once(second, "error")) as [Error];
  transcript.log("server", describeError(error, [[port, "PORT"]]), second.listening);
  await close(first);
  second.listen(port, host);
  await once(second, "listening");
  transcript.log("server", second.listening);
  await close(second);
});

parity("net: a port is known as soon as listen returns", async (transcript) => {
  const server = net.createServer();
  server.listen(0);
  const early = server.address() as net.AddressInfo;
  transcript.log("server", early.port > 0);
  await once(server, "listening");
  transcript.log("server", (server.address() as net.AddressInfo).port === early.port);
  await close(server);
  transcript.log("server", server.address(), server.listening);
});

parity("net: addresses of both ends", async (transcript) => {
  const server = net.createServer();
  const port = await listen(server);
  const other = accepted(server);
  const client = net.connect(port, host);
  transcript.log("client", client.connecting, client.readyState, client.pending, client.address());
  await once(client, "connect");
  const socket = await other;
  transcript.log("client", client.remoteAddress, client.remoteFamily, client.remotePort === port, client.localAddress);
  transcript.log(
    "client",
    client.localPort === socket.remotePort,
    client.readyState,
    client.pending,
    client.localFamily,
  );
  transcript.log("server", socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.localPort === port);
  transcript.log("server", Object.keys(socket.address()));
  client.resume().end();
  socket.resume();
  await Promise.all([closed(client), closed(socket)]);
  transcript.log("server", socket.remoteAddress, socket.localAddress);
  await close(server);
});

parity("net: a mebibyte each way", async (transcript) => {
  const bytes = pattern(1_048_576);
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    void collect(socket).then((got) => {
      transcript.log("server", got.length, sha(got), socket.bytesRead);
      socket.end(bytes, () => transcript.log("server", socket.bytesWritten));
    });
  });
  const port = await listen(server);
  const client = net.connect({ port, host, allowHalfOpen: true });
  client.end(bytes);
  const got = await collect(client);
  transcript.log("client", got.length, sha(got), client.bytesRead, client.bytesWritten);
  await close(server);
});

parity("net: a thousand connections, one after the other", async (transcript) => {
  let count = 0;
  let last: net.Socket | undefined;
  const server = net.createServer((socket) => {
    last = socket;
    socket.on("data", (data) => socket.end(data));
    socket.on("close", (hadError) => (count += hadError ? 1000 : 1));
  });
  const port = await listen(server);
  let answered = 0;
  for (let each = 0; each < 1000; each++) {
    const client = net.connect(port, host);
    client.write(String(each));
    const [data] = (await once(client, "data")) as [Buffer];
    if (data.toString() === String(each)) answered++;
    client.end();
    await closed(client);
  }
  if (last !== undefined) await closed(last);
  await close(server);
  transcript.log("both", answered, count);
});

parity("net: a hundred connections at once", async (transcript) => {
  const server = net.createServer((socket) => socket.pipe(socket));
  const port = await listen(server);
  const all = Array.from({ length: 100 }, async (_, index) => {
    const client = net.connect(port, host);
    const bytes = pattern(10_000 + index);
    client.end(bytes);
    return sha(await collect(client)) === sha(bytes);
  });
  transcript.log("client", (await Promise.all(all)).every(Boolean));
  await close(server);
});

parity("net: writes before destroy arrive", async (transcript) => {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write("one,");
    socket.write("two,");
    socket.write("three");
    socket.destroy();
  });
  const port = await listen(server);
  const got = await collect(net.connect(port, host));
  transcript.log("client", got.toString());
  await close(server);
});

parity("net: writes before the connection, in every encoding", async (transcript) => {
  const server = net.createServer((socket) => {
    void collect(socket).then((got) => transcript.log("server", got.toString("hex")));
  });
  const port = await listen(server);
  const client = net.connect(port, host);
  client.write("grün");
  client.write("grün", "latin1");
  client.write("grün", "ascii");
  client.write("grün", "utf16le");
  client.write("ff00", "hex");
  client.write(Uint8Array.of(1, 2, 3));
  client.cork();
  client.write("a");
  client.write(Buffer.from("b"));
  client.uncork();
  transcript.log("client", client.writableLength > 0, client.bytesWritten);
  client.end("//8=", "base64");
  client.resume();
  await closed(client);
  transcript.log("client", client.bytesWritten);
  await close(server);
});

parity("net: strings longer than buffers", async (transcript) => {
  const text = "grün".repeat(50_000);
  const server = net.createServer((socket) => {
    void collect(socket).then((got) => transcript.log("server", got.length, got.toString() === text + text));
  });
  const port = await listen(server);
  const client = net.connect(port, host);
  await once(client, "connect");
  client.write(text);
  client.end(text);
  client.resume();
  await closed(client);
  await close(server);
});

parity("net: a writer that does not wait is told to, and drained", async (transcript) => {
  const server = net.createServer((socket) => {
    socket.pause();
    setTimeout(() => socket.resume(), 50);
  });
  const port = await listen(server);
  const client = net.connect(port, host);
  await once(client, "connect");
  const chunk = pattern(262_144);
  let chunks = 0;
  while (client.write(chunk)) chunks++;
  while (chunks < 100 && client.writableLength < 8_388_608) {
    client.write(chunk);
    chunks++;
  }
  transcript.log("client", "false", client.writableNeedDrain);
  await once(client, "drain");
  transcript.log("client", "drain", client.writableLength, client.writableNeedDrain);
  client.destroy();
  await close(server);
});

parity("net: a paused reader holds the writer back, and then gets everything", async (transcript) => {
  let received = 0;
  const hash = createHash("sha256");
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    socket.on("data", (data) => {
      received += data.length;
      hash.update(data);
    });
    setTimeout(() => {
      transcript.log("server", "before", received);
      socket.resume();
    }, 100);
  });
  const port = await listen(server);
  const client = net.connect(port, host);
  const bytes = pattern(33_554_432);
  const ended = new Promise<void>((resolve) => server.once("connection", (socket) => socket.once("end", resolve)));
  client.end(bytes);
  await sleep(60);
  transcript.log("client", "waits", client.writableLength > 0);
  await ended;
  transcript.log("server", received, hash.digest("hex") === createHash("sha256").update(bytes).digest("hex"));
  await close(server);
});

parity("net: pause and resume inside data", async (transcript) => {
  const bytes = pattern(500_000);
  const server = net.createServer((socket) => socket.end(bytes));
  const port = await listen(server);
  const client = net.connect(port, host);
  const parts: Buffer[] = [];
  client.on("data", (data) => {
    parts.push(data);
    client.pause();
    setImmediate(() => client.resume());
  });
  await once(client, "end");
  transcript.log("client", sha(Buffer.concat(parts)) === sha(bytes));
  await close(server);
});

parity("net: each chunk has memory of its own", async (transcript) => {
  const server = net.createServer((socket) => {
    socket.on("data", (data) => {
      transcript.log("server", data.byteOffset, data.buffer.byteLength === data.length);
      socket.write(data);
    });
  });
  const port = await listen(server);
  const client = net.connect(port, host);
  const kept: Buffer[] = [];
  client.on("data", (data) => kept.push(data));
  for (const length of [1, 100, 3000, 4096]) {
    client.write(Buffer.alloc(length, length));
    while (kept.reduce((total, { length: each }) => total + each, 0) < length) await once(client, "data");
    transcript.log("client", Buffer.concat(kept.splice(0)).equals(Buffer.alloc(length, length)));
  }
  client.end();
  await closed(client);
  await close(server);
});

parity("net: timeouts", async (transcript) => {
  const server = net.createServer((socket) => socket.on("data", () => undefined));
  const port = await listen(server);
  const client = watch(transcript, "client", net.connect({ port, host, timeout: 60 }));
  await once(client, "timeout");
  transcript.log("client", client.destroyed, client.timeout);
  client.setTimeout(0);
  client.destroy(new Error("too slow"));
  await closed(client);
  await close(server);
});

parity("net: a signal ends a connection and a server", async (transcript) => {
  const controller = new AbortController();
  const server = net.createServer();
  const port = await listen(server, { signal: controller.signal });
  const own = new AbortController();
  const client = watch(transcript, "client", net.connect({ port, host, signal: own.signal } as net.NetConnectOpts));
  await once(client, "connect");
  own.abort();
  await closed(client);
  controller.abort();
  await once(server, "close");
  transcript.log("server", server.listening);
});

parity("net: destroyed while connecting", async (transcript) => {
  const server = net.createServer((socket) => socket.on("error", () => undefined));
  const port = await listen(server);
  const client = watch(transcript, "client", net.connect(port, host));
  client.destroy();
  await closed(client);
  const later = watch(transcript, "later", net.connect(port, host));
  await once(later, "connectionAttempt");
  transcript.log("later", later.connecting);
  later.destroy(new Error("changed my mind"));
  await closed(later);
  await close(server);
});

parity("net: the end of a server with connections", async (transcript) => {
  const server = net.createServer();
  const port = await listen(server);
  const other = accepted(server);
  const client = net.connect(port, host);
  const socket = await other;
  const count = await new Promise((resolve) => server.getConnections((_, value) => resolve(value)));
  transcript.log("server", count);
  server.on("close", () => transcript.log("server", "close"));
  server.close();
  socket.end("bye");
  transcript.log("client", (await collect(client)).toString());
  await once(server, "close").catch(() => undefined);
  server.close((error) => transcript.log("server", (error as NodeJS.ErrnoException).code));
  const late = net.connect(port, host);
  const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
  transcript.log("late", error.code);
});

parity("net: more connections than allowed are dropped", async (transcript) => {
  const server = net.createServer();
  server.maxConnections = 1;
  const port = await listen(server);
  server.on("drop", (data) => transcript.log("server", "drop", data?.remoteAddress, data?.localPort === port));
  const first = net.connect(port, host);
  await once(server, "connection");
  const second = net.connect(port, host);
  await new Promise((resolve) => second.on("error", () => undefined).once("close", resolve));
  transcript.log("second", second.destroyed);
  first.destroy();
  await close(server);
});

parity("net: a block list", async (transcript) => {
  const blockList = new net.BlockList();
  blockList.addAddress(host);
  const client = net.connect({ port: 9, host, blockList } as net.NetConnectOpts);
  const [error] = (await once(client, "error")) as [Error];
  transcript.log("client", (error as NodeJS.ErrnoException).code);
});

parity("net: several addresses are tried", async (transcript) => {
  const server = net.createServer((socket) => socket.end());
  const port = await listen(server);
  const client = net.connect({
    port,
    host: "several.test",
    autoSelectFamily: true,
    lookup: (_, __, done) => {
      const found = ["127.0.0.9", host].map((address) => ({ address, family: 4 }));
      done(null, found);
    },
  });
  client.on("connectionAttempt", (address) => transcript.log("client", "attempt", address));
  client.on("connectionAttemptFailed", (address, _, __, error: NodeJS.ErrnoException) =>
    transcript.log("client", "failed", address, error.code),
  );
  await once(client, "connect");
  transcript.log("client", client.remoteAddress);
  client.resume().end();
  await closed(client);
  await close(server);
});

parity("net: reading into a buffer of the user's", async (transcript) => {
  const bytes = pattern(200_000);
  const server = net.createServer((socket) => socket.end(bytes));
  const port = await listen(server);
  for (const kind of ["one", "several"]) {
    const hash = createHash("sha256");
    const client = net.connect({
      port,
      host,
      onread: {
        buffer: kind === "one" ? Buffer.alloc(4096) : () => Buffer.alloc(3000),
        callback: (count, buffer) => {
          hash.update(buffer.subarray(0, count));
          return true;
        },
      },
    });
    await closed(client);
    transcript.log("client", kind, hash.digest("hex") === createHash("sha256").update(bytes).digest("hex"));
  }
  await close(server);
});

parity("net: options of connections", async (transcript) => {
  const server = net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 });
  const port = await listen(server);
  const client = net.connect({ port, host, noDelay: true, keepAlive: true });
  await once(client, "connect");
  transcript.log("client", client.setNoDelay(false) === client, client.setKeepAlive(true, 1000) === client);
  transcript.log("client", client.ref() === client, client.unref() === client, client.setKeepAlive(false) === client);
  client.destroy();
  await close(server);
});

parity("net: writing after the end of either side", async (transcript) => {
  const server = net.createServer((socket) => socket.end("bye"));
  const port = await listen(server);
  const client = net.connect(port, host);
  client.resume();
  await once(client, "end");
  const failure = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => {
    client.on("error", () => undefined);
    client.write("too late", resolve);
  });
  transcript.log("client", failure?.code);
  await close(server);
});

parity("net: a socket is used again", async (transcript) => {
  const server = net.createServer((socket) => socket.end("x"));
  const port = await listen(server);
  const client = new net.Socket();
  for (let round = 0; round < 3; round++) {
    client.connect(port, host);
    await once(client, "connect");
    client.resume();
    await closed(client);
    transcript.log("client", round, client.destroyed, client.bytesRead);
  }
  await close(server);
});

parity("async context: each connection's own", async (transcript) => {
  const storage = new AsyncLocalStorage<string>();
  const server = net.createServer((socket) => {
    transcript.log("server", "connection", storage.getStore());
    socket.on("data", (data) => {
      transcript.log("server", "data", storage.getStore());
      socket.end(data);
    });
  });
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  for (const name of ["a", "b"]) {
    const client = storage.run(name, () => {
      const socket = net.connect(port, host, () => transcript.log(name, "connect", storage.getStore()));
      socket.on("data", () => transcript.log(name, "data", storage.getStore()));
      socket.on("close", () => transcript.log(name, "close", storage.getStore()));
      return socket;
    });
    storage.run("other", () => client.write("x", () => transcript.log(name, "written")));
    await closed(client);
  }
  await close(server);
});
