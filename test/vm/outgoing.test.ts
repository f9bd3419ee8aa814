import { createHash } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { afterEach, describe, expect, test } from "vitest";
import { makeCertificate } from "../node-api/certificate.ts";
import { buildForVm, patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// What a program in a machine asks of others. QEMU's network in user space makes this host 10.0.2.2.

const reason = vmUnavailable();
const hostAddress = "10.0.2.2";
const large = Buffer.alloc(3_000_000, "all work and no play ");
let machine: TestMachine | undefined;
const servers: Server[] = [];
let names: Socket | undefined;
afterEach(async () => {
  await machine?.kill();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
  names?.close();
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  let body = "";
  request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
  request.on("end", () => response.end(request.url === "/large" ? large : `${request.url ?? ""} ${body}`));
}

async function listen(server: Server): Promise<string> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return `${hostAddress}:${String(typeof address === "object" ? address?.port : 0)}`;
}

/**
 * A name server on port 53 of 127.0.0.1 that knows one name: its two addresses and its mail exchange. `undefined` where
 * the port cannot be had.
 */
async function serveNames(name: string): Promise<Socket | undefined> {
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => socket.send(reply(query, name), from.port, from.address));
  socket.bind(53, "127.0.0.1");
  try {
    await once(socket, "listening");
    return socket;
  } catch (error) {
    if (process.env["CI"] === "true") throw error;
    return undefined;
  }
}

/** RFC 1035 §4.1: the question again, and what there is to say to it. */
function reply(query: Buffer, name: string): Buffer {
  const end = query.indexOf(0, 12) + 5;
  const labels: string[] = [];
  for (let at = 12; query[at] !== 0; at += 1 + (query[at] ?? 0)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + (query[at] ?? 0)));
  }
  const type = query.readUInt16BE(end - 4);
  const record = (data: readonly number[]): Buffer =>
    Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length, ...data]);
  const known = labels.join(".").toLowerCase() === name;
  const answers =
    !known || ![1, 15].includes(type)
      ? []
      : type === 1
        ? [record([10, 0, 2, 2]), record([192, 0, 2, 7])]
        : [record([0, 10, 4, ...Buffer.from("mail"), 0xc0, 12])];
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(known ? 0x8580 : 0x8583, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(answers.length, 6);
  return Buffer.concat([head, query.subarray(12, end), ...answers]);
}

describe.skipIf(reason !== undefined)(`outgoing, from a machine${reason === undefined ? "" : ` (${reason})`}`, () => {
  test(
    "fetch over HTTP and HTTPS, node:https, names, threads and signatures",
    async () => {
      const { key, cert } = makeCertificate("peer.test", hostAddress);
      const http = await listen(createServer(answer));
      const https = await listen(createHttpsServer({ key, cert }, answer));
      names = await serveNames("peer.test");
      const words = [
        `http=http://${http}`,
        `https=https://${https}`,
        `authority=${cert.toString("base64url")}`,
        ...(names === undefined ? ["name="] : ["name=peer.test", `dns=${hostAddress}`]),
      ];
      machine = await TestMachine.start(await buildForVm("test/fixtures/apps/outgoing"), {
        commandLine: words.join(" "),
      });
      expect(await machine.exited, machine.output).toBe(0);
      const said = (what: string): unknown => {
        const line = new RegExp(`^${what}: (.*)$`, "m").exec(machine?.output ?? "")?.[1];
        if (line === undefined) throw new Error(`nothing of ${what}:\n${machine?.output ?? ""}`);
        return JSON.parse(line);
      };
      expect(said("http")).toEqual([200, "/plain from inside"]);
      expect(said("large")).toEqual([large.length, createHash("sha256").update(large).digest("hex")]);
      expect(said("refused")).toBe("ECONNREFUSED");
      expect(said("distrusted")).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
      expect(said("https")).toEqual([200, "/secure "]);
      expect(said("node:https")).toBe("/module ");
      if (names !== undefined) {
        expect(said("lookup")).toEqual([
          { address: "10.0.2.2", family: 4 },
          { address: "192.0.2.7", family: 4 },
        ]);
        expect(said("resolve4")).toEqual(["10.0.2.2", "192.0.2.7"]);
        expect(said("resolveMx")).toEqual([{ exchange: "mail.peer.test", priority: 10 }]);
        expect(said("unknown")).toBe("ENOTFOUND");
        expect(said("by name")).toBe("/by-name ");
      }
      const digest = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();
      let expected: Buffer = Buffer.alloc(32);
      const digests = [1, 2, 3].map(() => (expected = digest(expected)).toString("hex"));
      expect(said("workers")).toEqual(digests);
      expect(said("signature")).toBe(true);
    },
    patience,
  );
});
