// Asks for a page until it is answered, then ends: the eye of the boot benchmark.
import net from "node:net";
import process from "node:process";

const [host = "", port = ""] = process.argv.slice(2);

function ask() {
  const socket = net.connect({ host, port: Number(port) });
  // An address that nobody has yet answers nothing: ask again soon rather than wait for the kernel's retry.
  const bound = setTimeout(() => socket.destroy(), 25);
  socket.on("connect", () => {
    clearTimeout(bound);
    socket.write(`GET /1k HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  });
  socket.on("data", () => process.exit(0));
  socket.on("error", () => undefined);
  socket.on("close", () => {
    clearTimeout(bound);
    setTimeout(ask, 2);
  });
}

ask();
