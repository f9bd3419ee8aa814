// node:dgram on the kernel's sockets and on ours.
import dgram from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parity } from "./parity.ts";
import { host, pattern } from "./sockets.ts";
import { describeError } from "./transcript.ts";

parity("dgram: questions and answers, addresses, sizes", async (transcript) => {
  const server = dgram.createSocket("udp4");
  server.on("message", (message, from) => {
    transcript.log("server", message.byteOffset, message.buffer.byteLength === message.length);
    transcript.log("server", message.length, from.address, from.family, from.size);
    server.send(message, from.port, from.address);
  });
  server.bind(0, host);
  await once(server, "listening");
  const { port, address, family } = server.address();
  transcript.log("server", port > 0, address, family);
  const client = dgram.createSocket("udp4");
  for (const bytes of [Buffer.from("x"), Buffer.alloc(0), pattern(1000), pattern(9000), pattern(65_507)]) {
    const sent = new Promise<unknown>((resolve) =>
      client.send(bytes, port, host, (error, count) => resolve([error, count])),
    );
    const [message, from] = (await once(client, "message")) as [Buffer, dgram.RemoteInfo];
    transcript.log("client", await sent, message.equals(bytes), from.port === port, from.size);
  }
  const failed = await new Promise<Error | null>((resolve) => client.send(Buffer.alloc(65_508), port, host, resolve));
  transcript.log("client", describeError(failed, [[port, "PORT"]]));
  client.send(["several", Buffer.from(" parts")], port, host);
  const [joined] = (await once(client, "message")) as [Buffer];
  transcript.log("client", joined.toString());
  client.close(() => transcript.log("client", "close"));
  server.close();
  await once(server, "close");
});

parity("dgram: a connected socket, a taken port, a closed socket", async (transcript) => {
  const server = dgram.createSocket("udp4");
  server.on("message", (message, from) => server.send(message, from.port, from.address));
  server.bind(0, host);
  await once(server, "listening");
  const { port } = server.address();
  const taken = dgram.createSocket("udp4");
  taken.bind(port, host);
  const [error] = (await once(taken, "error")) as [Error];
  transcript.log("taken", describeError(error, [[port, "PORT"]]));
  const client = dgram.createSocket("udp4");
  client.connect(port, host);
  await once(client, "connect");
  transcript.log("client", client.remoteAddress().address, client.remoteAddress().port === port);
  const stranger = dgram.createSocket("udp4");
  stranger.send("not for you", client.address().port, host);
  await sleep(20);
  client.send("connected");
  const [message] = (await once(client, "message")) as [Buffer];
  transcript.log("client", message.toString());
  client.disconnect();
  try {
    client.remoteAddress();
  } catch (thrown) {
    transcript.log("client", (thrown as NodeJS.ErrnoException).code);
  }
  client.close();
  try {
    client.send("x", port, host);
  } catch (thrown) {
    transcript.log("client", (thrown as NodeJS.ErrnoException).code);
  }
  stranger.close();
  server.close();
  await once(server, "close");
});

parity("dgram: groups, what is sent to them, and what can be set of that", async (transcript) => {
  const group = "239.77.1.2";
  const attempt = (party: string, act: () => unknown): void => {
    try {
      act();
      transcript.log(party, "well");
    } catch (error) {
      transcript.log(party, describeError(error));
    }
  };
  const [one, other, sender] = [1, 2, 3].map(() => dgram.createSocket({ type: "udp4", reuseAddr: true })) as [
    dgram.Socket,
    dgram.Socket,
    dgram.Socket,
  ];
  for (const act of [
    () => sender.setTTL(64),
    () => sender.setMulticastTTL(1),
    () => sender.setMulticastLoopback(true),
    () => sender.setMulticastInterface(host),
  ]) {
    attempt("unbound", act);
  }
  one.bind(0);
  await once(one, "listening");
  const { port } = one.address();
  other.bind(port);
  await once(other, "listening");
  sender.bind(0);
  await once(sender, "listening");
  attempt("one", () => one.addMembership(group, host));
  attempt("one", () => one.addMembership(group, host));
  attempt("one", () => one.addMembership("10.1.2.3", host));
  attempt("one", () => one.addMembership(group, "192.0.2.77"));
  attempt("other", () => other.addMembership(group, host));
  attempt("other", () => other.dropMembership("239.77.9.9", host));
  for (const hops of [0, 1, 200, 255, 256]) attempt("time to live", () => sender.setTTL(hops));
  for (const hops of [1, 200, 255, 256]) attempt("multicast", () => sender.setMulticastTTL(hops));
  attempt("sender", () => sender.setMulticastInterface(host));
  attempt("sender", () => sender.setMulticastInterface("192.0.2.77"));
  const heard = (socket: dgram.Socket): Promise<[Buffer, dgram.RemoteInfo]> =>
    once(socket, "message") as Promise<[Buffer, dgram.RemoteInfo]>;
  const both = Promise.all([heard(one), heard(other)]);
  sender.send("to all", port, group);
  transcript.log(
    "both",
    (await both).map(([message]) => message.toString()),
  );
  attempt("other", () => other.dropMembership(group, host));
  attempt("other", () => other.dropMembership(group, host));
  const again = heard(one);
  sender.send("to one", port, group);
  transcript.log("one", (await again)[0].toString());
  attempt("sender", () => sender.setMulticastLoopback(false));
  for (const socket of [one, other, sender]) socket.close();
  await once(sender, "close");
});
