// Opens COUNT connections to HOST PORT, keeps all of them open, asks for a page on each of them twice, and prints what
// came of it as JSON.
import net from "node:net";

const [host, port, count] = process.argv.slice(2);
const wanted = Number(count);
const request = `GET /robots.txt HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
/** @type {Set<net.Socket>} */
const open = new Set();
/** @type {string[]} */
const errors = [];
let connected = 0;
let answers = 0;

/** @param {net.Socket} socket */
function ask(socket) {
  return new Promise((resolve) => {
    let received = "";
    const finish = () => {
      socket.off("data", take);
      socket.off("close", finish);
      resolve(undefined);
    };
    /** @param {Buffer} chunk */
    const take = (chunk) => {
      received += chunk.toString("latin1");
      if (!received.endsWith("Allow: /\n")) return;
      answers++;
      finish();
    };
    socket.on("data", take);
    socket.on("close", finish);
    socket.write(request);
  });
}

const sockets = await Promise.all(
  Array.from(
    { length: wanted },
    () =>
      new Promise((/** @type {(socket: net.Socket | undefined) => void} */ resolve) => {
        const socket = net.connect({ host: host ?? "", port: Number(port) }, () => {
          connected++;
          open.add(socket);
          resolve(socket);
        });
        socket.on("error", (error) => {
          if (errors.length < 10) errors.push(String(error));
          resolve(undefined);
        });
        socket.on("close", () => open.delete(socket));
      }),
  ),
);
const live = sockets.filter((socket) => socket !== undefined);
await Promise.all(live.map(ask));
await Promise.all(live.map(ask));
console.log(JSON.stringify({ connected, open: open.size, answers, errors }));
for (const socket of open) socket.destroy();
