// Opens COUNT connections to HOST PORT at once, or OPENING of them at a time, keeps all of them open, asks for a page on
// each of them twice, and prints what came of it as JSON. On a bad path some connect late: the others ask for the second time without them, lest the
// server take them for idle.
import net from "node:net";

const [host = "", port, count, opening = count] = process.argv.slice(2);
const wanted = Number(count);
const request = `GET /robots.txt HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
let connected = 0;
let open = 0;
let mostOpen = 0;
let answers = 0;
/** @type {string[]} */
const errors = [];
/** @type {net.Socket[]} */
const sockets = [];
/** What is asked for the second time. @type {Promise<unknown>[]} */
const seconds = [];
/** @type {(value?: unknown) => void} */
let allConnected = () => undefined;
const together = Promise.race([
  new Promise((resolve) => (allConnected = resolve)),
  new Promise((resolve) => setTimeout(resolve, Number(opening) < wanted ? 600_000 : 20_000).unref()),
]);

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
    if (socket.destroyed) return finish();
    socket.on("data", take);
    socket.on("close", finish);
    socket.write(request);
  });
}

async function visit() {
  const socket = net.connect({ host, port: Number(port) });
  sockets.push(socket);
  socket.on("error", (error) => {
    if (errors.length < 10) errors.push(String(error));
  });
  await new Promise((resolve) => {
    socket.once("connect", resolve);
    socket.once("close", resolve);
  });
  if (socket.destroyed) return;
  open++;
  mostOpen = Math.max(mostOpen, open);
  socket.once("close", () => open--);
  if (++connected === wanted) allConnected();
  await ask(socket);
  seconds.push(together.then(() => ask(socket)));
}

let begun = 0;
async function visitor() {
  while (begun < wanted) {
    begun++;
    await visit();
  }
}

await Promise.all(Array.from({ length: Math.min(wanted, Number(opening)) }, visitor));
await Promise.all(seconds);
console.log(JSON.stringify({ connected, mostOpen, answers, errors }));
for (const socket of sockets) socket.destroy();
